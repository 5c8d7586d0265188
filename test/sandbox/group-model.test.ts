import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Launch } from '../../functions/lib/breaker.ts';
import { describeActivities } from '../../functions/lib/scaling-activities.ts';
import { Agenda } from '../../sandbox/agenda.ts';
import { AutoScalingGroup } from '../../sandbox/auto-scaling-group.ts';
import { ScalingActivities } from '../../sandbox/group/activities.ts';
import { descriptionOf } from '../../sandbox/group/activity-texts.ts';
import { DURATIONS } from '../../sandbox/group/durations.ts';
import type { EventKind, Watch } from '../../sandbox/group/events.ts';
import type { LaunchFault } from '../../sandbox/group/faults.ts';
import { GroupModel } from '../../sandbox/group/group.ts';
import type { GroupModelSettings, Leaving } from '../../sandbox/group/group-settings.ts';
import type { Instance } from '../../sandbox/group/instance.ts';
import { JobQueue, NO_JOB } from '../../sandbox/group/job-queue.ts';
import { leavesAfter } from '../../sandbox/group/runners.ts';
import { Totals } from '../../sandbox/group/totals.ts';
import { TaskQueue } from '../../sandbox/task-queue.ts';
import { embeddedAws } from '../support/aws.ts';

const {
  request,
  boot,
  leave,
  leaveCall,
  notice,
  idleClaim,
  idleTimeout,
  tidyUp,
  minimumBilling,
  launchHook,
} = DURATIONS;
const READY = request + boot;
const JOB_SECONDS = 100;

const { aws, autoScaling } = await embeddedAws();

let agenda: Agenda;
let jobs: JobQueue;
/** Every event of the group: its time, its kind, its instance, and why the instance left. */
let events: string[];

beforeEach(() => {
  agenda = new Agenda();
  jobs = new JobQueue(() => JOB_SECONDS);
  events = [];
});

/** Events of no instance, what an instance does to its group, and its end. */
const UNSHOWN: readonly EventKind[] = ['queued', 'desired', 'stock', 'lowers', 'ends'];

const record: Watch = (kind, at, instance) => {
  if (UNSHOWN.includes(kind)) return;
  const reason = kind === 'leaves' ? `: ${instance?.reason}` : '';
  events.push(`${at} ${instance?.number ?? '-'} ${kind}${reason}`);
};

const SETTINGS: GroupModelSettings = {
  durations: DURATIONS,
  startsAt: 0,
  minSize: 0,
  protectedFromScaleIn: true,
  onDemand: { base: 0, percentage: 100 },
  leaving: 'decrements',
  failedBoot: 'leaves',
  warmPool: 0,
  reuse: false,
  retries: false,
  leavesAt: leavesAfter(idleTimeout, 0),
  launchFault: () => undefined,
  interruptedAfter: () => Number.POSITIVE_INFINITY,
};

function group(settings: Partial<GroupModelSettings> = {}, watch = record): GroupModel {
  return new GroupModel({ ...SETTINGS, ...settings }, agenda, jobs, watch);
}

function wanted(runners: GroupModel, desired: number): void {
  runners.desired = desired;
  runners.reconcile();
}

const counts = ({ desired, size, alive, left }: GroupModel) => ({ desired, size, alive, left });

const descriptions = ({ activities }: GroupModel) => activities.newest().map(descriptionOf).reverse();

