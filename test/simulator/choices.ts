import fc from 'fast-check';
import { PEERS, type PolicyChoice } from '../../simulator/peers.ts';
import { plainFleet } from '../../simulator/plain-fleet.ts';
import type { OursSettings } from '../../simulator/policies/ours.ts';

const DEFAULTS = plainFleet();

/** Ours, by default with the defaults of fleets.yaml. */
export const ours = (settings: Partial<OursSettings> = {}) => ({
  name: 'ours' as const,
  settings: { ...DEFAULTS, ...settings },
});

/** Parameters that change what a peer does. */
const PARAMETERS: Record<string, fc.Arbitrary<Record<string, number>>> = {
  mro: fc.record({ headroom: fc.nat({ max: 3 }), maxSurge: fc.constantFrom(1, 3, Number.POSITIVE_INFINITY) }),
  buildkite: fc.record({ cooldown: fc.constantFrom(0, 47, 300), buffer: fc.constantFrom(0, 2) }),
  webhook: fc.record({ delay: fc.constantFrom(0, 30), ephemeral: fc.constantFrom(0, 1) }),
  'runs-on': fc.record({ pool: fc.nat({ max: 3 }) }),
  gitlab: fc.record({ factor: fc.constantFrom(0, 0.5), idle: fc.constantFrom(0, 1) }),
};

/** Minutes of the sandbox's first hour. */
const SCHEDULES = [
  { start: '3 8 * * *', end: '11 8 * * *', timezone: 'UTC', maxReplicas: 3 },
  {
    start: '7 9 * * *',
    end: '31 9 * * *',
    timezone: 'Europe/Berlin',
    headroom: 2,
    maxSurge: 1,
    minReplicas: 1,
  },
];

/** AWS refuses a warm pool of Spot Instances. */
const POOL_OR_SPOT = {
  poolOrSpot: fc.constantFrom<Partial<OursSettings>>(
    {},
    { warmPool: { size: 3, state: 'stopped' } },
    { warmPool: { size: 'auto', state: 'stopped' } },
    { spot: { percentage: 60, onDemandBase: 1 } },
    { spot: { percentage: 100, onDemandBase: 0 }, unsafeRetries: true },
  ),
};

/** Any policy, with any of its parameters. */
export const choices: fc.Arbitrary<PolicyChoice> = fc.oneof(
  fc
    .record({
      pollInterval: fc.constantFrom(1, 5, 7, 20, 60),
      idleTimeout: fc.constantFrom(200, 300),
      minReplicas: fc.constantFrom(0, 0, 2),
      headroom: fc.constantFrom(0, 0, 2, '30%'),
      spareRunners: fc.constantFrom(undefined, undefined, 'auto' as const, { max: 2 }),
      waitingCost: fc.constantFrom(0.1, 1, 30),
      maxSurge: fc.constantFrom(undefined, 1, 4),
      reuse: fc.constantFrom('single-task' as const, 'continuous' as const),
      schedules: fc.constantFrom([], SCHEDULES),
      ...POOL_OR_SPOT,
    })
    .map(({ poolOrSpot, ...settings }) => ours({ ...settings, ...poolOrSpot })),
  ...PEERS.map(({ name }) =>
    fc
      .record({
        parameters: PARAMETERS[name] ?? fc.constant({}),
        maxReplicas: fc.constantFrom(2, 10, Number.POSITIVE_INFINITY),
      })
      .map((choice) => ({ name, ...choice })),
  ),
);
