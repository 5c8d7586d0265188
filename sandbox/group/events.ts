import type { Instance } from './instance.ts';

/**
 * All events of a group, its instances and their jobs. Every figure of a run is computed from these events. Each event
 * has a value:
 *
 * - `queued`, `claims`, `finishes`, `killed` and `retried`: the number of the job
 * - `warms up`: the seconds until the instance is stopped
 * - `stock`: the number of stopped instances in the warm pool
 * - `desired`: the desired capacity
 * - all others: 0
 */
export type EventKind =
  /** A job is queued. */
  | 'queued'
  /** The group requests an instance from EC2. */
  | 'launches'
  /** EC2 refuses a launch. */
  | 'refused'
  /** EC2 lists the instance. */
  | 'pending'
  /** Its runner has booted. */
  | 'ready'
  /** Its boot fails, or its launch hook times out. */
  | 'boot fails'
  /** Its runner takes a job. */
  | 'claims'
  /** The job has ended. */
  | 'finishes'
  /** Its runner exits after its idle timeout. */
  | 'idles out'
  /** The job ends because its instance is terminated. */
  | 'killed'
  /** The same, but the job is queued again. */
  | 'retried'
  /** EC2 takes the instance back. */
  | 'taken back'
  /** The instance leaves its group, or its launch is cancelled. `reason` has the cause. */
  | 'leaves'
  /** EC2 has terminated an instance that was pending or in service. It is no longer billed. */
  | 'ends'
  /** An instance left and lowered the desired capacity. */
  | 'lowers'
  /** An instance for the warm pool boots. */
  | 'warms up'
  /** It has stopped, and is part of the warm pool. */
  | 'is warm'
  | 'stock'
  | 'desired';

/**
 * Called with each event, in the order of time. The instance changes later, so copy what you keep.
 *
 * @param at Seconds on the agenda's scale.
 * @param instance `undefined` for `queued`, `refused`, `stock` and `desired`.
 */
export type Watch = (kind: EventKind, at: number, instance: Instance | undefined, value: number) => void;
