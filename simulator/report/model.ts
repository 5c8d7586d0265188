/**
 * What the report's page holds as JSON, and its script reads. Nothing is imported here: the script is checked as
 * what a browser runs, without the rest of the project. Times are in seconds unless a name says otherwise.
 */
export interface ReportData {
  trace: {
    source: string;
    jobs: number;
    jobHours: number;
    spanHours: number;
    /** What second 0 is, in milliseconds since the epoch; nothing if the trace does not say. */
    startsAt?: number;
    /** What the trace's reader has left out, and what it warns of. */
    notes: string[];
  };
  /** The command that makes the same page again. */
  command: string;
  /** How long things take in the replayed world. */
  world: { what: string; seconds: number }[];
  /** Whose prices, what goes wrong, and how many instances there may be. */
  assumptions: string[];
  /** What `price` of each row counts. */
  unit: Unit;
  rows: PolicyRow[];
  settings: SettingRow[];
  /** Combinations of settings that a search tried on another part of the trace; the best of them. */
  tried: (Figures & { name: string })[];
  /** Settings that the fleet cannot have with its own. */
  impossible: string[];
  recommendation: {
    /** The name of the recommended row. */
    row: string;
    headline: string;
    reasons: string[];
    rule: string;
    /** Lines of fleets.yaml; none if all stays as it is. */
    fleetsYaml: string;
  };
  /** The stretches of time of each row's `series`, in words: all of it, and the busiest day of long traces. */
  stretches: string[];
  /** The shares of jobs to which each row's `waits` belong, from 0 to 1. */
  waitShares: number[];
}

export type Unit = 'instance-hours' | 'US dollars a month';

/**
 * - `ours`: this project with the fleet's settings.
 * - `recommended`: this project with the recommended settings, if those are others.
 * - `peer`: what others use.
 * - `lower-bound`: no scaler can do better.
 */
export type Kind = 'ours' | 'recommended' | 'peer' | 'lower-bound';

/** What a scaler came to on the trace. */
export interface PolicyRow extends Figures {
  name: string;
  kind: Kind;
  about: string;
  /** What is drawn of it; none for lower bounds. */
  samples?: Samples;
}

export interface Figures {
  wait: { mean: number; p50: number; p90: number; p95: number; p99: number; max: number };
  /** The parts of the mean wait. */
  parts: Record<Part, number>;
  /** In `unit`. */
  price: number;
  instanceHours: number;
  /** Instance-hours over job-hours, less one. */
  overhead: number;
  idleShare: number;
  launchesPerJob: number;
  unusedLaunches: number;
  jobsKilled: number;
  peakInstances: number;
}

/** In the order in which a job passes through them. */
export type Part = 'capacity' | 'seen' | 'launch' | 'boot' | 'claim';

export interface Samples {
  /** The longest wait of each share of the jobs that wait least. */
  waits: number[];
  /** Of each stretch of time. */
  series: Series[];
}

/** Queue and capacity over time, as columns of the same length. */
export interface Series {
  /** When the first point is. */
  from: number;
  /** From one point to the next. */
  everySeconds: number;
  /** Whether each two points are the least and the most of a stretch of time, and not all that was sampled. */
  thinned: boolean;
  waiting: number[];
  running: number[];
  instances: number[];
}

/** A setting of ours, and what it comes to with all else as the fleet has it. */
export interface SettingRow extends Figures {
  /** The setting that it is about, as in fleets.yaml. */
  setting: string;
  /** What it is set to. */
  to: string;
}
