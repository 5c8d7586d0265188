import { beforeEach, describe, expect, it } from 'vitest';
import { Agenda } from '../../sandbox/agenda.ts';
import {
  AutoScalingGroup,
  type AutoScalingGroupSettings,
  GroupRefusal,
} from '../../sandbox/auto-scaling-group.ts';
import { DURATIONS } from '../../sandbox/group/durations.ts';
import type { LaunchFault } from '../../sandbox/group/faults.ts';
import { type Task, TaskQueue } from '../../sandbox/task-queue.ts';
import { counts } from '../support/sandbox.ts';

const {
  request,
  boot,
  warmBoot,
  warmStop,
  idleClaim,
  leave,
  leaveCall,
  idleTimeout,
  minimumBilling,
  launchHook,
  relaunch,
} = DURATIONS;
const READY = request + boot;
const WARM_READY = request + warmBoot;
/** From a launch out of the pool until its place is filled again. */
const REFILL = request + boot + warmStop;

let agenda: Agenda;
let queue: TaskQueue;
let events: string[];

beforeEach(() => {
  agenda = new Agenda();
  queue = new TaskQueue();
  events = [];
});

function group(settings: Partial<AutoScalingGroupSettings> = {}): AutoScalingGroup {
  return new AutoScalingGroup(
    {
      name: 'runners',
      minSize: 0,
      maxSize: 10,
      durations: DURATIONS,
      newInstancesProtectedFromScaleIn: true,
      watch: (at, _, kind) => events.push(`${at} ${kind}`),
      ...settings,
    },
    agenda,
    queue,
  );
}

/** Queues a job at a time, as the sandbox does. */
function job(runners: AutoScalingGroup, queuedAt: number, durationSeconds = 100): Task {
  const task = { queuedAt, durationSeconds };
  agenda.plan(queuedAt, () => {
    queue.add(task);
    runners.offerWork();
  });
  return task;
}

const figures = ({ desired, size, instances, totals }: AutoScalingGroup) => ({
  desired,
  size,
  listed: instances.length,
  ...totals,
});

const states = (runners: AutoScalingGroup) => runners.instances.map(({ state }) => state);

describe('an instance', () => {
  it('is requested, is pending, boots, claims, runs, and leaves: one job, one life', () => {
    const runners = group();
    const task = job(runners, 0);
    runners.setDesiredCapacity(1);
    agenda.advance(1_000);
    expect(events).toEqual([
      '0 launches',
      `${request} pending`,
      `${READY} ready`,
      `${READY} claims`,
      `${READY + 100} finishes`,
      `${READY + 100 + leaveCall} leaves`,
    ]);
    expect(task).toEqual({ queuedAt: 0, durationSeconds: 100, startedAt: READY, endedAt: READY + 100 });
    expect(figures(runners)).toMatchObject({ desired: 0, size: 0 });
  });

  it('is listed from pending on, and not before', () => {
    const runners = group();
    runners.setDesiredCapacity(2);
    agenda.advance(request - 1);
    expect(figures(runners)).toMatchObject({ size: 2, listed: 0 });
    agenda.advance(request);
    expect(states(runners)).toEqual(['Pending', 'Pending']);
    agenda.advance(READY);
    expect(states(runners)).toEqual(['InService', 'InService']);
  });

  it('lowers desired capacity when it leaves, so that the group does not replace it', () => {
    const runners = group();
    job(runners, 0);
    runners.setDesiredCapacity(1);
    agenda.advance(READY + 100 + leaveCall - 1);
    expect(figures(runners)).toMatchObject({ desired: 1, size: 1 });
    expect(states(runners)).toEqual(['InService']);
    agenda.advance(READY + 100 + leaveCall);
    expect(figures(runners)).toMatchObject({ desired: 0, size: 0, listed: 1 });
    expect(states(runners)).toEqual(['Terminating']);
    agenda.advance(READY + 100 + leave);
    expect(figures(runners)).toMatchObject({ desired: 0, size: 0, listed: 0 });
    agenda.advance(1_000);
    expect(figures(runners)).toMatchObject({ desired: 0, size: 0, launches: 1 });
  });

  it('is replaced when it leaves a group that is at its minimum', () => {
    const runners = group({ minSize: 1 });
    job(runners, 0);
    agenda.advance(READY + 100 + leaveCall + request);
    expect(figures(runners)).toMatchObject({ desired: 1, size: 1, launches: 2 });
  });
});

