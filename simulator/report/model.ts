/**
 * The JSON in the page, which its script reads. This file imports nothing, because the script is type-checked for a
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
  rows: PolicyRow[];
  settings: SettingRow[];
  /** The Pareto front of the settings that a search tried on the first part of the trace. */
  tried: (Figures & { name: string })[];
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
  /** The names of the periods of each row's `series`: the whole trace, and the busiest day of long traces. */
  stretches: string[];
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
  name: string;
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
  /** One for each period. */
  series: Series[];
}

/** Queue and capacity over time, as arrays of the same length. */
export interface Series {
  /** The time of the first point. */
  from: number;
  /** The time between two points. */
  everySeconds: number;
  /**
   * Whether each pair of points is the lowest and the highest value of a stretch of samples, instead of a sample each.
   */
  thinned: boolean;
  waiting: number[];
  running: number[];
  instances: number[];
}

/** The figures of ours with one changed setting. */
export interface SettingRow extends Figures {
  /** The setting that changes, as in fleets.yaml. */
  setting: string;
  /** Its value. */
  to: string;
}
