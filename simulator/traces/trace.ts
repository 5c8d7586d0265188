import type { Job } from '../../sandbox/trace.ts';

/** A trace, and the records of its file that were left out. */
export interface Trace {
  /** In the order in which they were queued. The first is at 0, unless the file has seconds of its own. */
  jobs: Job[];
  /** The date of second 0, in milliseconds since the epoch, if the file has dates. */
  startsAt?: number;
  /** The form of the file. */
  form: string;
  /** Records that were left out: why, how many, and the place of the first one. */
  leftOut: { reason: string; count: number; first: string }[];
  /** What else a reader of the figures must know. */
  cautions?: string[];
}

/** A trace that cannot be used; the message says where, and what is allowed. */
export class TraceInvalid extends Error {
  override readonly name = 'TraceInvalid';
}

/** What was left out of a trace and what else is to be known, each as a sentence. */
export const describeNotes = ({ leftOut, cautions = [] }: Pick<Trace, 'leftOut' | 'cautions'>): string[] => [
  ...leftOut.map(({ reason, count, first }) => `Left out: ${count} ${reason} (the first: ${first}).`),
  ...cautions,
];

/** Counts what is left out, by its reason. */
export class LeftOutCounts {
  readonly #reasons = new Map<string, Trace['leftOut'][number]>();

  /** Counts it, and is the empty list that stands for it. */
  add(reason: string, place: string): [] {
    const known = this.#reasons.get(reason);
    if (known === undefined) this.#reasons.set(reason, { reason, count: 1, first: place });
    else known.count += 1;
    return [];
  }

  reasons(): Trace['leftOut'] {
    return [...this.#reasons.values()];
  }
}

/** How many faults are named before the rest is only counted. */
const FAULTS_SHOWN = 5;

/** The faults of a file. */
export class TraceFaults {
  readonly #shown: string[] = [];
  #rest = 0;

  add(fault: string): void {
    if (this.#shown.length < FAULTS_SHOWN) this.#shown.push(fault);
    else this.#rest += 1;
  }

  /** @throws TraceInvalid with the first faults and the number of the rest, if there are any. */
  refuse(): void {
    if (this.#shown.length === 0) return;
    throw new TraceInvalid(
      [...this.#shown, ...(this.#rest > 0 ? [`... and ${this.#rest} more`] : [])].join('\n'),
    );
  }
}

/** A value as a message shows it. */
export const shown = (value: unknown) => {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > 80 ? `${text.slice(0, 80)}...` : text;
};