describe('an instance whose runner is done', () => {
  const DONE = READY + JOB_SECONDS;
  it.each<{ leaving: Leaving; atOnce: object; called: object; left: number; later: object; says: string[] }>([
    {
      leaving: 'decrements',
      atOnce: { desired: 1, size: 1, alive: 1 },
      // It is billed, and no member: the group may launch another in its place.
      called: { desired: 0, size: 0, alive: 1, left: 1 },
      left: leaveCall,
      later: { desired: 0, size: 0, alive: 0, left: 0 },
      says: ['Launching a new', 'Terminating'],
    },
    {
      leaving: 'detaches',
      atOnce: { desired: 0, size: 0, alive: 1 },
      called: { desired: 0, size: 0, alive: 1, left: 1 },
      left: leave,
      later: { desired: 0, size: 0, alive: 0, left: 0 },
      says: ['Launching a new', 'Detaching'],
    },
    {
      leaving: 'stops',
      atOnce: { desired: 1, size: 1, alive: 1 },
      called: { desired: 1, size: 1, alive: 1, left: 1 },
      left: leave,
      // Nobody has lowered the desired capacity, and the group has not noticed yet.
      later: { desired: 1, size: 0, alive: 0, left: 1 },
      says: ['Launching a new'],
    },
  ])('and that $leaving is a member until then', ({ leaving, atOnce, called, left, later, says }) => {
    const runners = group({ leaving });
    jobs.enqueue();
    wanted(runners, 1);
    agenda.advance(DONE);
    expect(counts(runners)).toMatchObject(atOnce);
    agenda.advance(DONE + leaveCall);
    expect(counts(runners)).toEqual(called);
    agenda.advance(DONE + leave);
    expect(counts(runners)).toEqual(later);
    expect(events.at(-1)).toBe(`${DONE + left} 1 leaves: done`);
    expect(descriptions(runners).map((text) => text.replace(/ EC2 instance.*/, ''))).toEqual(says);
  });

  it('and that stops is forgotten when the group notices, if it is desired no more', () => {
    const runners = group({ leaving: 'stops' });
    jobs.enqueue();
    wanted(runners, 1);
    agenda.advance(DONE + leave);
    runners.desired = 0;
    agenda.advance(DONE + leave + notice);
    expect(counts(runners)).toEqual({ desired: 0, size: 0, alive: 0, left: 0 });
  });

  it('and that stops is replaced when the group notices, if it is still desired', () => {
    const runners = group({ leaving: 'stops' });
    jobs.enqueue();
    wanted(runners, 1);
    agenda.advance(DONE + leave + notice);
    expect(events.at(-1)).toBe(`${DONE + leave + notice} 2 launches`);
    expect(descriptions(runners)[1]).toMatch(/^Terminating EC2 instance: i-0+1$/);
  });
});

describe('a boot that fails', () => {
  it('leaves an instance for hours if nothing ends it, which counts as in service', () => {
    const runners = group({ failedBoot: 'stays', launchFault: () => 'failing' });
    wanted(runners, 1);
    agenda.advance(request + boot / 3);
    expect(runners).toMatchObject({ pending: 0, inService: 1 });
    agenda.advance(request + boot / 3 + tidyUp);
    expect(events.at(-1)).toBe(`${request + boot / 3 + tidyUp} 1 leaves: boot failed`);
  });

  it('leaves an instance that sends nothing as well, in a group without a launch hook', () => {
    const runners = group({ failedBoot: 'stays', launchFault: () => 'dead' });
    wanted(runners, 1);
    agenda.advance(READY + tidyUp - 1);
    expect(counts(runners)).toMatchObject({ size: 1, alive: 1 });
    agenda.advance(READY + tidyUp);
    expect(counts(runners)).toEqual({ desired: 0, size: 0, alive: 1, left: 1 });
    agenda.advance(READY + tidyUp + leave - leaveCall);
    expect(counts(runners)).toEqual({ desired: 0, size: 0, alive: 0, left: 0 });
  });
});

