import { Fleet } from '../fleets/fleet.ts';
import type { FleetConfig } from '../fleets/load.ts';
import { alarmsOver } from '../sandbox/alarms.ts';
import { OF_GROUP, OF_SECRETS } from '../sandbox/faults/aws.ts';
import { OF_CIRCLECI } from '../sandbox/faults/circleci.ts';
import { calm, type Fault } from '../sandbox/faults/fault.ts';
import { OF_DECISIONS, OF_LAMBDA, OF_MORE_AT_ONCE } from '../sandbox/faults/workflow.ts';
import { OF_LAUNCHES, OF_THE_WORLD } from '../sandbox/faults/world.ts';
import { Sandbox } from '../sandbox/sandbox.ts';
import { ON_TIME, type Starts } from '../sandbox/schedule.ts';
import { SANDBOX_START } from '../sandbox/trace.ts';
import { alarmsOfFleet } from '../statemachine/alarms.ts';

/** One episode of a soak: a fleet on the real workflow, with random faults that overlap. */

const MINUTE = 60;
const HOUR = 60 * MINUTE;

/** How long each sandbox runs, and how long before its end the last fault ends. */
const EPISODE = 10 * HOUR;
const CALM = 150 * MINUTE;

/** No alarm may ring in the last minutes of an episode. */
const STUCK = 10;
/**
 * After jobs have waited for this many minutes without a claim, an alarm must ring, or have rung in the same number of
 * minutes before.
 */
const SILENT = 15;
/** An execution tells of a claim when it ends, and may start late. An alarm is evaluated at the end of a minute. */
const SLACK = 3;

/** As EventBridge Scheduler may start executions: in half of the episodes up to 59 s late, now and then not at all, or twice. */
function drawStarts(random: () => number): Starts {
  if (random() < 0.5) return ON_TIME;
  const drawn = Array.from({ length: EPISODE / MINUTE + 1 }, () => {
    const number = random();
    const late = () => Math.floor(random() * 60);
    if (number < 0.05) return [];
    return number > 0.95 ? [late(), late()] : [random() < 0.5 ? 0 : late()];
  });
  return (minute) => drawn[minute] ?? [0];
}

/** Faults of the same subject replace each other; others overlap. */
const isOfLaunches = (fault: Fault) =>
  /^(EC2|a sixth|launches have|CircleCI (hands|lets)|the plan lets)/.test(fault.name);
const SUBJECTS: readonly Fault[][] = [
  OF_CIRCLECI,
  [...OF_SECRETS, ...OF_GROUP],
  [...OF_LAMBDA, ...OF_DECISIONS, ...OF_MORE_AT_ONCE],
  [...OF_LAUNCHES, ...OF_THE_WORLD.filter(isOfLaunches)],
  OF_THE_WORLD.filter((fault) => !isOfLaunches(fault)),
].map((faults) => faults.filter(({ kills }) => !kills));

interface SoakWindow {
  fault: Fault;
  from: number;
  to: number;
}

const exponential = (random: () => number, mean: number) => -Math.log(1 - random()) * mean;

function windows(random: () => number, subjects: readonly Fault[][]): SoakWindow[] {
  return subjects.flatMap((faults) => {
    const found: SoakWindow[] = [];
    for (let at = exponential(random, 3 * HOUR); at < EPISODE - CALM; ) {
      const fault = faults[Math.floor(random() * faults.length)];
      const to = Math.min(at + 5 * MINUTE + exponential(random, 35 * MINUTE), EPISODE - CALM);
      if (fault !== undefined) found.push({ fault, from: at, to });
      at = to + exponential(random, 3 * HOUR);
    }
    return found;
  });
}

function jobs(random: () => number) {
  const found: { queuedAt: number; durationSeconds: number }[] = [];
  const add = (queuedAt: number) =>
    found.push({ queuedAt, durationSeconds: 30 + exponential(random, 4 * MINUTE) });
  for (let at = 0; at < EPISODE - HOUR; at += exponential(random, 80)) add(at);
  for (let at = exponential(random, 3 * HOUR); at < EPISODE - CALM; at += exponential(random, 3 * HOUR))
    for (let job = 0; job < 25; job += 1) add(at);
  return found.sort((a, b) => a.queuedAt - b.queuedAt);
}

/** Sums over episodes. */
export const NOTHING = {
  hours: 0,
  faults: 0,
  overlappingMinutes: 0,
  jobs: 0,
  launches: 0,
  unusedLaunches: 0,
  executions: 0,
  failedExecutions: 0,
  alarms: 0,
  killed: 0,
  neverRun: 0,
  outOfBounds: 0,
  stuckAlarms: 0,
  silentSpells: 0,
};

export interface Episode {
  totals: typeof NOTHING;
  /** What must never be: the minute, what happened, and the faults of that time. */
  wrong: string[];
}

