import { EC2Client } from '@aws-sdk/client-ec2';
import { describe, expect, it } from 'vitest';
import { handler as findLeftovers } from '../../functions/find-leftovers.ts';
import { publishBoots, readBoots } from '../../functions/lib/boot-reads.ts';
import { areBootsPublished, bootOn, bootsToRead } from '../../functions/lib/boots.ts';
import type { SeenInstance } from '../../functions/lib/fleet-seen.ts';
import { KeptMetrics, type MetricLine } from '../../sandbox/kept-metrics.ts';
import { SILENT } from '../../sandbox/workflow.ts';
import { HOUR, MINUTE, NOW } from '../support/fleet-seen.ts';
import { deployedSettings, readerOf } from '../support/inputs.ts';
import { LeftoverAccount, OWN_GROUP } from '../support/leftover-account.ts';

const LAUNCHED = Date.UTC(2026, 0, 5, 8);
const SINCE = LAUNCHED / 1_000 + 6;

const times = ({ resumed = false, since = SINCE, parts = [842, 21, 3_300, 61] } = {}) =>
  `[  15.2] boot[812]: noise\nboot: times: ${resumed} ${since} ${parts.join(' ')}\n`;
const claim = (seconds: number) => `watch: claim: ${seconds}\n`;

describe('the times of a boot', () => {
  const parts = { Launched: 6, Network: 8.42, UserData: 0.21, Install: 33, RunnerUp: 0.61 };

  it.each([
    { case: 'by part', console: times(), boot: parts },
    { case: 'with its first task', console: times() + claim(4), boot: { ...parts, FirstClaim: 4 } },
    {
      case: 'of an instance of a warm pool as a whole',
      console: times({ resumed: true, parts: [300, 20, 5, 50] }) + claim(2),
      boot: { Resume: 9.75, FirstClaim: 2 },
    },
    {
      case: 'since the last start, although the console has the boot into the pool',
      console: times({ since: SINCE - 3_600 }) + claim(9) + times({ resumed: true, parts: [300, 20, 5, 50] }),
      boot: { Resume: 9.75 },
    },
    {
      case: 'by their first lines, because a job may have written the others',
      console: times() + claim(4) + times({ parts: [1, 1, 1, 1] }) + claim(100),
      boot: { ...parts, FirstClaim: 4 },
    },
    {
      case: 'of clocks that differ by a second',
      console: times({ since: SINCE - 7 }),
      boot: { ...parts, Launched: 0 },
    },
    { case: 'not without them', console: 'Cloud-init v. 24.1 running\n', boot: undefined },
    { case: 'not if they cannot be', console: times({ parts: [1, 2, 730_000, 3] }), boot: undefined },
  ])('are read $case', ({ console, boot }) => {
    expect(bootOn(console, LAUNCHED)).toEqual(boot);
  });
});

const instance = (minutes: number, state = 'running', id = `i-${minutes}`): SeenInstance => ({
  id,
  state,
  launchedAt: LAUNCHED - minutes * MINUTE,
  fromTemplate: true,
  templateVersion: '1',
  kept: false,
});

describe('the boots that an execution reads', () => {
  it('are each read once by executions that are 10 minutes apart', () => {
    const all = Array.from({ length: 9 }, (_, index) => instance(index * 7));
    const read = Array.from({ length: 12 }, (_, run) => bootsToRead(all, LAUNCHED + (run - 4) * 10 * MINUTE));
    expect(
      read
        .flat()
        .map(({ id }) => id)
        .sort(),
    ).toEqual(all.map(({ id }) => id).sort());
  });

  it('are at most ten, spread over all', () => {
    const all = Array.from({ length: 100 }, (_, index) => instance(15 + index / 20, 'running', `i-${index}`));
    const ids = bootsToRead(all, LAUNCHED).map(({ id }) => Number(id.slice(2)));
    expect(ids).toHaveLength(10);
    expect(Math.max(...ids) - Math.min(...ids)).toBeGreaterThan(80);
  });

  it('have ended instances among them, and none that is stopped in a warm pool', () => {
    const states = ['running', 'terminated', 'stopped'].map((state) => instance(20, state, state));
    expect(bootsToRead(states, LAUNCHED).map(({ id }) => id)).toEqual(['running', 'terminated']);
  });
});

it('boots are published in one hour of three', () => {
  const hours = Array.from({ length: 24 }, (_, hour) => areBootsPublished(LAUNCHED + hour * 60 * MINUTE));
  expect(hours.filter(Boolean)).toHaveLength(8);
});