describe('a runner that is idle', () => {
  it('finds a job a moment after it was queued', () => {
    const runners = group();
    runners.setDesiredCapacity(1);
    const task = job(runners, READY + 50);
    agenda.advance(1_000);
    expect(task.startedAt).toBe(READY + 50 + idleClaim);
  });

  it('leaves after its idle timeout, and is an unused launch: it never ran a job', () => {
    const runners = group();
    runners.setDesiredCapacity(1);
    agenda.advance(1_000);
    expect(events.slice(-2)).toEqual([
      `${READY + idleTimeout} idles out`,
      `${READY + idleTimeout + leaveCall} leaves`,
    ]);
    expect(figures(runners)).toMatchObject({ desired: 0, size: 0, launches: 1, unusedLaunches: 1 });
  });

  it('does not idle out while it runs a job', () => {
    const runners = group();
    runners.setDesiredCapacity(1);
    const task = job(runners, READY + idleTimeout - 10, 5_000);
    agenda.advance(10_000);
    expect(task.endedAt).toBe(READY + idleTimeout - 10 + idleClaim + 5_000);
    expect(events).not.toContain(`${READY + idleTimeout} idles out`);
    expect(runners.totals.unusedLaunches).toBe(0);
  });

  it('shares the jobs with the others: each claims one', () => {
    const runners = group();
    runners.setDesiredCapacity(3);
    const tasks = [1, 2, 3].map((after) => job(runners, READY + after));
    agenda.advance(1_000);
    expect(tasks.map(({ startedAt }) => startedAt)).toEqual(
      [1, 2, 3].map((after) => READY + after + idleClaim),
    );
  });
});

describe('a job that an idle runner is about to find', () => {
  const queuedAt = READY + idleTimeout - 1;

  it('is found by another one if that runner idles out', () => {
    const runners = group();
    runners.setDesiredCapacity(1);
    agenda.advance(READY + 10);
    runners.setDesiredCapacity(2);
    const task = job(runners, queuedAt);
    agenda.advance(10_000);
    expect(task.startedAt).toBe(READY + idleTimeout + idleClaim);
  });

  it('is found by another one if that runner is taken away', () => {
    const runners = group({ newInstancesProtectedFromScaleIn: false });
    runners.setDesiredCapacity(2);
    const task = job(runners, READY + 10);
    agenda.advance(READY + 11);
    runners.setDesiredCapacity(1);
    agenda.advance(10_000);
    expect(task.startedAt).toBe(READY + 11 + idleClaim);
  });
});

describe('the queue', () => {
  it('is served in its order: who waited longest goes first', () => {
    const runners = group();
    const tasks = [5, 1, 3].map((queuedAt) => job(runners, queuedAt, 10));
    runners.setDesiredCapacity(1);
    agenda.advance(READY);
    expect(tasks.map(({ startedAt }) => startedAt)).toEqual([undefined, READY, undefined]);
    expect(counts(queue)).toMatchObject({ unclaimed: 2, running: 1, ended: 0 });
    agenda.advance(READY + 10);
    expect(counts(queue)).toMatchObject({ unclaimed: 2, running: 0, ended: 1 });
  });
});

