import * as z from 'zod/mini';
import { CapacitySettings } from '../functions/lib/contracts.ts';
import type { SpareSettings } from '../functions/lib/spare-runners.ts';
import { priceOf } from './cost.ts';
import type { FleetSettings } from './fleet.ts';

/** Default of `recycleAfter`, in seconds. */
const RECYCLE_SECONDS = 3_600;

/**
 * A spare runner of `headroom` that leaves while there are tasks is replaced, which costs another boot. So it waits this
 * many times `idleTimeout`. docs/how-it-decides.md has the launches, waits and costs that were measured.
 */
const SPARES_WAIT = 2;

/**
 * The same for spare runners that the fleet has learned to keep. What misleads it most is a burst that comes just after the
 * runners that were left over have left, all together: docs/how-it-decides.md#what-it-costs-and-saves.
 */
const LEARNED_SPARES_WAIT = 3;

/**
 * Default of `waitingCost`, in US dollars: of spare runners, and of the search for settings. docs/how-it-decides.md says
 * what it stands for.
 */
export const WAITING_COST = 1;

/** What comes later than that is not foreseen, in seconds. Runners of a fleet with `minReplicas` can stay for days. */
const MOST_STAY = 3_600;

/** By what a fleet learns how many spare runners to keep; `undefined` if it does not, or if its price is unknown. */
export function spareSettingsOf(
  fleet: Pick<FleetSettings, 'spareRunners' | 'waitingCost'> &
    Parameters<typeof priceOf>[0] &
    Parameters<typeof idleTimes>[0],
): SpareSettings | undefined {
  const { spareRunners, waitingCost = WAITING_COST } = fleet;
  const idleCost = priceOf(fleet);
  if (spareRunners === undefined || idleCost === undefined) return undefined;
  const { seconds, spread } = idleTimes(fleet);
  const stays = Math.min(Math.round(seconds - spread / 2), MOST_STAY);
  return { idleCost, waitingCost, stays, ...(spareRunners !== 'auto' && { max: spareRunners.max }) };
}

/** Defaults of `quietPollInterval`, in seconds. docs/cost.md has the waits and the costs that were measured. */
const QUIET_POLL_SECONDS = { coldBoots: 60, warmPool: 15 };

/** The largest random number of bash. */
const MOST_RANDOM = 32_767;

/** A fleet's capacity settings as Compute Capacity reads them, without those that make no difference. */
export function capacityOf({ minReplicas, maxReplicas, ...others }: CapacitySettings): CapacitySettings {
  const set = Object.entries(others).filter(([, value]) => makesDifference(value));
  // The contract leaves out all other settings of a fleet.
  return z.parse(CapacitySettings, { minReplicas, maxReplicas, ...Object.fromEntries(set) });
}

/** An optional setting that is 0 or an empty list has the same effect as one that is left out. */
const makesDifference = (value: unknown) =>
  value !== undefined && value !== 0 && !(Array.isArray(value) && value.length === 0);

/** Percentage of On-Demand instances above the base: 100 without Spot. */
export const onDemandPercentage = ({ spot }: Pick<FleetSettings, 'spot'>) => 100 - (spot?.percentage ?? 0);

/**
 * Longest interval between polls of an idle fleet, in seconds. The first job after idle hours waits for the poll and then
 * for the boot: beside a cold boot, a minute matters less than beside an instance of the warm pool.
 */
export function quietPollIntervalOf({
  quietPollInterval,
  pollInterval,
  warmPool,
}: Pick<FleetSettings, 'quietPollInterval' | 'pollInterval' | 'warmPool'>): number {
  const byBoot = warmPool === undefined ? QUIET_POLL_SECONDS.coldBoots : QUIET_POLL_SECONDS.warmPool;
  return Math.max(pollInterval, quietPollInterval ?? byBoot);
}

/**
 * How long a fleet's runners wait for a task before they leave, and the largest random time by which each of them
 * shortens that, in seconds. No instance knows whether `minReplicas` keeps it. So if `minReplicas` keeps any runner at any
 * time, all of them wait for `recycleAfter`. Many launch together, so the random time keeps them from leaving together.
 * With `headroom`, they wait for twice `idleTimeout`, and with `spareRunners` for three times, less the random time. Not with
 * reuse: all runners wait after their tasks there, which costs more than the boots.
 */
export function idleTimes({
  minReplicas,
  headroom,
  spareRunners,
  schedules,
  reuse,
  idleTimeout,
  recycleAfter,
}: Pick<
  FleetSettings,
  'minReplicas' | 'headroom' | 'spareRunners' | 'schedules' | 'reuse' | 'idleTimeout' | 'recycleAfter'
>): {
  seconds: number;
  spread: number;
} {
  const keepsRunners = minReplicas > 0 || schedules.some((schedule) => (schedule.minReplicas ?? 0) > 0);
  const keepsSpares =
    spareRunners !== undefined ||
    [headroom, ...schedules.map((schedule) => schedule.headroom)].some(isAboveZero);
  if (!keepsRunners) {
    if (!keepsSpares || reuse !== 'single-task') return { seconds: idleTimeout, spread: 0 };
    if (spareRunners === undefined) return { seconds: SPARES_WAIT * idleTimeout, spread: 0 };
    return spreadOut(LEARNED_SPARES_WAIT * idleTimeout, idleTimeout);
  }
  return spreadOut(recycleAfter ?? Math.max(RECYCLE_SECONDS, idleTimeout), idleTimeout);
}

/** An idle time that each instance shortens by a random time, not below another. */
const spreadOut = (seconds: number, least: number) => ({
  seconds,
  spread: Math.min(Math.floor(seconds / 4), seconds - least, MOST_RANDOM),
});

/** Whether a headroom is any: a number, or a share such as `20%`. */
const isAboveZero = (headroom: number | string | undefined) => Number.parseInt(`${headroom ?? 0}`, 10) > 0;

/** Whether a fleet keeps what it learns from its tasks or its launches. */
export const learns = ({
  spareRunners,
  warmPool,
}: Partial<Pick<FleetSettings, 'spareRunners' | 'warmPool'>>): boolean =>
  spareRunners !== undefined || warmPool?.size === 'auto';
