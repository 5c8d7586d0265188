import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pc from 'picocolors';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { explainHistory, waitsIn } from '../../cli/explain/explanation.ts';
import { explanationText } from '../../cli/explain/text.ts';
import type { Launch } from '../../functions/lib/breaker.ts';
import { plainFleet } from '../../simulator/plain-fleet.ts';
import { learnedFrom } from '../../simulator/simulate.ts';
import { WORLD } from '../../simulator/world.ts';
import { functionsOfWorkflow } from '../../statemachine/definition.ts';
import { commandWords } from '../support/bundled-commands.ts';
import { ago, FAILED, failure, groupOf, history, member, NOW, poll, RISE } from '../support/fleet-history.ts';
import { runAgainstAws } from '../support/in-process.ts';
import { deployedSettings } from '../support/inputs.ts';
import { OperatorAws } from '../support/operator-aws.ts';
import { PseudoTerminal } from '../support/pseudo-terminal.ts';
import { address } from '../support/serve.ts';

const launched = (from: number, to: number): Launch => ({
  outcome: 'succeeded',
  startedAt: ago(from),
  endedAt: ago(to),
});

/** An hour with a burst, a failure, and a wait that goes on. */
const HOUR = history({
  decisions: [
    poll(3_600, 0, 0),
    poll(3_595, 3, 0, RISE),
    poll(3_500, 2, 1),
    poll(3_480, 0, 3),
    poll(1_000, 0, 0),
    poll(995, 40, 0, {
      from: 0,
      desired: 10,
      change: true,
      reasons: [
        '40 unclaimed + 0 running = 40 wanted',
        'capped at maxReplicas (10)',
        'desired capacity rises from 0 to 10',
      ],
    }),
    poll(4, 30, 10, {
      from: 10,
      desired: 10,
      reasons: [
        '30 unclaimed + 10 running = 40 wanted',
        'capped at maxReplicas (10)',
        'desired capacity is 10 already',
      ],
    }),
  ],
  group: groupOf({ desired: 10, members: Array.from({ length: 10 }, () => member('inService')) }),
  failures: [failure(2_000), failure(1_940)],
  launches: [launched(3_590, 3_505), launched(3_590, 3_495), launched(990, 900), FAILED],
});

describe('an hour', () => {
  it('says where the time of each wait went', () => {
    expect(waitsIn(HOUR.decisions, HOUR.launches)).toEqual([
      {
        from: ago(3_595),
        to: ago(3_480),
        most: 3,
        noticedWithin: 5,
        decided: 0,
        begun: 5,
        booted: 85,
        claimed: 25,
      },
      {
        from: ago(995),
        to: undefined,
        most: 40,
        noticedWithin: 5,
        decided: 0,
        begun: 5,
        booted: 90,
        claimed: undefined,
      },
    ]);
  });

  it.each([80, 120])('in words, in %i columns', (columns) => {
    const explained = explainHistory(HOUR, { to: NOW, untilNow: true });
    const lines = explanationText(
      'linux',
      { from: ago(3_600), to: NOW },
      explained,
      columns,
      pc.createColors(false),
    );
    expect(lines.filter((line) => line.length > columns)).toEqual([]);
    expect(lines.join('\n')).toMatchSnapshot();
  });

  it('counts one poll, and does not repeat a time that all launches took', () => {
    const launches = [launched(190, 100), launched(189, 99)];
    const explained = explainHistory(history({ launches }), { to: NOW, untilNow: false });
    const text = explanationText(
      'linux',
      { from: ago(600), to: NOW },
      explained,
      100,
      pc.createColors(false),
    );
    expect(text[0]).toMatch(/: 1 poll, 0 of them changed something\.$/);
    expect(text).toContain('  2 launches: 2 in service, after 90 s; 0 under way; 0 failed.');
  });

  it('of nothing is one sentence', () => {
    const explained = explainHistory(history({ decisions: [] }), { to: NOW, untilNow: false });
    expect(
      explanationText('linux', { from: ago(60), to: NOW }, explained, 100, pc.createColors(false)),
    ).toEqual(['Fleet linux, 2026-01-05 08:59 to 09:00 UTC: 0 polls, 0 of them changed something.']);
  });
});

/** Three tasks a minute, and then none for some minutes, for a day. */
const LEARNED = learnedFrom(
  Array.from({ length: 144 }, (_, ten) =>
    [0, 60, 120].map((second) => ({ queuedAt: ten * 600 + second, durationSeconds: 60 })),
  ).flat(),
  { name: 'ours', settings: plainFleet({ spareRunners: 'auto', warmPool: { size: 'auto' } }) },
  { ...WORLD, startsAt: NOW - 86_400_000 },
);