describe('an instance that EC2 takes back', () => {
  const spot = { onDemand: { base: 0, percentage: 0 }, interruptedAfter: () => boot + 40 };
  const TAKEN = READY + 40;

  it('kills its job, and is replaced', () => {
    const runners = group(spot);
    jobs.enqueue();
    wanted(runners, 1);
    agenda.advance(TAKEN);
    expect(events.slice(-4)).toEqual([
      `${TAKEN} 1 taken back`,
      `${TAKEN} 1 killed`,
      `${TAKEN} 1 leaves: taken back`,
      `${TAKEN} 2 launches`,
    ]);
    expect(descriptions(runners)[1]).toMatch(/^Terminating/);
    expect(jobs).toMatchObject({ running: 0, ended: 1, unclaimed: 0 });
  });

  it('leaves its job to a runner that is idle, if jobs are retried', () => {
    const runners = group({ ...spot, retries: true });
    jobs.enqueue();
    wanted(runners, 1);
    agenda.advance(READY);
    runners.runners.addForeign(1);
    agenda.advance(TAKEN + idleClaim);
    expect(events.at(-1)).toBe(`${TAKEN + idleClaim} -1 claims`);
  });

  it('leaves its job to the next runner, if jobs are retried and none is idle', () => {
    const runners = group({ ...spot, retries: true });
    jobs.enqueue();
    wanted(runners, 1);
    agenda.advance(TAKEN);
    expect(jobs).toMatchObject({ running: 0, ended: 0, unclaimed: 1 });
    expect(events).toContain(`${TAKEN} 1 retried`);
    agenda.advance(TAKEN + READY);
    expect(events.at(-1)).toBe(`${TAKEN + READY} 2 claims`);
  });
});

describe('a fall of the desired capacity', () => {
  it('leaves an instance that is protected, and takes the next one', () => {
    const runners = group({ protectedFromScaleIn: false });
    wanted(runners, 3);
    agenda.advance(READY);
    const [first] = runners.members;
    if (first) runners.protect(first, true);
    wanted(runners, 1);
    expect([...runners.members]).toEqual([first]);
    if (first) runners.protect(first, false);
    wanted(runners, 0);
    expect(runners.size).toBe(0);
  });

  it('ends unprotected members before it cancels a launch, the oldest first', () => {
    const runners = group({ protectedFromScaleIn: false });
    wanted(runners, 2);
    agenda.advance(READY);
    wanted(runners, 4);
    const numbers = () => [...runners.members].map(({ number }) => number);
    expect(numbers()).toEqual([1, 2, 3, 4]);
    wanted(runners, 3);
    expect(numbers()).toEqual([2, 3, 4]);
    wanted(runners, 2);
    expect(numbers()).toEqual([3, 4]);
    wanted(runners, 1);
    expect(numbers()).toEqual([4]);
  });
});

describe('a mixture of On-Demand and Spot', () => {
  it('launches On-Demand again once the instance of the base has left', () => {
    const runners = group({ onDemand: { base: 1, percentage: 0 }, protectedFromScaleIn: false });
    const isOnDemand = () => [...runners.members].map(({ onDemand }) => onDemand);
    wanted(runners, 2);
    agenda.advance(READY);
    expect(isOnDemand()).toEqual([true, false]);
    wanted(runners, 1);
    wanted(runners, 3);
    expect(isOnDemand()).toEqual([false, true, false]);
  });
});

describe('a warm pool', () => {
  it('gives the next launch the instance of a cancelled one', () => {
    const runners = group({ warmPool: 2 });
    const first = () => [...runners.members].map(({ number }) => number);
    wanted(runners, 1);
    expect(first()).toEqual([1]);
    wanted(runners, 0);
    wanted(runners, 1);
    expect(first()).toEqual([1]);
  });

  it('takes nothing back that it has no room for any more', () => {
    const runners = group({ warmPool: 1 });
    wanted(runners, 1);
    runners.warmPool.resize(0);
    wanted(runners, 0);
    expect(runners.warmPool).toMatchObject({ size: 0, stopped: 0 });
  });

  it('grows only when launches are not suspended', () => {
    const runners = group();
    runners.suspended = true;
    runners.warmPool.resize(2);
    expect(runners.warmPool).toMatchObject({ stopped: 0, warming: 0 });
    runners.suspended = false;
    runners.reconcile();
    expect(runners.warmPool).toMatchObject({ stopped: 0, warming: 2 });
  });
});

