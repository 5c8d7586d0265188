/** The visible part of the time axis, as shares from 0 to 1. */
export interface ZoomRange {
  from: number;
  to: number;
}

export const ALL: ZoomRange = { from: 0, to: 1 };

/** The smallest visible part. */
const LEAST = 0.002;

/** Moves the range by a share of its length, within the trace. */
export function moved({ from, to }: ZoomRange, by: number): ZoomRange {
  const length = to - from;
  const start = Math.min(Math.max(from + length * by, 0), 1 - length);
  return { from: start, to: start + length };
}

/** Multiplies the length around the same middle, within the trace. */
export function zoomed({ from, to }: ZoomRange, times: number): ZoomRange {
  const length = Math.min(Math.max((to - from) * times, LEAST), 1);
  return moved({ from: (from + to - length) / 2, to: (from + to + length) / 2 }, 0);
}