describe('what the fleet has learned', () => {
  const explained = explainHistory(history({ learned: LEARNED }), { to: NOW, untilNow: true });

  it('is counted for each kind of time', () => {
    const { spares, peaks } = explained.learned ?? {};
    const after = (tasks: number) =>
      spares?.contexts.find(({ before }) => 'tasks' in before && before.tasks[0] === tasks);
    expect(spares?.leadSeconds).toBeGreaterThan(20);
    expect(after(1)?.times).toBeGreaterThan(100);
    for (const { times, atLeast } of spares?.contexts ?? []) {
      const seen = atLeast.map(([, count]) => count);
      expect(seen).toEqual(seen.toSorted((a, b) => b - a));
      expect(Math.max(0, ...seen)).toBeLessThanOrEqual(times);
    }
    expect(peaks?.at(-1)?.day).toMatch(/^2026-01-0[45]$/);
  });

  it('is said in words', () => {
    const period = { from: ago(3_600), to: NOW };
    const lines = explanationText('linux', period, explained, 100, pc.createColors(false));
    expect(Math.max(...lines.map(({ length }) => length))).toBeLessThanOrEqual(100);
    const text = lines.join(' ').replaceAll(/\s+/g, ' ');
    expect(text).toContain('What the fleet has learned Of its tasks, until ');
    expect(text).toMatch(
      /after 1 task in \d+ s: seen \d+ times; within the next \d+ s there came 1 or more \d+ times/,
    );
    expect(text).toMatch(/after .* without a task: seen \d+ times/);
    expect(text).toMatch(/The most launches within one boot, for the size of the warm pool: \d+ on 2026-/);
  });
});

