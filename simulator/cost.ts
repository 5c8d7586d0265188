import type { FleetConfig } from '../fleets/load.ts';
import { GP3_BASELINE, rootVolumeOf } from '../fleets/settings/image.ts';
import { type MeasuredUsage, monthlyCost } from '../sandbox/cost.ts';
import { figure } from '../sandbox/summary.ts';
import usage from '../sandbox/usage.json' with { type: 'json' };
import type { Prices } from './prices.ts';
import type { ReplayResult } from './replay.ts';

/** What a policy costs on a trace, in US dollars for a month of 730 hours of jobs like these. */
export interface Cost {
  instances: number;
  /** Of the instances' volumes, those included that stand by, stopped, in a warm pool. */
  volumes: number;
  /** Of the autoscaler itself. Only ours is priced, so that all others look cheaper by theirs. */
  scaler: number;
  total: number;
}

/** By what a fleet is priced, in plain values. */
export interface Priced {
  /** Of the fleet's instance type an hour, in US dollars; of several types, of the one it prefers. */
  instanceHour: number | undefined;
  /** The share of it that a Spot instance costs. */
  spotShare: number;
  /** Of an instance's root volume a month, in US dollars. */
  volumeMonth: number;
}

export function pricedBy(
  { instanceHour, spotShare, volumeGbMonth, volumeIopsMonth, volumeThroughputMonth }: Prices,
  fleet: Pick<FleetConfig, 'instanceTypes' | 'rootVolume' | 'rootVolumeSize'>,
): Priced {
  const [preferred] = fleet.instanceTypes ?? [];
  const { size, iops = GP3_BASELINE.iops, throughput = GP3_BASELINE.throughput } = rootVolumeOf(fleet);
  return {
    instanceHour: preferred === undefined ? undefined : instanceHour(preferred),
    spotShare,
    volumeMonth:
      size * volumeGbMonth +
      (iops - GP3_BASELINE.iops) * volumeIopsMonth +
      (throughput - GP3_BASELINE.throughput) * volumeThroughputMonth,
  };
}

const HOURS_PER_MONTH = 730;
const MEASURED: MeasuredUsage = usage;

/**
 * What a replay costs, as if it went on for a month: what it used, over the time that it took.
 *
 * @returns `undefined` if nobody knows the price of the instance type.
 */
export function costOf(
  policy: string,
  replayed: Pick<
    ReplayResult,
    'billedSeconds' | 'spotSeconds' | 'stoppedSeconds' | 'polls' | 'starts' | 'endedAt'
  >,
  { instanceHour, spotShare, volumeMonth }: Priced,
): Cost | undefined {
  if (instanceHour === undefined) return undefined;
  const { billedSeconds, spotSeconds, stoppedSeconds, endedAt } = replayed;
  const months = endedAt / 3_600 / HOURS_PER_MONTH;
  const hours = (billedSeconds - spotSeconds + spotSeconds * spotShare) / 3_600;
  const volumeMonths = (billedSeconds + stoppedSeconds) / 3_600 / HOURS_PER_MONTH;
  const instances = (hours * instanceHour) / months;
  const volumes = (volumeMonths * volumeMonth) / months;
  const scaler = policy === 'ours' ? scalerCost(replayed) : 0;
  const total = instances + volumes + scaler;
  return {
    instances: figure(instances),
    volumes: figure(volumes),
    scaler: figure(scaler),
    total: figure(total),
  };
}

/** What ours costs itself: an execution costs the more the more often it polls. */
function scalerCost({ polls, starts }: Pick<ReplayResult, 'polls' | 'starts'>): number {
  const { busy, idle } = MEASURED;
  const share = (polls / starts - idle.polls) / (busy.polls - idle.polls);
  return monthlyCost([
    { share, usage: busy },
    { share: 1 - share, usage: idle },
  ]).total;
}
