import type { Job } from '../../sandbox/trace.ts';

/** Arrivals that mislead a fleet that learns from them. Each job takes two minutes. */

const HOUR = 3_600;
const DAY = 24 * HOUR;

/** The jobs that are queued at each time, by number. */
const jobsAt = (times: readonly (readonly [at: number, jobs: number])[]): Job[] =>
  times.flatMap(([at, jobs]) => Array.from({ length: jobs }, () => ({ queuedAt: at, durationSeconds: 120 })));

/** A time for each of these numbers. */
const every = (seconds: number, span: number) =>
  Array.from({ length: Math.floor(span / seconds) }, (_, number) => number * seconds);

const byTurns = (seconds: number) => () =>
  jobsAt(every(seconds, DAY).map((at, number) => [at, number % 2 === 0 ? 10 : 1]));

export const ADVERSARIAL: Record<string, () => Job[]> = {
  'ten jobs or one by turns, every 450 s': byTurns(450),
  'ten jobs or one by turns, every 600 s': byTurns(600),
  'ten jobs or one by turns, every 770 s': byTurns(770),
  'ten jobs or one by turns, every 1000 s': byTurns(1_000),
  'silence, then forty jobs': () => jobsAt(every(6 * HOUR, 4 * DAY).map((at) => [at, 40])),
  'slowly growing, from 1 to 60 jobs an hour': () =>
    jobsAt(
      every(HOUR, 2 * DAY).flatMap((from) => {
        const jobs = 1 + Math.floor((59 * from) / (2 * DAY));
        return Array.from({ length: jobs }, (_, number) => [from + (number * HOUR) / jobs, 1] as const);
      }),
    ),
  'one job a day': () => jobsAt(every(DAY, 14 * DAY).map((at) => [at, 1])),
  'one job just after the spare runner has left': () => jobsAt(every(1_230, DAY).map((at) => [at, 1])),
  'bursts that stop': () =>
    jobsAt([
      ...every(600, DAY / 2).map((at) => [at, 10] as const),
      ...every(1_800, DAY / 2).map((at) => [DAY / 2 + at, 1] as const),
    ]),
};
