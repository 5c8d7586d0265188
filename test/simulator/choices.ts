import fc from 'fast-check';
import { PEERS, type PolicyChoice } from '../../simulator/peers.ts';
import { plainFleet } from '../../simulator/plain-fleet.ts';
import type { OursSettings } from '../../simulator/policies/ours.ts';

const DEFAULTS = plainFleet();

/** Ours with the defaults of fleets.yaml, unless told otherwise. */
export const ours = (settings: Partial<OursSettings> = {}) => ({
  name: 'ours' as const,
  settings: { ...DEFAULTS, ...settings },
});

/** Levers with which a peer does other things than by default. */
const LEVERS: Record<string, fc.Arbitrary<Record<string, number>>> = {
  mro: fc.record({ headroom: fc.nat({ max: 3 }), maxSurge: fc.constantFrom(1, 3, Number.POSITIVE_INFINITY) }),
  buildkite: fc.record({ cooldown: fc.constantFrom(0, 47, 300), buffer: fc.constantFrom(0, 2) }),
  webhook: fc.record({ delay: fc.constantFrom(0, 30), ephemeral: fc.constantFrom(0, 1) }),
  'runs-on': fc.record({ pool: fc.nat({ max: 3 }) }),
  gitlab: fc.record({ factor: fc.constantFrom(0, 0.5), idle: fc.constantFrom(0, 1) }),
};

/** Any policy, with any of its levers. */
export const choices: fc.Arbitrary<PolicyChoice> = fc.oneof(
  fc
    .record({
      pollInterval: fc.constantFrom(1, 5, 7, 20, 60),
      idleTimeout: fc.constantFrom(200, 300),
      minReplicas: fc.constantFrom(0, 0, 2),
    })
    .map((settings) => ours(settings)),
  ...PEERS.map(({ name }) =>
    fc
      .record({
        levers: LEVERS[name] ?? fc.constant({}),
        maxReplicas: fc.constantFrom(2, 10, Number.POSITIVE_INFINITY),
      })
      .map((choice) => ({ name, ...choice })),
  ),
);
