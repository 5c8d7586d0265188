import { SingleBar } from 'cli-progress';

/** What takes longer shows how far it is, in milliseconds. */
const SHOWN_AFTER = 2_000;

export interface Progress {
  to: (value: number) => void;
  /** Takes it away, so that something else can be said; the next value shows it again. */
  stop: () => void;
}

/** Counts up on standard error, where it is a terminal, for what takes longer than two seconds; nobody knows how far. */
export function counterOf(unit: string): Progress {
  if (!process.stderr.isTTY) return { to: () => undefined, stop: () => undefined };
  const startedAt = performance.now();
  let shown = false;
  return {
    to: (value) => {
      if (performance.now() - startedAt <= SHOWN_AFTER) return;
      shown = true;
      process.stderr.write(`\r${value} ${unit}`);
    },
    stop: () => {
      if (shown) process.stderr.write('\r\x1b[K');
    },
  };
}

/** A progress bar on standard error, where it is a terminal, for what takes longer than two seconds. */
export function progressBar(total: number, unit: string): Progress {
  if (!process.stderr.isTTY) return { to: () => undefined, stop: () => undefined };
  const startedAt = performance.now();
  let bar: SingleBar | undefined;
  return {
    to: (value) => {
      if (bar === undefined && performance.now() - startedAt > SHOWN_AFTER) {
        bar = new SingleBar({
          format: `{bar} {percentage} % | {value} of {total} ${unit} | {eta_formatted} left`,
          barsize: 30,
          hideCursor: true,
          clearOnComplete: true,
          stream: process.stderr,
        });
        bar.start(total, value);
      }
      bar?.update(value);
    },
    stop: () => {
      bar?.stop();
      bar = undefined;
    },
  };
}