describe('desired capacity', () => {
  it.each([
    { to: 11, says: '11 is above max value 10' },
    { to: -1, says: '-1 is below min value 0' },
  ])('of $to is refused', ({ to, says }) => {
    const runners = group();
    expect(() => runners.setDesiredCapacity(to)).toThrow(GroupRefusal);
    expect(() => runners.setDesiredCapacity(to)).toThrow(says);
    expect(figures(runners)).toMatchObject({ desired: 0, size: 0 });
  });

  it('that is set twice launches once', () => {
    const runners = group();
    runners.setDesiredCapacity(3);
    runners.setDesiredCapacity(3);
    agenda.advance(request);
    expect(runners.totals.launches).toBe(3);
  });

  it('that falls cancels launches that have not begun, which cost nothing and never counted', () => {
    const runners = group();
    runners.setDesiredCapacity(5);
    agenda.advance(request - 1);
    expect(runners.totals.launches).toBe(0);
    runners.setDesiredCapacity(2);
    expect(runners.totals.launches).toBe(0);
    agenda.advance(request);
    expect(runners.size).toBe(2);
    expect(runners.totals).toMatchObject({
      launches: 2,
      unusedLaunches: 0,
      billedSeconds: 2 * minimumBilling,
    });
  });

  it('that rises again after launches were cancelled gives nobody an id that another has', () => {
    const runners = group();
    runners.setDesiredCapacity(3);
    agenda.advance(1);
    runners.setDesiredCapacity(2);
    runners.setDesiredCapacity(3);
    agenda.advance(1 + request);
    expect(new Set(runners.instances.map(({ id }) => id)).size).toBe(3);
    expect(figures(runners)).toMatchObject({ size: 3, launches: 3 });
  });

  it('that falls takes no protected member away', () => {
    const runners = group();
    runners.setDesiredCapacity(3);
    agenda.advance(READY);
    runners.setDesiredCapacity(0);
    expect(states(runners)).toEqual(['InService', 'InService', 'InService']);
  });

  it('that falls kills members without protection, and the jobs on them: both are counted', () => {
    const runners = group({ newInstancesProtectedFromScaleIn: false });
    const task = job(runners, 0);
    runners.setDesiredCapacity(1);
    agenda.advance(READY + 40);
    runners.setDesiredCapacity(0);
    expect(task).toMatchObject({ startedAt: READY, endedAt: READY + 40, killed: true });
    expect(counts(queue)).toMatchObject({ running: 0, ended: 1 });
    agenda.advance(1_000);
    expect(events.slice(-2)).toEqual([`${READY + 40} killed`, `${READY + 40} leaves`]);
    expect(queue.ended).toBe(1);
  });
});

