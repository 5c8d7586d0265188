/** Clocks change at whole quarters of an hour. */
const QUARTER_MS = 900_000;

/** What was asked before, by the number of the quarter: asking a clock takes longer than replaying a job. */
const known = new Map<string, Map<number, number>>();

/** By how much a time zone is ahead of UTC at a time, in milliseconds. */
export function offsetOf(at: number, zone: string): number {
  if (zone === 'UTC') return 0;
  const offsets = known.get(zone) ?? new Map<number, number>();
  known.set(zone, offsets);
  const quarter = Math.floor(at / QUARTER_MS);
  const offset = offsets.get(quarter) ?? askClock(quarter * QUARTER_MS, zone);
  offsets.set(quarter, offset);
  return offset;
}

const clocks = new Map<string, Intl.DateTimeFormat>();

function askClock(at: number, zone: string): number {
  const made = clocks.get(zone);
  const clock =
    made ??
    new Intl.DateTimeFormat('en-GB', {
      timeZone: zone,
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    });
  if (made === undefined) clocks.set(zone, clock);
  const parts = new Map(clock.formatToParts(at).map(({ type, value }) => [type, Number(value)]));
  const part = (type: Intl.DateTimeFormatPartTypes) => parts.get(type) ?? 0;
  const local = Date.UTC(
    part('year'),
    part('month') - 1,
    part('day'),
    part('hour'),
    part('minute'),
    part('second'),
  );
  return local - at;
}
