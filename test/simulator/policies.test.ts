import { describe, expect, it } from 'vitest';
import type { Job } from '../../sandbox/trace.ts';
import { PEERS, type PolicyChoice, policyOf } from '../../simulator/peers.ts';
import { type ReplayResult, replay } from '../../simulator/replay.ts';
import { WORLD } from '../../simulator/world.ts';
import { ours } from './choices.ts';

const peer = (name: string, parameters: Record<string, number> = {}, maxReplicas = 1_000): PolicyChoice => ({
  name,
  parameters,
  maxReplicas,
});

/** A burst: `number` jobs that are queued at the same time. */
const jobs = (number: number, queuedAt = 0, durationSeconds = 100): Job[] =>
  Array.from({ length: number }, () => ({ queuedAt, durationSeconds }));

const run = (choice: PolicyChoice, trace: Job[]) => replay(trace, policyOf(choice), WORLD);

/** The wait of each job, in seconds. */
const waits = (trace: Job[], { startedAt }: ReplayResult) =>
  trace.map(({ queuedAt }, number) => (startedAt[number] ?? Number.NaN) - queuedAt);

describe('the policy', () => {
  it.each<{ case: string; choice: PolicyChoice; trace: Job[]; waits: number[] }>([
    {
      case: 'circleci-tutorial: looks once a minute',
      choice: peer('circleci-tutorial'),
      trace: jobs(1, 1),
      waits: [59 + 93],
    },
    {
      case: 'mro: looks every 5 s',
      choice: peer('mro'),
      trace: jobs(1, 1),
      waits: [4 + 93],
    },
    {
      case: 'mro with headroom: has an idle runner for the job after the next',
      choice: peer('mro', { headroom: 1 }),
      trace: [...jobs(1, 0, 300), ...jobs(1, 200)],
      waits: [93, 2.5],
    },
    {
      case: 'mro with maxSurge: launches no more than that at once',
      choice: peer('mro', { maxSurge: 1 }),
      trace: jobs(3, 0, 600),
      // The first is ready at 93, which the poll at 95 sees; and so on.
      waits: [93, 95 + 93, 190 + 93],
    },
    {
      case: 'buildkite: keeps a runner for 600 s',
      choice: peer('buildkite'),
      trace: [...jobs(1), ...jobs(1, 700), ...jobs(1, 1_500)],
      waits: [93, 2.5, 93],
    },
    {
      case: 'buildkite with the cooldown of its stack: launches nothing within 300 s of the last launch',
      choice: peer('buildkite', { cooldown: 300 }),
      trace: [...jobs(1, 0, 900), ...jobs(1, 20)],
      waits: [93, 280 + 93],
    },
    {
      case: 'vela: is blind until all it has launched is there',
      choice: peer('vela'),
      trace: [...jobs(1, 0, 900), ...jobs(1, 1)],
      // The poll at 95 is the first that finds its instance in service.
      waits: [93, 94 + 93],
    },
    {
      case: 'webhook: launches when the queue lets the job through',
      choice: peer('webhook'),
      trace: jobs(1, 7),
      waits: [30 + 93],
    },
    {
      case: 'webhook: launches nothing for a job that a runner has claimed meanwhile',
      choice: peer('webhook'),
      trace: [...jobs(1), ...jobs(1, 240)],
      waits: [123, 2.5],
    },
    {
      case: 'cdk-github-runners: launches at once, for every job',
      choice: peer('cdk-github-runners'),
      trace: jobs(2, 7),
      waits: [93, 93],
    },
    {
      case: 'runs-on with a pool: starts what stands by',
      choice: peer('runs-on', { pool: 1 }),
      trace: jobs(2, 7),
      waits: [28, 93],
    },
    {
      case: 'runs-on with a limit: launches the rest when there is room',
      choice: peer('runs-on', {}, 1),
      trace: jobs(2, 7),
      waits: [93, 93 + 100 + 5 + 93],
    },
    {
      case: 'gitlab with a factor: has idle capacity in proportion to the work',
      choice: peer('gitlab', { factor: 0.5 }),
      trace: [...jobs(2, 0, 300), ...jobs(1, 200)],
      waits: [93, 93, 2.5],
    },
    {
      case: 'ours: looks every 5 s, and each minute while nothing has ever happened',
      choice: ours(),
      trace: [...jobs(1, 10), ...jobs(1, 301)],
      waits: [50 + 93, 4 + 93],
    },
    {
      case: 'ours with minReplicas: has a runner before there is a job',
      choice: ours({ minReplicas: 1 }),
      trace: jobs(1, 200),
      waits: [2.5],
    },
  ])('$case', ({ choice, trace, waits: expected }) => {
    expect(waits(trace, run(choice, trace))).toEqual(expected);
  });

  it('cdk-tutorial-2022 kills jobs as soon as none is unclaimed; all others kill none', () => {
    const trace = [...jobs(3, 0, 300), ...jobs(2, 400, 300)];
    const killed = [ours(), ...PEERS.map(({ name }) => peer(name))].map((choice) => ({
      name: choice.name,
      killed: run(choice, trace).jobsKilled,
    }));
    // Ready at 93; at 120 nothing is unclaimed, and the group takes all three away.
    expect(killed.find(({ name }) => name === 'cdk-tutorial-2022')).toMatchObject({ killed: 5 });
    expect(killed.filter(({ killed }) => killed > 0)).toHaveLength(1);
  });

  it('webhook launches only if the job is still queued, unless runners are ephemeral', () => {
    const trace = [...jobs(1), ...jobs(1, 240)];
    const launches = [0, 1].map((ephemeral) => run(peer('webhook', { ephemeral }), trace).launches);
    expect(launches).toEqual([1, 2]);
  });

  it('webhook terminates idle runners every five minutes, and none younger than five minutes', () => {
    const { endedAt } = run(peer('webhook'), jobs(1, 0, 10));
    // Launched at 30, so five minutes old at 330: the sweep at 600 is the first after that.
    expect(endedAt).toBe(600 + 15);
  });

  it.each(PEERS)(
    '$name has parameters with defaults, and says where it comes from',
    ({ name, about, parameters }) => {
      expect(about).toMatch(/^\S.{10,75}$/);
      for (const parameter of Object.values(parameters)) expect(parameter.default).toBeGreaterThanOrEqual(0);
      expect(policyOf(peer(name)).name).toBe(name);
    },
  );

  it('is refused if its name is unknown', () => {
    expect(() => policyOf(peer('nobody'))).toThrow('no policy nobody');
  });
});
