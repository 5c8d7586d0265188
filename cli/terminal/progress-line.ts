/** The maximum width of the bar in characters, and the minimum that is still useful. */
const BAR = { most: 30, least: 5 };

/** Before this time, in milliseconds, the speed is too uncertain for an estimate. */
const TOO_EARLY = 1_000;

export interface Advance {
  value: number;
  /** The final value, if it is known. */
  total: number | undefined;
  unit: string;
  /** Text to show instead of the remaining time. */
  detail: string | undefined;
  /** Milliseconds since the work began. */
  elapsed: number;
}

/** Progress in one line of at most `columns` characters. It drops the less important parts first. */
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
