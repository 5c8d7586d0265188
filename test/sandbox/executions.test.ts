import { describe, expect, it } from 'vitest';
import { SANDBOX_START } from '../../sandbox/trace.ts';
import type { EndedExecution } from '../../sandbox/workflow.ts';
import {
  counts,
  failuresIn,
  jobs,
  LINUX,
  oneFleet,
  openSandbox,
  polledAt,
  secondsTaken,
  visits,
} from '../support/sandbox.ts';

const never = (): never => {
  throw new Error('There is no such execution');
};

describe('an execution', () => {
  it('gives 3 unclaimed and 2 running tasks 5 instances', async () => {
    const { sandbox, world, execute } = await oneFleet({ fleet: { durations: { boot: 10 } } });
    for (const task of jobs(2)) world.queue.add({ ...task });
    await execute();
    for (const task of jobs(3)) world.queue.add({ ...task });
    expect(counts(world.queue)).toMatchObject({ unclaimed: 3, running: 2 });

    const execution = await execute();
    expect(execution.status).toBe('SUCCEEDED');
    expect(visits(execution, 'Update Group')[0]?.answer).toEqual({ desired: 5, written: true });
    expect(world.group.desired).toBe(5);
    expect(failuresIn(sandbox.workflow.metrics)).toEqual([]);
  });

  it('keeps busy members even if CircleCI counts nothing any more', async () => {
    const { sandbox, world } = await oneFleet({ queued: 4 });
    await sandbox.runUntil(120);
    expect(counts(world.queue)).toMatchObject({ unclaimed: 0, running: 4 });
    const nothing = '{"unclaimed_task_count":0,"running_runner_tasks":0}';
    sandbox.circleci.fault = () => ({ status: 200, body: nothing });
    await sandbox.runUntil(300);

    expect(world.outcomes).toEqual({ succeeded: 5, failed: 0 });
    expect(world.group.desired).toBe(4);
    expect(world.group.size).toBe(4);
    expect(sandbox.aws.calls.get('SetDesiredCapacity')).toBe(1);
  });

  it('cancels launches that have not begun when their tasks are gone', async () => {
    const { sandbox, world, execute } = await oneFleet({
      queued: 4,
      fleet: { durations: { request: 1_000 } },
    });
    sandbox.agenda.plan(12, () => {
      while (world.queue.claim(12)) {
        // another runner of the class, outside the group, takes them all
      }
      for (const task of world.queue.tasks.slice(1)) world.queue.end(task, 12, 'done');
    });
    await execute();
    expect(counts(world.queue)).toMatchObject({ unclaimed: 0, running: 1 });
    expect(world.group.desired).toBe(1);
  });

  it.each([
    { case: 'more were asked for', had: 0, queued: 5, meanwhile: 7, left: 7 },
    { case: 'as many were asked for', had: 0, queued: 5, meanwhile: 5, left: 5 },
    { case: 'fewer were asked for', had: 0, queued: 5, meanwhile: 3, left: 5 },
    { case: 'more were asked for, which a fall would cancel', had: 4, queued: 1, meanwhile: 6, left: 6 },
    { case: 'fewer were asked for, whose fall is enough', had: 4, queued: 1, meanwhile: 2, left: 2 },
  ])(
    'reads the group again before it writes: when $case since it decided, $left are left',
    async (example) => {
      const { had, queued, meanwhile, left } = example;
      const { world, execute } = await oneFleet({
        queued,
        fleet: { pollIntervalSeconds: 60, durations: { request: 1_000 } },
        replace: {
          'Compute Capacity': async (input, computeCapacity) => {
            const decided = await computeCapacity(input);
            world.group.setDesiredCapacity(meanwhile);
            return decided;
          },
        },
      });
      world.group.setDesiredCapacity(had);
      const execution = await execute();
      expect(visits(execution, 'Update Group')).toHaveLength(1);
      expect(world.group.desired).toBe(left);
    },
  );

  it('treats the answer undefined as null, as Lambda does', async () => {
    const { execute } = await oneFleet({
      queued: 1,
      fleet: { pollIntervalSeconds: 60 },
      replace: { 'Update Group': async () => undefined },
    });
    const execution = await execute();
    expect(execution.status).toBe('SUCCEEDED');
    expect(visits(execution, 'Update Group')[0]?.output).toMatchObject({ updated: null });
  });

  it('follows the queue from poll to poll', async () => {
    const sandbox = await openSandbox();
    const world = sandbox.addFleet(LINUX, [...jobs(1), ...jobs(2, 600, 8), ...jobs(20, 600, 31)]);
    sandbox.catchUp();
    const execution = await sandbox.execute('linux');
    const updates = visits(execution, 'Update Group').map(({ answer }) => answer);
    expect(updates).toEqual([1, 3, 10].map((desired) => ({ desired, written: true })));
    expect(world.group.desired).toBe(10);
  });

  it("reads the group's activities once, however often it polls", async () => {
    const { sandbox, execute } = await oneFleet({ queued: 1, fleet: { pollIntervalSeconds: 5 } });
    const execution = await execute();
    expect(visits(execution, 'Observe')).toHaveLength(11);
    expect(sandbox.aws.calls.get('DescribeScalingActivities')).toBe(1);
  });

  it('records the parameters and the answer of each step in each poll', async () => {
    const { execute } = await oneFleet({ queued: 1, fleet: { pollIntervalSeconds: 20 } });
    const execution = await execute();
    for (const step of ['Count Unclaimed', 'Compute Capacity']) {
      const asked = visits(execution, step).map(({ parameters }) => parameters);
      expect(asked).toMatchObject([1, 2, 3].map((number) => ({ poll: { number } })));
    }
    const planned = visits(execution, 'Compute Capacity').map(({ answer }) => answer);
    expect(planned).toMatchObject([2, 3, 4].map((number) => ({ next: { poll: { number } } })));
  });
});