describe('the consoles', () => {
  /** EC2, which gives the latest output of Nitro instances alone. */
  function consoles(of: Record<string, { kept?: string; latest?: string }>) {
    const client = new EC2Client({
      region: 'eu-west-1',
      credentials: { accessKeyId: 'a', secretAccessKey: 'b' },
    });
    const asked: string[] = [];
    client.middlewareStack.add(
      () => async (args) => {
        const { InstanceId = '', Latest } = args.input as { InstanceId?: string; Latest?: boolean };
        asked.push(`${InstanceId} ${Latest}`);
        const { kept = '', latest } = of[InstanceId] ?? {};
        if (of[InstanceId] === undefined)
          throw Object.assign(new Error(), { name: 'InvalidInstanceID.NotFound' });
        if (Latest && latest === undefined)
          throw Object.assign(new Error(), { name: 'UnsupportedOperation' });
        const Output = Buffer.from((Latest ? latest : kept) ?? '').toString('base64');
        return { output: { $metadata: {}, Output }, response: {} };
      },
      { step: 'initialize' },
    );
    return { client, asked };
  }
  const launched = { launchedAt: LAUNCHED };
  const signal = AbortSignal.timeout(5_000);

  it('are read as they are now, or as EC2 has kept them, and one that is gone takes nothing from the others', async () => {
    const { client, asked } = consoles({
      'i-nitro': { latest: times() },
      'i-old': { kept: times() },
      'i-ended': { kept: times(), latest: 'must not be asked for' },
    });
    const all = ['nitro', 'old', 'ended', 'gone'].map((name) => ({
      ...instance(0, name === 'ended' ? 'terminated' : 'running', `i-${name}`),
      ...launched,
    }));
    const boots = await readBoots(client, all, LAUNCHED + 20 * MINUTE, signal);
    expect(boots.map(({ Install }) => Install)).toEqual([33, 33, 33]);
    expect(asked.filter((each) => !each.startsWith('i-gone'))).toEqual(
      expect.arrayContaining(['i-nitro true', 'i-old true', 'i-old false', 'i-ended false']),
    );
    expect(asked).not.toContain('i-ended true');
  });
});

describe('BootSeconds', () => {
  it('is published by fleet and part, with all boots in it', () => {
    const lines: MetricLine[] = [];
    publishBoots(
      new KeptMetrics(
        () => LAUNCHED,
        (line) => lines.push(line),
      ),
      'linux',
      [
        { Launched: 5, Install: 30 },
        { Launched: 7, FirstClaim: 3 },
      ],
    );
    expect(lines.map(({ Fleet, Phase, BootSeconds }) => [Fleet, Phase, BootSeconds])).toEqual([
      ['linux', 'Launched', [5, 7]],
      ['linux', 'Install', 30],
      ['linux', 'FirstClaim', 3],
    ]);
    expect(lines[0]?._aws.CloudWatchMetrics[0]).toMatchObject({
      Dimensions: [['Fleet', 'Phase']],
      Metrics: [{ Name: 'BootSeconds', Unit: 'Seconds' }],
    });
  });

  it.each([
    {
      case: 'by the execution that finds an instance 20 minutes old',
      age: 3 * HOUR - 20 * MINUTE,
      published: 5,
    },
    { case: 'not by one before it', age: 3 * HOUR - 10 * MINUTE, published: 0 },
    // CONNECTED are two hours old, and 10 o'clock is no hour in which boots are published.
    { case: 'not in the other hours', age: 2 * HOUR - 20 * MINUTE, published: 0 },
  ])('is published $case', async ({ age, published }) => {
    const since = (NOW - 3 * HOUR) / 1_000 + 5;
    const account = new LeftoverAccount((operation, answer) =>
      operation === 'GetConsoleOutput'
        ? { Output: Buffer.from(times({ since })).toString('base64') }
        : answer,
    );
    const lines: MetricLine[] = [];
    await findLeftovers.with({
      now: () => NOW - age,
      log: SILENT,
      settings: readerOf(() => deployedSettings({ groupName: OWN_GROUP })),
      secrets: { get: async () => Promise.reject(new Error('no secret')) } as never,
      clients: account.clients(),
      metrics: new KeptMetrics(
        () => NOW,
        (line) => lines.push(line),
      ),
    })({ execution: 'linux-1', input: { fleet: 'linux' } });
    const boots = lines.filter((line) => 'BootSeconds' in line);
    expect(boots).toHaveLength(published);
    if (published > 0) expect(boots[0]).toMatchObject({ Phase: 'Launched', BootSeconds: [5, 5, 5] });
    expect(account.writes).toEqual([]);
  });
});
