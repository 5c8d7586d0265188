import type { Starts } from '../../sandbox/schedule.ts';

/** How EventBridge Scheduler may start executions: up to 59 s late, not at all, and twice. */
export const STARTS: Record<string, Starts> = {
  doubled: () => [0, 1],
  'doubled, 59 s apart': () => [0, 59],
  'skipped every tenth time': (minute) => (minute % 10 === 9 ? [] : [0]),
  'skipped every second time': (minute) => (minute % 2 === 1 ? [] : [0]),
  'late by 59 s and on time, in turn': (minute) => [minute % 2 === 0 ? 59 : 0],
  'late by another time each minute': (minute) => [(minute * 37) % 60],
};

/** One of each kind, for runs that take long. */
export const SOME_STARTS = [
  'doubled, 59 s apart',
  'skipped every second time',
  'late by 59 s and on time, in turn',
  'late by another time each minute',
].map((name) => ({ name, starts: STARTS[name] ?? (() => []) }));

/** Both at once: up to 179 s between two executions. */
export const LATE_AND_SKIPPED: Starts = (minute) => (minute % 3 === 2 ? [] : [(minute * 37) % 60]);