describe('npm run explain', () => {
  let aws: OperatorAws;
  /** Where the command keeps in which account it found the stack. */
  let folder: string;

  beforeEach(async () => {
    aws = await new OperatorAws().listen();
    folder = mkdtempSync(join(tmpdir(), 'operator-test-'));
    aws.groups = [
      { fleet: 'linux', desired: 0 },
      { fleet: 'arm', desired: 0 },
    ];
    const began = Date.now() - 3_500_000;
    const line = (index: number, fleet: string) => ({
      timestamp: began + index * 5_000,
      message: JSON.stringify({
        ...poll(0, 0, 0),
        message: 'Compute Capacity',
        fleet,
        unused: 'x'.repeat(1_000),
      }),
    });
    aws.logs.set(
      '/aws/lambda/circleci-runners-compute-capacity',
      Array.from({ length: 699 }, (_, index) => line(index, index % 2 === 0 ? 'linux' : 'arm')),
    );
    const timestamp = Date.now() - 60_000;
    const error = { name: 'CircleCiNotFound', message: 'CircleCiNotFound: no such class' };
    aws.logs.set('/aws/lambda/circleci-runners-count-unclaimed', [
      {
        timestamp,
        message: JSON.stringify({ level: 'ERROR', message: 'Count Unclaimed', fleet: 'linux', error }),
      },
      { timestamp, message: 'a line of the runtime' },
    ]);
    const at = (secondsAgo: number) => new Date(Date.now() - secondsAgo * 1_000).toISOString();
    aws.activities.set(
      'circleci-runners-linux',
      `<member><Description>Launching a new EC2 instance: i-1</Description><StatusCode>Successful</StatusCode><StartTime>${at(600)}</StartTime><EndTime>${at(510)}</EndTime></member>` +
        `<member><Description>Launching a new EC2 instance: i-0</Description><StatusCode>Successful</StatusCode><StartTime>${at(9_000)}</StartTime><EndTime>${at(8_000)}</EndTime></member>`,
    );
  });

  afterEach(() => {
    aws.close();
    rmSync(folder, { recursive: true });
  });

  const command = (...words: string[]) => runAgainstAws(address(aws.server), 'explain', words);

  it('explains the last hour of a fleet, within 5 s', async () => {
    const { status, stdout } = await command('linux');
    expect(status).toBe(0);
    const text = stdout.replaceAll(/\s+/g, ' ');
    expect(text).toMatch(
      /^Nothing launches now: at the last poll, [\dsmin ]+ ago, CircleCI counted no waiting task and /,
    );
    expect(text).toContain(': 350 polls, 0 of them changed something.');
    expect(stdout).toMatch(/Count Unclaimed: CircleCiNotFound: no such class/);
    expect(text).toContain('1 launch: 1 in service, after 90 s');
    // The decisions, the waits for tokens, and the errors of each function.
    expect(aws.calls('FilterLogEvents')).toBe(2 + functionsOfWorkflow().length);
    expect(functionsOfWorkflow()).toEqual([
      'read-settings',
      'describe-activities',
      'count-unclaimed',
      'count-running',
      'describe-group',
      'compute-capacity',
      'update-group',
    ]);
    // The best of some, because the first one imports the SDK, and other tests run beside it.
    const seconds: number[] = [];
    for (let run = 0; run < 3; run += 1) {
      const began = performance.now();
      await command('linux');
      seconds.push((performance.now() - began) / 1_000);
    }
    expect(Math.min(...seconds)).toBeLessThan(5);
  });

  it('reads what the fleet has learned', async () => {
    expect(JSON.parse((await command('linux', '--json')).stdout).learned).toBeUndefined();
    aws.parameters.set('/circleci-runners/learned/linux', JSON.stringify(LEARNED));
    const { stdout } = await command('linux');
    expect(stdout).toContain('What the fleet has learned\n');
    expect(stdout).not.toMatch(/Not read: (?!the boots)/);
    const { learned, missing } = JSON.parse((await command('linux', '--json')).stdout);
    expect(learned.spares.contexts.length).toBeGreaterThan(1);
    expect(missing).toEqual(['the boots (AccessDeniedException)']);
    aws.parameters.set('/circleci-runners/learned/linux', 'something else');
    expect((await command('linux')).stdout).not.toContain('has learned');
  });

  it('says that the fleet waits for its tokens', async () => {
    aws.logs.delete('/aws/lambda/circleci-runners-compute-capacity');
    const waits = 'waits for its tokens: store them';
    aws.logs.set('/aws/lambda/circleci-runners-read-settings', [
      ...[150, 90, 30].map((ago) => ({
        timestamp: Date.now() - ago * 1_000,
        message: JSON.stringify({ level: 'INFO', message: 'Read Settings', fleet: 'linux', waits }),
      })),
      // Another line of the function, and one that the runtime writes.
      {
        timestamp: Date.now(),
        message: JSON.stringify({ level: 'INFO', message: 'Read Settings', fleet: 'linux' }),
      },
    ]);
    const { stdout } = await command('linux');
    expect(stdout).toMatch(/^Nothing launches now: the fleet waits for its tokens: store them\n/);
    expect(stdout).toMatch(
      /^What it waited for\n {2}3 executions, [\d:]{8} to [\d:]{8}: the fleet waits for its tokens/m,
    );
    const { awaiting } = JSON.parse((await command('linux', '--json')).stdout);
    expect(awaiting).toMatchObject({ waits, executions: 3 });
  });

  it('says that the group of a fleet is gone, not that there is no such fleet', async () => {
    aws.parameters.set('/circleci-runners/fleets/mac', JSON.stringify(deployedSettings()));
    const { status, stderr } = await command('mac');
    expect(status).toBe(2);
    expect(stderr.replaceAll(/\s+/g, ' ')).toContain(
      'The Auto Scaling group of fleet mac is gone, so each of its executions fails. Restore it: npx cdk deploy --all --revert-drift',
    );
  });

  it('explains a time that is over', async () => {
    const at = new Date(Date.now() - 1_800_000).toISOString();
    const { stdout } = await command('linux', '--at', at, '--json');
    const explained = JSON.parse(stdout);
    expect(explained).toMatchObject({ fleet: 'linux', polls: 45 });
    // The stand-in has no CloudWatch.
    expect(explained.missing).toEqual(['the boots (AccessDeniedException)']);
    expect(explained.now).toBeUndefined();
    expect(Date.parse(explained.to) - Date.parse(explained.from)).toBe(450_000);
  });

  it.each([
    { words: ['mac'], says: /^The fleet must be a deployed one \(arm, linux\), got "mac"$/m },
    {
      words: ['linux', '--at', '2999-01-01'],
      says: /^--at must be in the past, got 2999-01-01T00:00:00\.000Z\.$/m,
    },
    { words: ['linux', '--at', '2020-01-01'], says: /^--at must be in the last 14 days/m },
    { words: ['linux', '--at', 'noon'], says: /It must be a date, or a time with its offset/ },
    { words: ['linux', '--at', '2026-01-01', '--last', '2h'], says: /give one of them/ },
    { words: ['linux', '--last', '1s'], says: /It must be from 1m to 14d/ },
    { words: ['linux', '--stack', 'other'], says: /^Stack other has no fleets\./m },
  ])('refuses $words', async ({ words, says }) => {
    const { status, stderr } = await command(...words);
    expect(stderr).toMatch(says);
    expect(status).toBe(2);
  });

  it.each([
    { columns: 80, rows: 24 },
    { columns: 120, rows: 40 },
  ])('fits a terminal of $columns x $rows', async (size) => {
    const env = {
      ...process.env,
      AWS_ENDPOINT_URL: address(aws.server),
      AWS_REGION: 'eu-west-1',
      AWS_ACCESS_KEY_ID: 'test',
      AWS_SECRET_ACCESS_KEY: 'test',
    };
    const pty = new PseudoTerminal(commandWords('explain', 'linux'), size, { env, cwd: folder });
    expect(await pty.end()).toBe(0);
    expect(pty.screen.lines[0]).toMatch(/^Account 111122223333, region eu-west-1, stack circleci-runners/);
    expect(pty.screen.lines.filter((line) => line.length > size.columns)).toEqual([]);
    expect(pty.screen.lines).toContain('The outcome of the launches');
  });
});
