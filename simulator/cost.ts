import type { FleetConfig } from '../fleets/load.ts';
import { GP3_BASELINE, type ImageBuild, rootVolumeOf } from '../fleets/settings/image.ts';
import { firesBetween } from '../functions/lib/schedules.ts';
import { type MeasuredUsage, monthlyCost } from '../sandbox/cost.ts';
import { figure } from '../sandbox/summary.ts';
import usage from '../sandbox/usage.json' with { type: 'json' };
import { HOURS_PER_MONTH, type Month, type MonthRule, monthOf } from './month.ts';
import type { Prices } from './prices.ts';
import type { ReplayResult } from './replay.ts';

/** The cost of a policy on a trace, in US dollars a month. `Month` says what a month is. */
export interface Cost {
  instances: number;
  /** Volumes of the instances, including stopped ones in a warm pool. */
  volumes: number;
  /** The autoscaler itself. Only ours has a price, so all others look cheaper than they are. */
  scaler: number;
  /** Builds and snapshots of the fleet's image, if it is built. */
  image?: number;
  total: number;
}

/** The prices for a fleet. */
export interface Priced {
  /** US dollars per hour of the fleet's instance type. With several types: of the preferred one. */
  instanceHour: number | undefined;
  /** The price of a Spot instance, as a share of that. */
  spotShare: number;
  /** US dollars a month for an instance's root volume. */
  volumeMonth: number;
  /** How a replay becomes a month (default: 730 hours like those of the replay). */
  month?: MonthRule | undefined;
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

const MEASURED: MeasuredUsage = usage;

/**
 * What builds and snapshots of an image are assumed to take; nobody has measured the times and the size in an account yet.
 * https://aws.amazon.com/ebs/pricing/ for snapshots. EC2 Image Builder itself is free.
 */
export const IMAGE_ASSUMED = { minutes: 35, snapshotGb: 4, snapshotGbMonth: 0.05 };

const DAYS_PER_MONTH = 365.25 / 12;

/** How often an image is built in a month. A search asks for each of its replays. */
function buildsPerMonth({ build, timezone }: Pick<ImageBuild, 'build' | 'timezone'>): number {
  if (build === 'once') return 0;
  if (build === 'weekly') return DAYS_PER_MONTH / 7;
  const key = `${build} ${timezone}`;
  const [from, until] = [Date.UTC(2026, 0, 1), Date.UTC(2027, 0, 1)];
  const builds = BUILDS.get(key) ?? firesBetween(build, timezone, from, until).length / 12;
  BUILDS.set(key, builds);
  return builds;
}

const BUILDS = new Map<string, number>();

/**
 * What an image costs in a month, in US dollars. Fleets with the same image share it.
 *
 * @param instanceHour The price of the instance that builds it, which is of the fleet's type.
 */
export function imageCost(image: ImageBuild, instanceHour: number) {
  const { minutes, snapshotGb, snapshotGbMonth } = IMAGE_ASSUMED;
  const builds = (minutes / 60) * instanceHour * buildsPerMonth(image);
  const snapshots = image.keep * snapshotGb * snapshotGbMonth;
  return { builds, snapshots, total: builds + snapshots };
}

/**
 * The cost of a replay, scaled to a month. The scaler and the image cost something in all hours of the month, whatever hours
 * the instances are counted for.
 *
 * @param image How the image of the fleet is built, if it is.
 * @returns `undefined` if the price of the instance type is unknown.
 */
export function costOf(
  policy: string,
  replayed: Pick<
    ReplayResult,
    'billedSeconds' | 'spotSeconds' | 'stoppedSeconds' | 'polls' | 'starts' | 'endedAt'
  >,
  { instanceHour, spotShare, volumeMonth, month }: Priced,
  image?: ImageBuild,
): Cost | undefined {
  if (instanceHour === undefined) return undefined;
  const { billedSeconds, spotSeconds, stoppedSeconds, endedAt } = replayed;
  const replayedHours = endedAt / 3_600;
  const { hours } = monthOf(month, replayedHours);
  const months = replayedHours / hours;
  const paid = paidFor(
    { billed: billedSeconds, spot: spotSeconds, stopped: stoppedSeconds },
    { instanceHour, spotShare, volumeMonth },
  );
  const instances = paid.instances / months;
  const volumes = paid.volumes / months;
  const scaler = policy === 'ours' ? scalerCost(replayed, hours) : 0;
  const built = image === undefined ? 0 : imageCost(image, instanceHour).total;
  const total = instances + volumes + scaler + built;
  return {
    instances: figure(instances),
    volumes: figure(volumes),
    scaler: figure(scaler),
    ...(image !== undefined && { image: figure(built) }),
    total: figure(total),
  };
}

/** What costs the same on each day, whatever is queued, in US dollars a month. */
export const costByTime = (cost: Cost | undefined) => (cost?.scaler ?? 0) + (cost?.image ?? 0);

/** What seconds of instances cost, in US dollars. */
export function paidFor(
  { billed, spot, stopped }: { billed: number; spot: number; stopped: number },
  { instanceHour = 0, spotShare, volumeMonth }: Priced,
): Pick<Cost, 'instances' | 'volumes'> {
  const hours = (billed - spot + spot * spotShare) / 3_600;
  const volumeMonths = (billed + stopped) / 3_600 / HOURS_PER_MONTH;
  return { instances: hours * instanceHour, volumes: volumeMonths * volumeMonth };
}

/** What was paid in a replay, in US dollars: for each job, and for each day of it. A last day of less than 12 hours is part of the one before, as for intervals. */
export function costOfReplay(
  { total }: Cost,
  { endedAt }: Pick<ReplayResult, 'endedAt'>,
  jobs: number,
  month: Pick<Month, 'hours'>,
) {
  const hours = endedAt / 3_600;
  const paid = (total * hours) / month.hours;
  const days = Math.max(Math.round(hours / 24), 1);
  return { perJob: Math.round((paid / jobs) * 1e5) / 1e5, perDay: figure(paid / days), days };
}

/**
 * The cost of our scaler itself. It grows with the number of polls per execution.
 *
 * @param hours The hours of the month that are like those of the replay. In the others, the fleet is idle.
 */
function scalerCost({ polls, starts }: Pick<ReplayResult, 'polls' | 'starts'>, hours: number): number {
  const { busy, idle } = MEASURED;
  const ofReplay = (polls / starts - idle.polls) / (busy.polls - idle.polls);
  const share = ofReplay * Math.min(hours / HOURS_PER_MONTH, 1);
  return monthlyCost([
    { share, usage: busy },
    { share: 1 - share, usage: idle },
  ]).total;
}