describe('the record of activities', () => {
  it('is not complete once old ones were dropped, however few are left of those that count', () => {
    const activities = new ScalingActivities(() => 0);
    const change = { from: 0, to: 1 };
    for (let launch = 0; launch < 1_000; launch += 1) activities.forget(activities.launch(1, change));
    activities.succeed(activities.launch(1, change));
    expect(activities.record(true)).toMatchObject({ launches: [{ outcome: 'succeeded' }], complete: true });
    for (let launch = 0; launch < 1_000; launch += 1) activities.forget(activities.launch(1, change));
    expect(activities.record(true).complete).toBe(false);
  });

  it('keeps a launch in progress, however many activities came after it', () => {
    const activities = new ScalingActivities(() => 0);
    const change = { from: 0, to: 1 };
    const launch = activities.launch(1, change);
    for (let other = 0; other < 3_000; other += 1) activities.scaleIn(2, change);
    activities.succeed(launch);
    expect(activities.newest()).toContain(launch);
  });

  it('ends activities in whole seconds, as AWS does', () => {
    const activities = new ScalingActivities(() => 1_700);
    const launch = activities.launch(1, { from: 0, to: 1 });
    activities.succeed(launch);
    expect(launch).toMatchObject({ startedAt: 1_700, endedAt: 1_000 });
  });
});

describe('a queue of jobs', () => {
  it('hands out a job of a lost instance before those that wait', () => {
    for (let job = 0; job < 2; job += 1) jobs.enqueue();
    const lost = jobs.take(0);
    jobs.retry(lost);
    expect([jobs.take(0), jobs.take(0)]).toEqual([lost, 1]);
  });

  it('hands out no job while the other classes of the plan use up its limit', () => {
    const other = new JobQueue(() => JOB_SECONDS);
    const plan = { limit: 1, queues: [jobs, other], freed: () => undefined };
    for (const queue of plan.queues) {
      queue.plan = plan;
      queue.enqueue();
    }
    expect([other.take(0), jobs.take(0)]).toEqual([0, NO_JOB]);
    other.finish(0, 0, 'done');
    expect(jobs.take(0)).toBe(0);
  });
});

describe('a member in standby', () => {
  it('does not lower the desired capacity when it leaves', () => {
    const runners = group();
    jobs.enqueue();
    wanted(runners, 1);
    agenda.advance(READY);
    const [member] = runners.members;
    if (member) runners.takeOut(member, 'standby', false);
    agenda.advance(READY + JOB_SECONDS + leave);
    expect(member?.reason).toBe('done');
    expect(counts(runners)).toMatchObject({ desired: 1, size: 1 });
  });
});

describe('runners outside the group', () => {
  it('take jobs one after the other, cost nothing, and stay', () => {
    const totals = new Totals(minimumBilling);
    const runners = group({}, (...event) => totals.add(...event));
    runners.runners.addForeign(1);
    for (let job = 0; job < 3; job += 1) {
      runners.runners.queued(jobs.enqueue());
    }
    agenda.advance(10_000);
    expect(jobs).toMatchObject({ ended: 3, unclaimed: 0 });
    expect(totals.at(10_000, runners.members)).toMatchObject({ launches: 0, billedSeconds: 0 });
  });
});

const FAULT = fc.constantFrom<LaunchFault | undefined>(
  'refused',
  'no-spot',
  'dead',
  'failing',
  'lost',
  'deaf',
  undefined,
  undefined,
);

