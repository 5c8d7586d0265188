import { expect, it } from 'vitest';
import type { Sandbox } from '../../sandbox/sandbox.ts';
import { summarise } from '../../sandbox/summary.ts';
import { LINUX, openSandbox } from '../support/sandbox.ts';

const MINUTE = 60;

/** A job every 50 seconds for seven minutes. */
const JOBS = Array.from({ length: 8 }, (_, number) => ({ queuedAt: number * 50, durationSeconds: 120 }));

interface World {
  name: string;
  /** Draws the jitter of retries. */
  random?: () => number;
  begin: (sandbox: Sandbox) => void;
}

/** Worlds whose clocks, random numbers, answers and faults differ. */
const WORLDS: World[] = [
  { name: 'without a fault', begin: () => undefined },
  {
    name: 'with a CircleCI whose proxy fails',
    random: () => 0.9,
    begin: ({ circleci }) => {
      circleci.fault = () => (circleci.requests % 7 === 0 ? { status: 502, body: '' } : undefined);
    },
  },
  {
    name: 'with a CircleCI that does not answer for 2 minutes',
    begin: ({ agenda, circleci }) => {
      agenda.plan(4 * MINUTE, () => {
        circleci.fault = () => 'hang';
      });
      agenda.plan(6 * MINUTE, () => {
        circleci.fault = () => undefined;
      });
    },
  },
  {
    name: 'with an AWS and a CircleCI that are slow',
    begin: ({ aws, circleci }) => {
      aws.latency = () => [0.3, 0.2];
      circleci.latency = () => [1.1, 0.4];
    },
  },
  {
    name: 'with functions whose clock is 90 s ahead',
    begin: (sandbox) => {
      sandbox.functionsAheadSeconds = 90;
    },
  },
];

/** Everything that twelve minutes of a world leave behind. */
async function resultOf({ random, begin }: World) {
  const sandbox = await openSandbox({ ...(random && { random }) });
  const events: object[] = [];
  sandbox.watch = (event) => events.push(event);
  const fleet = sandbox.addFleet(LINUX, JOBS);
  begin(sandbox);
  await sandbox.runUntil(12 * MINUTE);
  return {
    summary: summarise(fleet),
    events,
    executions: fleet.executions,
    metrics: sandbox.workflow.metrics,
    calls: [...sandbox.aws.calls],
    requests: sandbox.circleci.requests,
    now: sandbox.now,
  };
}

it('sandboxes that run at the same time in one process leave behind what each leaves alone', async () => {
  const alone: Awaited<ReturnType<typeof resultOf>>[] = [];
  for (const world of WORLDS) alone.push(await resultOf(world));
  const together = await Promise.all(WORLDS.map(resultOf));
  expect(together).toEqual(alone);
  // Each world is one of its own.
  const distinct = new Set(alone.map(({ executions }) => JSON.stringify(executions)));
  expect(distinct.size).toBe(WORLDS.length);
  for (const { summary } of alone) expect(summary.jobs).toBe(JOBS.length);
});