describe('a launch', () => {
  const faultyUntil = (until: number, fault: LaunchFault) => (now: number) =>
    now < until ? fault : undefined;

  it('that EC2 refuses is tried again until it succeeds', () => {
    const runners = group({ launchFault: faultyUntil(2 * relaunch, 'refused') });
    const task = job(runners, 0);
    runners.setDesiredCapacity(1);
    agenda.advance(1_000);
    expect(task.startedAt).toBe(2 * relaunch + READY);
    expect(runners.totals).toMatchObject({ launches: 1, refusedLaunches: 2 });
  });

  it('that EC2 refuses again and again has one more try planned, however often capacity is set', () => {
    const runners = group({ launchFault: () => 'refused' });
    for (const second of [0, 1, 2]) {
      agenda.advance(second);
      runners.setDesiredCapacity(3);
    }
    agenda.advance(relaunch * 3);
    expect(events).toEqual([0, 1, 2, relaunch, 2 * relaunch, 3 * relaunch].map((at) => `${at} refused`));
    expect(runners.totals).toMatchObject({ launches: 0, refusedLaunches: 6 });
  });

  it('whose instance never comes alive is taken away once, also if that is before its hook times out', () => {
    const runners = group({ launchFault: () => 'dead', newInstancesProtectedFromScaleIn: false });
    runners.setDesiredCapacity(1);
    agenda.advance(request + 100);
    runners.setDesiredCapacity(0);
    agenda.advance(10_000);
    expect(runners.totals).toMatchObject({ launches: 1, unusedLaunches: 1, billedSeconds: 100 });
  });

  it('whose instance never comes alive is replaced when its hook times out', () => {
    const runners = group({ launchFault: faultyUntil(1, 'dead') });
    const task = job(runners, 0);
    runners.setDesiredCapacity(1);
    agenda.advance(request + launchHook - 1);
    expect(states(runners)).toEqual(['Pending']);
    agenda.advance(2_000);
    expect(task.startedAt).toBe(request + launchHook + READY);
    expect(runners.totals).toMatchObject({ launches: 2, unusedLaunches: 1 });
  });

  it('that has no Spot capacity is tried again, as one that EC2 refuses', () => {
    const runners = group({ onDemandPercentage: 0, launchFault: faultyUntil(2 * relaunch, 'no-spot') });
    const task = job(runners, 0);
    runners.setDesiredCapacity(1);
    agenda.advance(1_000);
    expect(task.startedAt).toBe(2 * relaunch + READY);
    expect(runners.totals).toMatchObject({ launches: 1, refusedLaunches: 2 });
  });

  it.each([
    { onDemandPercentage: undefined, launches: 4 },
    { onDemandPercentage: 100, launches: 4 },
    // Of each four one is On-Demand, and the first: percentages are rounded up in favour of it.
    { onDemandPercentage: 25, launches: 1 },
    { onDemandPercentage: 0, launches: 0 },
  ])(
    'of On-Demand capacity needs no Spot capacity: $onDemandPercentage %',
    ({ onDemandPercentage, launches }) => {
      const runners = group({
        ...(onDemandPercentage !== undefined && { onDemandPercentage }),
        launchFault: () => 'no-spot',
      });
      runners.setDesiredCapacity(4);
      agenda.advance(request);
      expect(runners.totals.launches).toBe(launches);
      runners.onDemandPercentage = 100;
      agenda.advance(request + relaunch + request);
      expect(runners.totals.launches).toBe(4);
    },
  );

  it('whose boot fails ends after a third of the boot: the instance leaves, and the group does not replace it', () => {
    const runners = group({ launchFault: () => 'failing' });
    runners.setDesiredCapacity(3);
    agenda.advance(request + boot / 3 - 1);
    expect(states(runners)).toEqual(['Pending', 'Pending', 'Pending']);
    agenda.advance(request + boot / 3);
    expect(figures(runners)).toMatchObject({ desired: 0, size: 0 });
    agenda.advance(10_000);
    expect(runners.totals).toMatchObject({
      launches: 3,
      unusedLaunches: 3,
      billedSeconds: 3 * minimumBilling,
    });
  });

  it('whose boot fails is tried again where desired capacity cannot fall', () => {
    const runners = group({ minSize: 1, launchFault: faultyUntil(1, 'failing') });
    const task = job(runners, 0);
    agenda.advance(1_000);
    expect(task.startedAt).toBe(request + boot / 3 + READY);
    expect(figures(runners)).toMatchObject({ desired: 1, size: 1 });
  });

  it('is replaced if EC2 interrupts the instance after half of its boot', () => {
    const runners = group({ launchFault: faultyUntil(1, 'lost') });
    const task = job(runners, 0);
    runners.setDesiredCapacity(1);
    agenda.advance(request + boot / 2 - 1);
    expect(states(runners)).toEqual(['Pending']);
    agenda.advance(request + boot / 2);
    expect(figures(runners)).toMatchObject({ desired: 1, size: 1, listed: 0 });
    agenda.advance(1_000);
    expect(task.startedAt).toBe(request + boot / 2 + READY);
    expect(runners.totals).toMatchObject({ launches: 2, unusedLaunches: 1 });
  });

  it.each(['dead', 'failing', 'lost'] as const)(
    'whose instance is %s and is taken away before that is known leaves once',
    (fault) => {
      const runners = group({ launchFault: () => fault, newInstancesProtectedFromScaleIn: false });
      runners.setDesiredCapacity(1);
      agenda.advance(request + 1);
      runners.setDesiredCapacity(0);
      agenda.advance(10_000);
      expect(events.filter((kind) => kind.endsWith('leaves'))).toEqual([`${request + 1} leaves`]);
      expect(figures(runners)).toMatchObject({ desired: 0, size: 0, launches: 1 });
    },
  );
});

