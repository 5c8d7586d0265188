import type { FleetSeen, SeenInstance, SeenMember } from '../../functions/lib/fleet-seen.ts';
import type { ReconcileSettings } from '../../functions/lib/reconcile.ts';

/** What was read of fleets, for the tests of what they have left behind. */

export const NOW = Date.parse('2026-01-05T12:00:00Z');
export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

/** Boots in 10 min, waits 5 min, works for up to 5 h, and leaves 5 h 30 min after its launch. */
export const LIFETIMES = { bootSeconds: 600, idleSeconds: 300, runSeconds: 18_000, ageLimitSeconds: 19_800 };
export const SETTINGS: ReconcileSettings = { lifetimes: LIFETIMES, otherRunners: 0 };

export const launched = (id: string, age: number, more: Partial<SeenInstance> = {}): SeenInstance => ({
  id,
  state: 'running',
  launchedAt: NOW - age,
  fromTemplate: true,
  templateVersion: '2',
  kept: false,
  ...more,
});
export const member = (id: string, lifecycleState = 'InService', since?: number): SeenMember => ({
  id,
  lifecycleState,
  since,
});
export const runner = (name: string, silence: number, connectedFor = silence + HOUR) => ({
  name,
  firstConnected: NOW - connectedFor,
  lastConnected: NOW - silence,
});

/** A healthy fleet: two members, both in contact. */
export const HEALTHY = ['i-0000000a', 'i-0000000b'];
export const seen = (more: Partial<FleetSeen> = {}): FleetSeen => ({
  members: HEALTHY.map((id) => member(id)),
  instances: HEALTHY.map((id) => launched(id, HOUR)),
  inOtherGroups: new Set(),
  inventory: { runners: HEALTHY.map((id) => runner(id, MINUTE)), at: NOW },
  foreign: new Set(),
  tokenStoredAt: NOW - 30 * DAY,
  volumes: [],
  interfaces: [],
  versions: undefined,
  ...more,
});

/** The healthy fleet, and one instance more. */
export function withOne(
  instance: SeenInstance,
  { lifecycleState, silence, since }: { lifecycleState?: string; silence?: number; since?: number } = {},
  more: Partial<FleetSeen> = {},
): FleetSeen {
  const { members, instances, inventory } = seen();
  const runners = 'runners' in inventory ? inventory.runners : [];
  return seen({
    members:
      lifecycleState === undefined ? members : [...members, member(instance.id, lifecycleState, since)],
    instances: [...(instances ?? []), instance],
    inventory: {
      runners: silence === undefined ? runners : [...runners, runner(instance.id, silence)],
      at: NOW,
    },
    ...more,
  });
}
