import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DETACHED_TAG } from '../../functions/lib/tags.ts';
import { CircleCi } from '../../sandbox/circleci.ts';
import { ec2Xml, json } from '../support/aws-stand-in.ts';
import { expectCleanTerminal, startOnTerminal } from '../support/aws-terminal.ts';
import { DoctorAws } from '../support/doctor-aws.ts';
import { deployedSettings } from '../support/inputs.ts';
import type { PseudoTerminal } from '../support/pseudo-terminal.ts';
import { address, serve } from '../support/serve.ts';

const TOKEN = 'CCIPAT_reconcile_0123456789abcdef';
const VOLUME = 'vol-0123456789abcdef0';
const DAY = 86_400_000;

let aws: DoctorAws;

beforeEach(async () => {
  const circleci = new CircleCi();
  circleci.tokens.add(TOKEN);
  circleci.classes.set('acme/linux', { unclaimed: 0, running: 0 });
  // Without any runner, CircleCI answers 404, and nothing is repaired.
  const hoursAgo = Date.now() - 2 * 3_600_000;
  const laptop = { name: 'laptop', firstConnected: hoursAgo, lastConnected: hoursAgo, lastUsed: hoursAgo };
  circleci.runners.set('acme/linux', () => [laptop]);
  const circleciUrl = await serve(circleci);
  aws = await new DoctorAws().listen();
  aws.groups = [{ fleet: 'linux', desired: 0 }];
  const settings = deployedSettings({ circleciUrl, groupName: 'circleci-runners-linux' });
  aws.parameters.set('/circleci-runners/fleets/linux', JSON.stringify(settings));
  const secret = { resource_class: 'acme/linux', circleci_url: circleciUrl, circle_token: TOKEN };
  aws.changed.set('GetSecretValue', json({ SecretString: JSON.stringify(secret) }));
  const created = new Date(Date.now() - 9 * DAY).toISOString();
  const mark = `<tagSet><item><key>${DETACHED_TAG}</key><value>${created}</value></item></tagSet>`;
  const volume = `<item><volumeId>${VOLUME}</volumeId><size>30</size><createTime>${created}</createTime>${mark}</item>`;
  aws.changed.set('DescribeVolumes', ec2Xml('DescribeVolumes', `<volumeSet>${volume}</volumeSet>`));
  aws.changed.set('DeleteVolume', ec2Xml('DeleteVolume', '<return>true</return>'));
});

afterEach(() => aws.close());

describe.each([
  { columns: 80, rows: 24 },
  { columns: 120, rows: 40 },
])('npm run reconcile -- --apply on a terminal of $columns x $rows', (size) => {
  async function started(): Promise<PseudoTerminal> {
    const pty = startOnTerminal(address(aws.server), size, 'reconcile', 'linux', '--apply');
    await pty.shows(/Repair these: .*\(y\/N\)/);
    return pty;
  }

  it('shows what it found, and repairs it after a yes', async () => {
    const pty = await started();
    pty.type('y\r');
    expect(await pty.end()).toBe(0);
    const shown = pty.screen.lines.map((line) => line.replace(address(aws.server), 'ENDPOINT'));
    expect(`\n${shown.join('\n')}\n`).toMatchSnapshot();
    expect(aws.calls('DeleteVolume')).toBe(1);
    // Read again after the answer.
    expect(aws.calls('DescribeVolumes')).toBe(2);
    expectCleanTerminal(pty, size);
  });

  it('repairs nothing after Enter', async () => {
    const pty = await started();
    pty.type('\r');
    expect(await pty.end()).toBe(1);
    expect(aws.calls('DeleteVolume')).toBe(0);
    expectCleanTerminal(pty, size);
  });

  it('repairs nothing after Ctrl-C', async () => {
    const pty = await started();
    pty.interrupt();
    expect(await pty.end()).toBe(130);
    expect(pty.screen.lines.at(-1)).toBe('Nothing was repaired.');
    expect(aws.calls('DeleteVolume')).toBe(0);
    expectCleanTerminal(pty, size);
  });

  it.each<{ signal: NodeJS.Signals; code: number }>([
    { signal: 'SIGHUP', code: 129 },
    { signal: 'SIGQUIT', code: 131 },
    { signal: 'SIGTERM', code: 143 },
  ])('repairs nothing after $signal, and leaves the terminal as it was', async ({ signal, code }) => {
    const pty = await started();
    pty.signal(signal);
    expect(await pty.end()).toBe(code);
    expect(aws.calls('DeleteVolume')).toBe(0);
    expectCleanTerminal(pty, size);
  });
});