describe('a warm pool', () => {
  it('is full at the start, and costs nothing', () => {
    const runners = group({ warmPoolSize: 3 });
    agenda.advance(10_000);
    expect(runners.warmPool).toEqual({ size: 3, stopped: 3, warming: 0 });
    expect(figures(runners)).toMatchObject({ size: 0, launches: 0, billedSeconds: 0 });
  });

  it('gives a launch an instance that is ready in no time, and fills its place at once', () => {
    const runners = group({ warmPoolSize: 1 });
    const task = job(runners, 0);
    runners.setDesiredCapacity(1);
    expect(runners.warmPool).toEqual({ size: 1, stopped: 0, warming: 1 });
    agenda.advance(REFILL - 1);
    expect(task.startedAt).toBe(WARM_READY);
    expect(runners.warmPool).toMatchObject({ stopped: 0, warming: 1 });
    agenda.advance(REFILL);
    expect(runners.warmPool).toMatchObject({ stopped: 1, warming: 0 });
    agenda.advance(1_000);
    expect(events).toEqual([
      '0 launches',
      `${request} pending`,
      `${request} warms up`,
      `${WARM_READY} ready`,
      `${WARM_READY} claims`,
      `${REFILL} is warm`,
      `${WARM_READY + 100} finishes`,
      `${WARM_READY + 100 + leaveCall} leaves`,
    ]);
    expect(figures(runners)).toMatchObject({
      size: 0,
      launches: 1,
      warmLaunches: 1,
      billedSeconds: warmBoot + 100 + leave + (boot + warmStop),
    });
  });

  it.each([
    { pool: 0, ready: [READY, READY, READY] },
    { pool: 1, ready: [WARM_READY, READY, READY] },
    { pool: 2, ready: [WARM_READY, WARM_READY, READY] },
    { pool: 5, ready: [WARM_READY, WARM_READY, WARM_READY] },
  ])('of $pool has that many for three launches; the others boot', ({ pool, ready }) => {
    const runners = group({ warmPoolSize: pool });
    const tasks = ready.map(() => job(runners, 0));
    runners.setDesiredCapacity(3);
    agenda.advance(1_000);
    expect(tasks.map(({ startedAt }) => startedAt)).toEqual(ready);
    expect(runners.totals).toMatchObject({ launches: 3, warmLaunches: Math.min(pool, 3) });
    expect(runners.warmPool).toEqual({ size: pool, stopped: pool, warming: 0 });
  });

  it('whose place is not filled yet has nothing for the next launch', () => {
    const runners = group({ warmPoolSize: 1 });
    runners.setDesiredCapacity(1);
    agenda.advance(REFILL - 1);
    runners.setDesiredCapacity(2);
    expect(runners.totals.warmLaunches).toBe(1);
    agenda.advance(REFILL);
    runners.setDesiredCapacity(3);
    agenda.advance(REFILL + request);
    expect(runners.totals).toMatchObject({ launches: 3, warmLaunches: 2 });
  });

  it('keeps the instance of a launch that is cancelled before it has begun, and is not overfull', () => {
    const runners = group({ warmPoolSize: 1 });
    runners.setDesiredCapacity(1);
    agenda.advance(1);
    runners.setDesiredCapacity(0);
    expect(runners.warmPool?.stopped).toBe(1);
    agenda.advance(1_000);
    expect(runners.warmPool).toEqual({ size: 1, stopped: 1, warming: 0 });
    expect(runners.totals.launches).toBe(0);
  });

  it('is not filled while the Launch process is suspended', () => {
    const runners = group({ warmPoolSize: 2 });
    runners.setDesiredCapacity(1);
    runners.suspendedProcesses.add('Launch');
    agenda.advance(REFILL);
    expect(runners.warmPool).toEqual({ size: 2, stopped: 2, warming: 0 });
    runners.resumeProcesses(['Launch']);
    runners.suspendedProcesses.add('Launch');
    runners.setDesiredCapacity(2);
    expect(runners.warmPool).toEqual({ size: 2, stopped: 2, warming: 0 });
  });

  it.each([
    { fault: 'refused' as const, retried: relaunch, refused: 1 },
    { fault: 'failing' as const, retried: request + boot / 3, refused: 0 },
    { fault: 'lost' as const, retried: request + boot / 2, refused: 0 },
    { fault: 'dead' as const, retried: request + launchHook, refused: 0 },
  ])('tries again after an instance on its way into it is $fault', ({ fault, retried, refused }) => {
    let launches = 0;
    // The first launch is the one out of the pool.
    const runners = group({ warmPoolSize: 1, launchFault: () => (++launches === 2 ? fault : undefined) });
    runners.setDesiredCapacity(1);
    agenda.advance(retried + REFILL - 1);
    expect(runners.warmPool?.stopped).toBe(0);
    agenda.advance(retried + REFILL);
    expect(runners.warmPool).toEqual({ size: 1, stopped: 1, warming: 0 });
    expect(runners.totals.refusedLaunches).toBe(refused);
    expect(runners.activities.newest().map(({ status }) => status)).toContain(
      refused > 0 ? 'Failed' : 'Cancelled',
    );
  });

  it('is filled to another size, or terminates what is too much', () => {
    const runners = group({ warmPoolSize: 1 });
    runners.putWarmPool(3);
    expect(runners.warmPool).toEqual({ size: 3, stopped: 1, warming: 2 });
    agenda.advance(REFILL);
    expect(runners.warmPool).toEqual({ size: 3, stopped: 3, warming: 0 });
    runners.putWarmPool(0);
    agenda.advance(1_000);
    expect(runners.warmPool).toEqual({ size: 0, stopped: 0, warming: 0 });
  });
});

