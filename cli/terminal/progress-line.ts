/** The most characters of the bar, and the fewest that say something. */
const BAR = { most: 30, least: 5 };

/** A share of the work that is done too early to tell how long the rest takes, in milliseconds. */
const TOO_EARLY = 1_000;

export interface Advance {
  value: number;
  /** What the value ends with, if that is known. */
  total: number | undefined;
  unit: string;
  /** What is shown in place of the time that is left. */
  detail: string | undefined;
  /** Milliseconds since the work began. */
  elapsed: number;
}

/** How far some work is, in one line of at most so many characters: what is less important is left out first. */
export function progressLine({ value, total, unit, detail, elapsed }: Advance, columns: number): string {
  if (total === undefined) return `${value} ${unit}`.slice(0, columns);
  const share = total === 0 ? 1 : Math.min(value / total, 1);
  const parts = [`${Math.floor(share * 100)} %`, `${value} of ${total} ${unit}`];
  const last = detail ?? timeLeft(share, elapsed);
  if (last !== undefined) parts.push(last);
  const fits = (room: number) => parts.join(' | ').length <= room;
  if (parts.length > 2 && !fits(columns - BAR.least - 1)) parts.pop();
  if (!fits(columns)) parts.pop();
  const text = parts.join(' | ');
  const width = Math.min(BAR.most, columns - text.length - 1);
  if (width < BAR.least) return text.slice(0, columns);
  const done = Math.round(share * width);
  return `${'='.repeat(done)}${'-'.repeat(width - done)} ${text}`;
}

function timeLeft(share: number, elapsed: number): string | undefined {
  if (share === 0 || elapsed < TOO_EARLY) return undefined;
  const seconds = Math.ceil(((elapsed / share) * (1 - share)) / 1_000);
  if (seconds < 60) return `${seconds} s left`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 60
    ? `${minutes} min ${seconds % 60} s left`
    : `${Math.floor(minutes / 60)} h ${minutes % 60} min left`;
}
