import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { expectCleanTerminal, startOnTerminal } from '../support/aws-terminal.ts';
import { ImageAws } from '../support/image-aws.ts';
import type { PseudoTerminal } from '../support/pseudo-terminal.ts';
import { address } from '../support/serve.ts';

const IMAGE = 'ami-0123456789abcdef0';
const PIPELINE = 'arn:aws:imagebuilder:eu-west-1:111122223333:image-pipeline/circleci-runners-linux';
const BUILD = 'arn:aws:imagebuilder:eu-west-1:111122223333:image/circleci-runners-linux/1.0.7';

let aws: ImageAws;

beforeEach(async () => {
  aws = await new ImageAws().listen();
  aws.pipelines = [PIPELINE];
  aws.images = new Map([[IMAGE, new Map()]]);
  aws.put('/circleci-runners/fleets/linux', JSON.stringify({ imageBuiltBy: 'circleci-runners-linux' }));
  aws.put('/circleci-runners/images/linux', IMAGE, Date.UTC(2026, 10, 8));
  aws.builds = [
    { arn: `${BUILD}/1`, status: 'AVAILABLE', ami: IMAGE, createdAt: '2026-11-08T03:00:00.000Z' },
    { arn: `${BUILD}/2`, status: 'FAILED', reason: 'apt-get failed', createdAt: '2026-11-15T03:00:00.000Z' },
  ];
});

afterEach(() => aws.close());

describe.each([
  { columns: 80, rows: 24 },
  { columns: 120, rows: 40 },
])('npm run image on a terminal of $columns x $rows', (size) => {
  function started(...words: string[]): PseudoTerminal {
    return startOnTerminal(address(aws.server), size, 'image', ...words);
  }

  it('lists the builds', async () => {
    const pty = started('list');
    expect(await pty.end()).toBe(0);
    const shown = pty.screen.lines.map((line) => line.replace(address(aws.server), 'ENDPOINT'));
    expect(shown.slice(size.columns === 80 ? 2 : 1)).toEqual([
      `linux: ${IMAGE} since 2026-11-08T00:00:00.000Z`,
      '',
      '1.0.7/2  FAILED        2026-11-15 03:00',
      `1.0.7/1  AVAILABLE     2026-11-08 03:00  ${IMAGE}  linux`,
    ]);
    expectCleanTerminal(pty, size);
  });

  it('shows how long a build has been in its state, and folds what it says in the end', async () => {
    const pty = started('build', 'linux', '--every', '2s');
    await pty.shows(/^\d seconds, pending$/m);
    Object.assign(aws.builds.at(-1) ?? {}, { status: 'AVAILABLE', ami: 'ami-0bbbbbbbbbbbbbbb0' });
    expect(await pty.end()).toBe(0);
    expect(pty.screen.lines.join('\n')).toMatch(
      /available, after \ds\nThe image ami-0bbbbbbbbbbbbbbb0 is built\. It reaches the fleets that have it\s+within a minute\.$/,
    );
    expectCleanTerminal(pty, size);
  });

  it('folds what it says of an image that it gives a fleet', async () => {
    aws.images.set('ami-0aaaaaaaaaaaaaaa0', new Map());
    const pty = started('use', 'ami-0aaaaaaaaaaaaaaa0', 'linux');
    expect(await pty.end()).toBe(0);
    expect(pty.screen.lines.join(' ')).toContain('Idle instances get it by: npm run recycle -- linux');
    expectCleanTerminal(pty, size);
  });

  it.each<{ signal: NodeJS.Signals | 'Ctrl-C'; code: number }>([
    { signal: 'Ctrl-C', code: 130 },
    { signal: 'SIGHUP', code: 129 },
    { signal: 'SIGTERM', code: 143 },
  ])('leaves the terminal as it was if $signal ends the wait for a build', async ({ signal, code }) => {
    const pty = started('build', 'linux', '--every', '1s');
    await pty.shows(/pending, after/);
    if (signal === 'Ctrl-C') pty.interrupt();
    else pty.signal(signal);
    expect(await pty.end()).toBe(code);
    expectCleanTerminal(pty, size);
  });
});
