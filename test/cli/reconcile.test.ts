import pc from 'picocolors';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findingLines, type Reconciled } from '../../cli/reconcile/screen.ts';
import { runAgainstAws } from '../support/in-process.ts';
import { OperatorAws } from '../support/operator-aws.ts';
import { address } from '../support/serve.ts';

const NOW = Date.parse('2026-01-05T12:00:00Z');
const HOUR = 3_600_000;

const FOUND: Reconciled[] = [
  {
    fleet: 'linux',
    group: 'circleci-runners-linux',
    findings: [
      {
        kind: 'in no group',
        resource: 'i-0123456789abcdef0',
        since: NOW - 5 * HOUR,
        says: 'it is running and in no group, so nothing ends it',
        repair: { action: 'terminate-instance', instance: 'i-0123456789abcdef0' },
        because: 'its runner has never connected to CircleCI, so it never had a job',
      },
      {
        kind: 'never connected',
        resource: 'i-0123456789abcdef1',
        since: NOW - 40 * 60_000,
        says: 'it is in service, and CircleCI does not list its runner',
        repair: null,
        because: 'it may have another resource class token: a new one was stored after its launch',
      },
      {
        kind: 'volume',
        resource: 'vol-0123456789abcdef0',
        since: NOW - 9 * 24 * HOUR,
        says: '30 GiB that no instance has attached',
        repair: { action: 'delete-volume', volume: 'vol-0123456789abcdef0' },
        because: 'it is older than a week',
      },
      {
        kind: 'versions',
        resource: 'lt-0123456789abcdef0',
        since: null,
        says: '31 of its versions are older than a month, and nothing uses them',
        repair: { action: 'delete-versions', template: 'lt-0123456789abcdef0', versions: [2] },
        because: 'no group and no instance was launched from them',
      },
    ],
    missing: ['network interfaces (UnauthorizedOperation)'],
    repaired: [],
  },
  { fleet: 'arm', group: 'circleci-runners-arm', findings: [], missing: [], repaired: [] },
];

describe('the findings', () => {
  it('fit 80 columns', () => {
    const lines = findingLines(FOUND, NOW, 80, pc.createColors(false));
    expect(lines.filter(({ length }) => length > 80)).toEqual([]);
    expect(lines.join('\n')).toMatchInlineSnapshot(`
      "Fleet linux: 4 findings, 3 of them can be repaired
      finding         resource               since  with --apply
      in no group     i-0123456789abcdef0      5 h  terminate
        It is running and in no group, so nothing ends it. Its runner has never
        connected to CircleCI, so it never had a job.
      never connected i-0123456789abcdef1   40 min  only reported
        It is in service, and CircleCI does not list its runner. It may have another
        resource class token: a new one was stored after its launch.
      volume          vol-0123456789abcdef0    9 d  delete
        30 GiB that no instance has attached. It is older than a week.
      versions        lt-0123456789abcdef0       -  delete
        31 of its versions are older than a month, and nothing uses them. No group and
        no instance was launched from them.
      Not read: network interfaces (UnauthorizedOperation)
      Fleet arm: nothing found"
    `);
  });
});

describe('npm run reconcile', () => {
  let aws: OperatorAws;
  beforeEach(async () => {
    aws = await new OperatorAws().listen();
    aws.groups = [{ fleet: 'linux', desired: 0 }];
  });
  afterEach(() => aws.close());
  const command = (...words: string[]) => runAgainstAws(address(aws.server), 'reconcile', words);

  it('names what it could not read, and does not pass that for nothing', async () => {
    const { status, stdout } = await command('linux');
    expect(status).toBe(1);
    expect(stdout).toMatch(/^Fleet linux: nothing found\nNot read: /);
    for (const what of ['volumes (', 'runners (the deployed settings could not be read'])
      expect(stdout.replaceAll(/\s+/g, ' ')).toContain(what);
  });

  it.each([
    { words: ['--yes'], says: '--yes only works with --apply' },
    { words: ['--apply'], says: '--apply asks first, and this is no terminal: add --yes' },
    { words: ['--apply', '--json'], says: '--apply asks first, and --json prints once: add --yes' },
    { words: ['nosuch'], says: 'The fleet must be a deployed one (linux), got "nosuch"' },
  ])('$words: says "$says"', async ({ words, says }) => {
    const { status, stderr } = await command(...words);
    expect(status).toBe(2);
    expect(stderr).toContain(says);
  });

  it('says if nothing is deployed', async () => {
    aws.groups = [];
    const { status, stderr } = await command();
    expect(status).toBe(2);
    expect(stderr).toContain('Deploy it first: npx cdk deploy --all');
  });
});
