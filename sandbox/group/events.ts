import type { Instance } from './instance.ts';

/**
 * Everything that happens to a group, its instances and their jobs. Every figure of a run is computed from these events.
 * Each event has a value:
 *
 * - `queued`, `claims`, `finishes`, `killed` and `retried`: the number of the job
 * - `warms up`: for how many seconds the instance runs until it is stopped
 * - `stock`: how many stopped instances the warm pool has
 * - `desired`: the desired capacity
 * - all others: 0
 */
export type EventKind =
  /** A job is queued. */
  | 'queued'
  /** EC2 is asked for an instance. */
  | 'launches'
  /** EC2 has no instance for a launch. */
  | 'refused'
  /** EC2 lists the instance. */
  | 'pending'
  /** Its runner is up. */
  | 'ready'
  /** Its boot fails, or nothing is heard of it. */
  | 'boot fails'
  /** Its runner takes a job. */
  | 'claims'
  /** The job has ended. */
  | 'finishes'
  /** Its runner exits, because no job came. */
  | 'idles out'
  /** The job ends, because its instance is taken away. */
  | 'killed'
  /** The same, but the job waits to be run again. */
  | 'retried'
  /** EC2 takes the instance back. */
  | 'taken back'
  /** The instance is gone, or its launch is cancelled; `reason` says why. */
  | 'leaves'
  /** Desired capacity has fallen, because an instance left and lowered it. */
  | 'lowers'
  /** An instance on its way into the warm pool boots. */
  | 'warms up'
  /** It has stopped, and stands by. */
  | 'is warm'
  | 'stock'
  | 'desired';

/**
 * Called with each event as it happens, in the order of time. An instance changes later, so copy what you keep of it.
 *
 * @param at Seconds on the agenda's scale.
 * @param instance `undefined` if the event is of none: `queued`, `refused`, `stock`, `desired`.
 */
export type Watch = (kind: EventKind, at: number, instance: Instance | undefined, value: number) => void;