const BEFORE = [
  'Hash Input',
  'Own Second?',
  'Wait 3 Seconds',
  'Read Settings',
  'Wait For Own Second',
  'Describe Activities',
  'Breaker Open?',
];
const POLL = [
  'Observe',
  'Count Unclaimed',
  'Count Running',
  'Describe Group',
  'Compute Capacity',
  'What Next?',
];

describe('an execution goes through the definition as it is drawn', () => {
  const everyMinute = { pollIntervalSeconds: 60 };
  const names = ({ path }: EndedExecution) => path.map(({ state }) => state);

  it('when there is nothing to do', async () => {
    const { execute } = await oneFleet({ fleet: everyMinute });
    expect(names(await execute())).toEqual([...BEFORE, 'First Poll', ...POLL, 'Done']);
  });

  it('when there is something to do', async () => {
    const { execute } = await oneFleet({ queued: 1, fleet: everyMinute });
    expect(names(await execute())).toEqual([
      ...BEFORE,
      'First Poll',
      ...POLL,
      'Update Group',
      'Another Poll?',
      'Done',
    ]);
  });

  it('when it polls again', async () => {
    const { execute } = await oneFleet({ queued: 1, fleet: { pollIntervalSeconds: 30 } });
    expect(names(await execute())).toEqual([
      ...BEFORE,
      'First Poll',
      ...POLL,
      'Update Group',
      'Another Poll?',
      'Wait For Next Poll',
      ...POLL,
      'Done',
    ]);
  });

  it('when the breaker is open, with one message to the topic', async () => {
    const { sandbox, world } = await oneFleet({
      queued: 3,
      fleet: { ...everyMinute, launchFault: () => 'failing' },
    });
    await sandbox.runUntil(180);
    const withOpenBreaker = [...BEFORE, 'Breaker Open', 'First Poll', ...POLL, 'Done'];
    expect(world.executions.slice(1).map(names)).toEqual([
      // It suspends the group's launches.
      withOpenBreaker.toSpliced(-1, 0, 'Update Group', 'Another Poll?').toSpliced(7, 0, 'Announce Breaker'),
      withOpenBreaker,
    ]);
    expect(sandbox.workflow.messages).toMatchObject([{ subject: 'Breaker open: fleet linux' }]);
  });
});