describe('whatever happens to a group,', () => {
  it('its members are pending, in service or asked for, and its totals follow from the list of events', () => {
    fc.assert(
      fc.property(
        fc.array(FAULT, { maxLength: 15 }),
        fc.array(
          fc.record({
            after: fc.integer({ min: 0, max: 200 }),
            desired: fc.nat({ max: 6 }),
            jobs: fc.nat({ max: 3 }),
            pool: fc.constantFrom(undefined, undefined, 0, 3),
          }),
          { maxLength: 10 },
        ),
        fc.record({
          leaving: fc.constantFrom<Leaving>('decrements', 'detaches', 'stops'),
          failedBoot: fc.constantFrom('leaves', 'stays'),
          protectedFromScaleIn: fc.boolean(),
          reuse: fc.boolean(),
          retries: fc.boolean(),
          warmPool: fc.constantFrom(0, 2),
          onDemand: fc.constantFrom({ base: 0, percentage: 100 }, { base: 1, percentage: 50 }),
        }),
        (faults, steps, settings) => {
          agenda = new Agenda();
          jobs = new JobQueue(() => JOB_SECONDS);
          const list: Parameters<Watch>[] = [];
          const live = new Totals(minimumBilling);
          const all = new Set<Instance>();
          const remaining = [...faults];
          const launchFault = (_: number, onDemand: boolean) => {
            const fault = remaining.shift();
            return fault === 'no-spot' && onDemand ? undefined : fault;
          };
          const runners = group({ ...settings, launchFault, interruptedAfter: () => 250 }, (...event) => {
            list.push(event);
            live.add(...event);
            if (event[0] === 'launches' && event[2]) all.add(event[2]);
          });
          for (const { after, desired, jobs: queued, pool } of steps) {
            agenda.advance(agenda.now + after);
            for (let job = 0; job < queued; job += 1) {
              runners.runners.queued(jobs.enqueue());
            }
            if (pool !== undefined) runners.warmPool.resize(pool);
            wanted(runners, desired);
            const states = [...runners.members].map(({ state }) => state);
            expect(states).not.toContain('gone');
            expect(runners.pending).toBe(states.filter((state) => state === 'Pending').length);
            expect(runners.inService).toBe(states.filter((state) => state === 'InService').length);
            const alive = [...all].filter(({ gone, pendingAt }) => !gone && pendingAt <= agenda.now);
            expect(runners.alive).toBe(alive.length);
          }
          agenda.advance(agenda.now + 5_000);
          const again = new Totals(minimumBilling);
          for (const event of list) again.add(...event);
          expect(again.at(agenda.now, runners.members)).toEqual(live.at(agenda.now, runners.members));
          expect(list.map(([, at]) => at)).toEqual(list.map(([, at]) => at).toSorted((a, b) => a - b));
          const of = (kind: EventKind) => list.filter(([each]) => each === kind).length;
          expect(of('queued')).toBe(jobs.queued);
          expect(of('claims')).toBe(of('finishes') + of('killed') + of('retried') + jobs.running);
          expect(of('launches') - [...all].filter(({ gone }) => gone).length).toBe(runners.members.size);
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe('the record of activities is what the workflow reads of their texts:', () => {
  const NAME = 'runners';

  const faults: (LaunchFault | undefined)[] = [
    undefined,
    'refused',
    'no-spot',
    'dead',
    'failing',
    'lost',
    'deaf',
  ];
  it.each(faults.flatMap((fault) => [0, 1].map((pool) => ({ fault, pool }))))(
    'launches that are $fault, with a warm pool of $pool',
    async ({ fault, pool }) => {
      let launches = 0;
      const runners = new AutoScalingGroup(
        {
          name: NAME,
          minSize: 0,
          maxSize: 10,
          durations: DURATIONS,
          newInstancesProtectedFromScaleIn: true,
          onDemandPercentage: 0,
          warmPoolSize: pool,
          // The second, which with a pool is on its way into it.
          launchFault: () => (++launches === 2 ? fault : undefined),
        },
        agenda,
        new TaskQueue(),
      );
      aws.groups.set(NAME, runners);
      runners.setDesiredCapacity(2);
      for (const at of [0, request, READY, READY + 50, request + launchHook, 2_000]) {
        agenda.advance(at);
        const read = await describeActivities(autoScaling, NAME);
        const reasonless = (launch: Launch) => ({ ...launch, reason: undefined });
        const { launches, boots, complete } = runners.activities.record(false);
        expect(launches.map(reasonless)).toEqual(read.launches.map(reasonless));
        expect(boots).toEqual(
          read.boots.map((each) => ({ ...each, endedAt: Math.max(each.endedAt, each.startedAt) })),
        );
        expect(complete).toBe(read.complete);
      }
    },
  );
});
