import { Fleet } from '../fleets/fleet.ts';
import type { FleetConfig } from '../fleets/load.ts';
import { alarmsOver } from '../sandbox/alarms.ts';
import { OF_GROUP, OF_SECRETS } from '../sandbox/faults/aws.ts';
import { OF_CIRCLECI } from '../sandbox/faults/circleci.ts';
import { calm, type Fault } from '../sandbox/faults/fault.ts';
import { OF_DECISIONS, OF_LAMBDA, OF_MORE_AT_ONCE } from '../sandbox/faults/workflow.ts';
import { OF_LAUNCHES, OF_THE_WORLD } from '../sandbox/faults/world.ts';
import { Sandbox } from '../sandbox/sandbox.ts';
import { randomNumbers, SANDBOX_START } from '../sandbox/trace.ts';

/**
 * A soak: `node --import tsx bench/soak.ts [hours] [seed]`. Runs fleets through the real workflow for hundreds of
 * simulated hours, with faults of several subjects at random times, which overlap. It prints figures, and each time at
 * which something was wrong that must never be: a job that was killed, a write out of bounds, an alarm that rings
 * without a reason, jobs that wait for long without an alarm. Its exit code is 1 if there is any.
 */

const MINUTE = 60;
const HOUR = 60 * MINUTE;

/** How long each sandbox runs, and how long before its end the last fault ends. */
const EPISODE = 10 * HOUR;
const CALM = 150 * MINUTE;

/** No alarm may ring in the last minutes of an episode. */
const STUCK = 10;
/** After a job has waited for this many minutes, an alarm must ring, or have rung in the same number of minutes before. */
const SILENT = 15;
/** An alarm is evaluated at the end of a minute, and needs as many again as it takes to begin. */
const SLACK = 2;

/** Faults of the same subject replace each other; others overlap. */
const isOfLaunches = (fault: Fault) => /^(EC2|a sixth|launches have|CircleCI (hands|lets))/.test(fault.name);
const SUBJECTS: readonly Fault[][] = [
  OF_CIRCLECI,
  [...OF_SECRETS, ...OF_GROUP],
  [...OF_LAMBDA, ...OF_DECISIONS, ...OF_MORE_AT_ONCE],
  [...OF_LAUNCHES, ...OF_THE_WORLD.filter(isOfLaunches)],
  OF_THE_WORLD.filter((fault) => !isOfLaunches(fault)),
].map((faults) => faults.filter(({ kills }) => !kills));

interface Window {
  fault: Fault;
  from: number;
  to: number;
}

const exponential = (random: () => number, mean: number) => -Math.log(1 - random()) * mean;

function windows(random: () => number): Window[] {
  return SUBJECTS.flatMap((faults) => {
    const found: Window[] = [];
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

const totals = {
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
const wrong: string[] = [];

async function episode(number: number, random: () => number): Promise<void> {
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
    wrong.push(`episode ${number}, minute ${Math.floor(at / MINUTE)}: ${what} [${names.join('; ')}]`);
  };
  const write = group.setDesiredCapacity.bind(group);
  group.setDesiredCapacity = (desired) => {
    if (desired < 0 || (desired > group.desired && desired > config.maxReplicas)) {
      totals.outOfBounds += 1;
      say(sandbox.now, `wrote ${desired}`);
    }
    write(desired);
  };
  const planned = windows(random);
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
  for (const { heading, ringings } of alarms) {
    const last = ringings.at(-1);
    if (last === undefined || (last.until ?? minutes) <= minutes - STUCK) continue;
    totals.stuckAlarms += 1;
    say((minutes - 1) * MINUTE, `${heading} rings since minute ${last.from}`);
  }
  let silent = false;
  for (let minute = SILENT; minute < minutes; minute += 1) {
    const since = (minute - SILENT - SLACK) * MINUTE;
    const waits = queue.tasks.some(
      ({ queuedAt, startedAt: claimed = Number.POSITIVE_INFINITY }) =>
        queuedAt <= since && claimed > minute * MINUTE,
    );
    const now = waits && !ringsAt(minute);
    if (now && !silent) {
      totals.silentSpells += 1;
      say(minute * MINUTE, 'a job has waited for more than 15 minutes, and no alarm rings');
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
}

const [hours = '300', seed = '1'] = process.argv.slice(2);
const random = randomNumbers(Number(seed));
for (let number = 1; totals.hours < Number(hours); number += 1) {
  await episode(number, random);
  console.error(`${totals.hours} h: ${totals.faults} faults, ${totals.jobs} jobs, ${wrong.length} wrong`);
}
console.log(JSON.stringify(totals, null, 2));
for (const line of wrong) console.log(line);
process.exitCode = wrong.length > 0 ? 1 : 0;