describe('a runner that is reused', () => {
  const REUSED = { reuse: 'continuous' as const };

  it('takes the next job a moment after the one before, and leaves when it has been idle', () => {
    const runners = group(REUSED);
    const tasks = [0, 0].map((queuedAt) => job(runners, queuedAt));
    runners.setDesiredCapacity(1);
    agenda.advance(10_000);
    const second = READY + 100 + idleClaim;
    expect(tasks.map(({ startedAt }) => startedAt)).toEqual([READY, second]);
    expect(events.slice(-2)).toEqual([
      `${second + 100 + idleTimeout} idles out`,
      `${second + 100 + idleTimeout + leaveCall} leaves`,
    ]);
    expect(runners.totals).toMatchObject({ launches: 1, unusedLaunches: 0 });
  });

  it.each([
    { case: 'just before it would leave', after: idleTimeout - idleClaim - 1, by: 'the same' },
    { case: 'after it has left', after: idleTimeout + leave + 1, by: 'nobody' },
  ])('that is offered a job $case: $by takes it', ({ after, by }) => {
    const runners = group(REUSED);
    job(runners, 0);
    const task = job(runners, READY + 100 + after);
    runners.setDesiredCapacity(1);
    agenda.advance(20_000);
    expect(task.startedAt).toBe(by === 'the same' ? READY + 100 + after + idleClaim : undefined);
    // The idle time starts again with each job.
    if (by === 'the same')
      expect(events).toContain(`${READY + 100 + after + idleClaim + 100 + idleTimeout} idles out`);
  });

  it('comes before those that have waited longer, which idle out', () => {
    const runners = group(REUSED);
    job(runners, 0, 10);
    job(runners, 0, 50);
    runners.setDesiredCapacity(2);
    const task = job(runners, READY + 60, 10_000);
    agenda.advance(READY + 10 + idleTimeout + leave);
    expect(task.startedAt).toBe(READY + 60 + idleClaim);
    expect(figures(runners)).toMatchObject({ desired: 1, size: 1 });
    expect(events).toContain(`${READY + 10 + idleTimeout} idles out`);
  });
});

describe('the bill', () => {
  it('runs from pending until the instance has left', () => {
    const runners = group();
    job(runners, 0);
    runners.setDesiredCapacity(1);
    agenda.advance(request);
    expect(runners.totals.billedSeconds).toBe(minimumBilling);
    agenda.advance(request + 75);
    expect(runners.totals.billedSeconds).toBe(75);
    agenda.advance(10_000);
    expect(runners.totals.billedSeconds).toBe(boot + 100 + leave);
  });

  it('is for at least a minute', () => {
    const runners = group({ durations: { ...DURATIONS, boot: 1, leaveCall: 1, leave: 1 } });
    job(runners, 0, 1);
    runners.setDesiredCapacity(1);
    agenda.advance(1_000);
    expect(runners.totals.billedSeconds).toBe(minimumBilling);
  });

  it('is nothing before EC2 lists the instance', () => {
    const runners = group();
    runners.setDesiredCapacity(10);
    agenda.advance(request - 1);
    expect(runners.totals.billedSeconds).toBe(0);
  });
});