/** @param subjects Faults of the same subject replace each other; others overlap. */
export async function playEpisode(
  random: () => number,
  subjects: readonly Fault[][] = SUBJECTS,
): Promise<Episode> {
  const totals = { ...NOTHING };
  const wrong: string[] = [];
  const config: FleetConfig = {
    ...Fleet.parse({
      resourceClass: 'acme/linux',
      instanceTypes: ['m7g.large'],
      maxReplicas: random() < 0.5 ? 20 : 60,
      minReplicas: random() < 0.3 ? 2 : 0,
      pollInterval: random() < 0.3 ? '5s' : '15s',
    }),
    image: 'ubuntu',
    name: 'linux',
    installFile: undefined,
  };
  const sandbox = await Sandbox.open({ keepExecutions: 1 });
  sandbox.schedule.usual = drawStarts(random);
  sandbox.schedule.starts = sandbox.schedule.usual;
  const queued = jobs(random);
  const spot = random() < 0.4;
  const world = sandbox.addFleet(
    {
      name: config.name,
      resourceClass: config.resourceClass,
      minReplicas: config.minReplicas,
      maxReplicas: config.maxReplicas,
      pollIntervalSeconds: config.pollInterval,
      breaker: { failures: config.breaker.failures, windowSeconds: config.breaker.window },
      ...(spot && { onDemandPercentage: 0 }),
      durations: { idleTimeout: config.idleTimeout, launchHook: config.bootTimeout },
    },
    queued,
  );
  const { group, queue } = world;
  const during = (at: number) => planned.filter(({ from, to }) => at >= from && at < to);
  const say = (at: number, what: string) => {
    const names = during(at).map(({ fault }) => fault.name);
    wrong.push(`minute ${Math.floor(at / MINUTE)}: ${what} [${names.join('; ')}]`);
  };
  const write = group.setDesiredCapacity.bind(group);
  group.setDesiredCapacity = (desired) => {
    if (desired < 0 || (desired > group.desired && desired > config.maxReplicas)) {
      totals.outOfBounds += 1;
      say(sandbox.now, `wrote ${desired}`);
    }
    write(desired);
  };
  const planned = windows(random, subjects);
  for (const { from, to } of planned) {
    for (const at of [from, to])
      sandbox.agenda.plan(at, () => {
        calm({ sandbox, world });
        for (const { fault } of during(at)) fault.begin({ sandbox, world });
      });
  }
  const executions: { status: 'SUCCEEDED' | 'FAILED' | 'TIMED_OUT'; endedAt: number }[] = [];
  sandbox.ended = (_, { status, endedAt }) => executions.push({ status, endedAt });
  await sandbox.runUntil(EPISODE);

  const minutes = EPISODE / MINUTE;
  const startedAt = SANDBOX_START.getTime();
  const alarms = alarmsOver([config], { metrics: sandbox.workflow.metrics, executions, startedAt, minutes });
  const ringsAt = (minute: number) =>
    alarms.some(({ ringings }) =>
      ringings.some(
        ({ from, until = Number.POSITIVE_INFINITY }) => from <= minute && minute <= until + SILENT,
      ),
    );
  const longer = Object.values(alarmsOfFleet(config))
    .filter(({ minutes: [, of] }) => of * MINUTE > CALM)
    .map(({ heading }) => heading);
  for (const { heading, ringings } of alarms) {
    const last = ringings.at(-1);
    // An alarm that judges more minutes than those after the last fault may still ring.
    if (longer.includes(heading)) continue;
    if (last === undefined || (last.until ?? minutes) <= minutes - STUCK) continue;
    totals.stuckAlarms += 1;
    say((minutes - 1) * MINUTE, `${heading} rings since minute ${last.from}`);
  }
  // A fleet that waits for its tokens is silent for a day. After it, an alarm takes its time.
  const isSilentByIntention = (at: number) =>
    planned.some(({ fault, from, to }) => fault.waits && at >= from && at < to + SILENT * MINUTE);
  let silent = false;
  for (let minute = SILENT; minute < minutes; minute += 1) {
    const since = (minute - SILENT - SLACK) * MINUTE;
    const at = minute * MINUTE;
    const waits =
      queue.tasks.some(
        ({ queuedAt, startedAt: claimed = Number.POSITIVE_INFINITY }) => queuedAt <= since && claimed > at,
      ) && !queue.tasks.some(({ startedAt: claimed = 0 }) => claimed > since && claimed <= at);
    const now = waits && !ringsAt(minute) && !isSilentByIntention(at);
    if (now && !silent) {
      totals.silentSpells += 1;
      say(minute * MINUTE, 'jobs have waited for more than 15 minutes without a claim, and no alarm rings');
    }
    silent = now;
  }
  for (const { killed, endedAt, queuedAt } of queue.tasks) {
    if (killed) say(endedAt ?? 0, 'a job was killed');
    if (endedAt === undefined) say(queuedAt, 'a job never ran');
    totals.killed += Number(killed ?? false);
    totals.neverRun += Number(endedAt === undefined);
  }
  totals.hours += EPISODE / HOUR;
  totals.faults += planned.length;
  for (let minute = 0; minute < minutes; minute += 1)
    totals.overlappingMinutes += Number(during(minute * MINUTE).length > 1);
  totals.jobs += queue.tasks.length;
  totals.launches += group.totals.launches;
  totals.unusedLaunches += group.totals.unusedLaunches;
  totals.executions += executions.length;
  totals.failedExecutions += executions.filter(({ status }) => status !== 'SUCCEEDED').length;
  totals.alarms += alarms.reduce((sum, { ringings }) => sum + ringings.length, 0);
  return { totals, wrong };
}