const ALL_MINUTE = [0, 5, 10, 15, 20, 25, 30, 35, 40, 45, 50];

describe('polls', () => {
  it.each([
    { every: 5, polls: ALL_MINUTE },
    { every: 20, polls: [0, 20, 40] },
    { every: 60, polls: [0] },
  ])('come every $every s, and are over before the next execution starts', async ({ every, polls }) => {
    const { execute } = await oneFleet({ queued: 1, fleet: { pollIntervalSeconds: every } });
    const execution = await execute();
    expect(polledAt(execution)).toEqual(polls);
    expect(secondsTaken(execution)).toBeLessThan(59);
  });

  it('are less frequent while the fleet is idle, and frequent again after the first task', async () => {
    const sandbox = await openSandbox();
    const world = sandbox.addFleet(LINUX, [...jobs(1, 60), ...jobs(1, 60, 250 * 60 + 30)]);
    await sandbox.runUntil(252 * 60);
    const polls = world.executions.map(polledAt);
    // The first job's instance has left after 158 s.
    for (const minute of [0, 10, 21]) expect(polls[minute]).toEqual(ALL_MINUTE);
    expect(polls[45]).toEqual([0, 11, 22, 33, 44]);
    expect(polls[63]).toEqual([0, 16, 32, 48]);
    expect(polls[125]).toEqual([0, 31]);
    for (const minute of [244, 250]) expect(polls[minute]).toEqual([0]);
    expect(polls[251]).toEqual(ALL_MINUTE);
    expect(world.outcomes.failed).toBe(0);
  });

  it('are frequent in a new fleet, and the first job is seen at the next one', async () => {
    const sandbox = await openSandbox();
    const world = sandbox.addFleet({ ...LINUX, ageSeconds: 0 }, jobs(1, 60, 45 * 60 + 12));
    await sandbox.runUntil(46 * 60);
    const polls = world.executions.map(polledAt);
    for (const minute of [0, 10, 19]) expect(polls[minute]).toEqual(ALL_MINUTE);
    expect(polls[30]).toEqual([0, 8, 16, 24, 32, 40, 48]);
    const [written] = visits(world.executions[45] ?? never(), 'Update Group');
    expect(written?.answer).toEqual({ desired: 1, written: true });
    expect(((written?.at ?? 0) - SANDBOX_START.getTime()) / 1_000 - 45 * 60).toBeLessThan(25);
  });

  it('are as rare in an old fleet without an activity as in one that has been idle for as long', async () => {
    const { execute } = await oneFleet({ fleet: { ageSeconds: 14_400 } });
    const execution = await execute();
    expect(polledAt(execution)).toEqual([0]);
    expect(visits(execution, 'Describe Group')[0]?.answer).not.toHaveProperty('createdAt');
  });

  it('are at most quietPollInterval apart', async () => {
    const { execute } = await oneFleet({ fleet: { quietPollIntervalSeconds: 20 } });
    expect(polledAt(await execute())).toEqual([0, 20, 40]);
  });

  it('become frequent in the execution that first sees a task', async () => {
    const sandbox = await openSandbox();
    sandbox.addFleet({ ...LINUX, quietPollIntervalSeconds: 20 }, jobs(1, 60, 25));
    sandbox.catchUp();
    expect(polledAt(await sandbox.execute('linux'))).toEqual([0, 20, 40, 45, 50]);
  });

  it('publish only their duration while nothing happens', async () => {
    const { sandbox, execute } = await oneFleet();
    await execute();
    expect(sandbox.workflow.metrics.map(({ name }) => name)).toEqual(['PollDuration']);
  });
});
