import type { Interval } from '../interval.ts';
import type { Packed } from './packed.ts';

/**
 * The JSON in the page, which its script reads. This file imports no code, because the script is type-checked for a
 * browser, without the rest of the project. Times are in seconds unless a name says otherwise.
 */
export interface ReportData {
  trace: {
    source: string;
    jobs: number;
    jobHours: number;
    spanHours: number;
    /** The date of second 0, in milliseconds since the epoch, if the trace has dates. */
    startsAt?: number;
    /** The time zone of all dates and hours, if the trace has dates. */
    zone?: string;
    /** What the reader of the trace left out, and its warnings. */
    notes: string[];
  };
  /** The command that writes the same page again. */
  command: string;
  /** How long things take in the replayed world. */
  world: { what: string; seconds: number }[];
  /** Prices, faults and `maxReplicas`, as sentences. */
  assumptions: string[];
  /** The unit of `price` in each row. */
  unit: Unit;
  /** What a month of costs is, as a sentence; missing without prices. */
  month?: string;
  rows: PolicyRow[];
  settings: SettingRow[];
  /** The Pareto front of the settings that a search tried on the first part of the trace. */
  tried: (Figures & { name: string })[];
  /** The settings that no other beats in both wait and cost, of all that were replayed on these jobs. Cheapest first. */
  front: FrontRow[];
  /** What settings do, for those that the page names. */
  glossary: { setting: string; text: string }[];
  /** Where the documents are, with a slash at the end, if that is known. */
  documents?: string;
  /** Settings that the fleet's other settings do not allow. */
  impossible: string[];
  recommendation: {
    /** The name of the recommended row. */
    row: string;
    /** For a reader who reads nothing else. `isGood` if a line says whether a goal is met. */
    verdict: { what: string; text: string; isGood?: boolean }[];
    headline: string;
    reasons: string[];
    rule: string;
    /** Lines of fleets.yaml; empty if nothing changes. */
    fleetsYaml: string;
  };
  /** A comparison with another run of the same jobs. */
  comparison?: Comparison;
  /** What the charts over time can show: the whole trace, and each day of long traces. */
  stretches: Stretch[];
  /** How many jobs are queued in each hour of the week, on average, from Monday 00:00; `null` outside the trace. */
  demand: (number | null)[];
  /** The shares of jobs, from 0 to 1, for each row's `waits`. */
  waitShares: number[];
}

export type Unit = 'instance-hours' | 'US dollars a month';

/**
 * - `ours`: this project with the fleet's settings.
 * - `recommended`: this project with the recommended settings, if those are others.
 * - `peer`: what other teams use.
 * - `lower-bound`: no scaler can do better.
 */
export type Kind = 'ours' | 'recommended' | 'peer' | 'lower-bound';

/** The figures of a policy on the trace. */
export interface PolicyRow extends Figures {
  /** As on the command line. */
  name: string;
  /** What people call it. */
  label: string;
  kind: Kind;
  about: string;
  /** The data of its charts; lower bounds have none. */
  samples?: Samples;
}

export interface Figures {
  wait: { mean: number; p50: number; p90: number; p95: number; p99: number; max: number };
  /** The components of the mean wait. */
  parts: Record<Part, number>;
  /** In `unit`. */
  price: number;
  instanceHours: number;
  /** Instance-hours divided by job-hours, minus one. */
  overhead: number | null;
  idleShare: number;
  /** What a job costs in US dollars, all instances included; `null` without a price. */
  perJob: number | null;
  launchesPerJob: number;
  unusedLaunches: number;
  jobsKilled: number;
  peakInstances: number;
}

/** The components of a wait, in the order of time. */
export type Part = 'capacity' | 'seen' | 'launch' | 'boot' | 'claim';

export interface Samples {
  /** For each of `waitShares`: the longest wait of that share of the jobs, shortest waits first. */
  waits: number[];
  /** Queue and capacity of each hour. Only long traces have it. */
  overview?: Series;
  /** Queue and capacity in shorter intervals. Some policies of a long trace have none. */
  detail?: Series;
  /** The mean wait of the jobs queued in each hour of the week, from Monday 00:00; `null` without jobs. */
  week: (number | null)[];
  /** Empty if the trace has no dates. */
  periods: PartOfWeek[];
}

/** Queue and capacity over time, from second 0, as arrays of the same length. */
export interface Series {
  /** The time between two points. */
  everySeconds: number;
  /** The highest count of each interval. */
  waiting: Packed;
  running: Packed;
  instances: Packed;
  /** The mean of each interval, in tenths. */
  tenths?: Record<'waiting' | 'running' | 'instances', Packed>;
}

/** Working hours, nights or weekends. */
export interface PartOfWeek {
  name: string;
  /** How many hours of the replay are in it. */
  hours: number;
  jobs: number;
  waitMean: number | null;
  instanceHours: number;
  /** What was paid in it, in US dollars; `null` without a price. */
  cost: number | null;
}

/** A part of the trace that a chart can show. */
export interface Stretch {
  name: string;
  from: number;
  /** `null` for the end of the trace. */
  until: number | null;
}

/** A point of the Pareto front. */
export interface FrontRow {
  wait: number;
  price: number;
  /** What ten seconds less cost from the row before, in the unit of the price; `null` for the first. */
  per10Seconds: number | null;
  /** In words. */
  name: string;
  /** Lines of fleets.yaml; empty for the current settings. */
  fleetsYaml: string;
  isRecommended: boolean;
  /** Whether a runner takes several jobs. */
  reuses: boolean;
}

/** The figures of ours with one changed setting. */
export interface SettingRow extends Figures {
  /** The setting that changes, as in fleets.yaml. */
  setting: string;
  /** Its value. */
  to: string;
}

/** Two runs of the same jobs, side by side. This one is `after`. */
export interface Comparison {
  /** The file of the other run. */
  source: string;
  /** Settings and assumptions that differ. */
  changed: { what: string; before: string; after: string }[];
  /** Policies of both runs, in the order of this one. */
  policies: {
    policy: string;
    before: ComparedFigures;
    after: ComparedFigures;
    /** The interval of the change; `null` if there are too few days. */
    interval: Interval | null;
  }[];
  /** Policies of one run. */
  missing: string[];
  /** The days of the first policy; the cost is that of the day. */
  days: { day: string | number; jobs: number; before: DayFigures; after: DayFigures }[];
}

/** `null` for a day without a job, or without a price. */
export interface DayFigures {
  mean: number | null;
  p95: number | null;
  cost: number | null;
}

export interface ComparedFigures extends DayFigures {
  instanceHours: number;
  perJob: number | null;
  jobsKilled: number;
}
