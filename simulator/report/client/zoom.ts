/** What is shown, as shares of all the time, from 0 to 1. */
export interface ZoomRange {
  from: number;
  to: number;
}

export const ALL: ZoomRange = { from: 0, to: 1 };

/** Nobody needs less than so much of all the time at once. */
const LEAST = 0.002;

/** The same length, so much of it earlier or later, as far as there is something. */
export function moved({ from, to }: ZoomRange, by: number): ZoomRange {
  const length = to - from;
  const start = Math.min(Math.max(from + length * by, 0), 1 - length);
  return { from: start, to: start + length };
}

/** So many times the length around the same middle, as far as there is something. */
export function zoomed({ from, to }: ZoomRange, times: number): ZoomRange {
  const length = Math.min(Math.max((to - from) * times, LEAST), 1);
  return moved({ from: (from + to - length) / 2, to: (from + to + length) / 2 }, 0);
}
