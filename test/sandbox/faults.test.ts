import { describe, expect, it } from 'vitest';
import { calm, type Stage } from '../../sandbox/faults/fault.ts';
import { FAULTS } from '../../sandbox/faults/faults.ts';
import { NO_FAULTS, planFaults } from '../../sandbox/group/faults.ts';
import { NO_JOB } from '../../sandbox/group/job-queue.ts';
import { jobs, LINUX, openSandbox } from '../support/sandbox.ts';

const BEGINS = 300;
const HOUR = 3_600;

/** A fleet with three members, which run a job for hours. No execution starts. */
async function stageOf(spot: boolean): Promise<Stage> {
  const sandbox = await openSandbox();
  const world = sandbox.addFleet({ ...LINUX, ...(spot && { onDemandPercentage: 0 }) }, jobs(3, 10 * HOUR));
  sandbox.agenda.advance(1);
  world.group.setDesiredCapacity(3);
  sandbox.agenda.advance(BEGINS);
  return { sandbox, world };
}

/** What faults change. */
function stateOf({ sandbox, world }: Stage) {
  const { queue, group, settings } = world;
  const { circleci, aws, workflow, schedule } = sandbox;
  const answers = [
    circleci.fault({ path: '/api/v3/runner/tasks', resourceClass: settings.resourceClass } as never),
    circleci.latency(),
    aws.fault('SetDesiredCapacity'),
    workflow.fault('Count Running'),
    schedule.starts(7),
    group.settings.launchFault?.(sandbox.agenda.now, false),
    group.settings.interruptedAfter?.(),
  ];
  return JSON.stringify({
    answers,
    lies: circleci.lies.size,
    staleness: aws.staleness,
    secret: aws.secrets.get(settings.scalerSecretName),
    ahead: sandbox.functionsAheadSeconds,
    counts: [queue.limit, queue.plan?.limit, queue.phantoms, queue.longestLag, queue.countsZero].map(String),
    protection: [
      group.settings.newInstancesProtectedFromScaleIn,
      ...group.instances.map((instance) => instance.protectedFromScaleIn),
    ].filter((isProtected) => !isProtected),
    group: [group.settings.maxSize, [...group.suspendedProcesses], [...group.tags]],
    concurrency: settings.concurrency,
  });
}

describe('calm ends', () => {
  it.each(FAULTS)('$name', async ({ begin, spot }) => {
    const stage = await stageOf(spot ?? false);
    const { sandbox, world } = stage;
    const before = stateOf(stage);
    begin(stage);
    calm(stage);
    expect(stateOf(stage)).toBe(before);
    // What it would still do by itself comes within hours.
    const now = () => ({
      tasks: world.queue.queued,
      busy: world.group.instances.filter(({ state, job }) => state === 'InService' && job !== NO_JOB).length,
    });
    const atOnce = now();
    sandbox.agenda.advance(BEGINS + 3 * HOUR);
    expect(now()).toEqual(atOnce);
    expect(stateOf(stage)).toBe(before);
  });
});

it('a fault that a person causes each minute goes on until it ends', async () => {
  const stage = await stageOf(false);
  const fault = FAULTS.find(({ name }) => name.includes('standby, and lowers'));
  fault?.begin(stage);
  const standby = () => stage.world.group.instances.filter(({ state }) => state === 'Standby').length;
  expect(standby()).toBe(1);
  stage.sandbox.agenda.advance(BEGINS + 60);
  expect(standby()).toBe(2);
  calm(stage);
  stage.sandbox.agenda.advance(BEGINS + 600);
  expect(standby()).toBe(2);
});

describe('executions in which decisions say what is wrong', () => {
  const spoken = FAULTS.flatMap(({ says, ...fault }) => (says === undefined ? [] : [{ ...fault, says }]));
  it.each(spoken)('$name', async ({ begin, says }) => {
    const sandbox = await openSandbox();
    const world = sandbox.addFleet(LINUX, jobs(5, HOUR));
    begin({ sandbox, world });
    const { path } = await sandbox.execute('linux');
    const decided = path.filter(({ state }) => state === 'Compute Capacity');
    expect(JSON.stringify(decided.map(({ output }) => output))).toContain(says);
  });
});

it('windows of faults begin and end at their times', async () => {
  const { sandbox, world } = await stageOf(false);
  planFaults(
    {
      ...NO_FAULTS,
      phantomTasks: [{ from: 400, to: 500, count: 4 }],
      taskLimits: [{ from: 450, to: 600, count: 0 }],
    },
    {
      agenda: sandbox.agenda,
      jobs: world.queue,
      offerAll: () => world.group.offerAll(),
      setMaximumSize: () => undefined,
    },
  );
  const at = (seconds: number) => {
    sandbox.agenda.advance(seconds);
    return [world.queue.phantoms, world.queue.limit];
  };
  const none = Number.POSITIVE_INFINITY;
  expect([at(399), at(400), at(450), at(500), at(600)]).toEqual([
    [0, none],
    [4, none],
    [4, 0],
    [0, 0],
    [0, none],
  ]);
});
