import { fstatSync } from 'node:fs';
import pc from 'picocolors';
import { beforeEnd } from './ending.ts';
import { progressLine } from './progress-line.ts';

/** Work that takes longer than this shows its progress, in milliseconds. */
const SHOWN_AFTER = 2_000;

/** A shorter time between two redraws costs more than it shows, in milliseconds. */
const REDRAWN_AFTER = 100;

/** Columns of a terminal that does not say how many it has. */
const COLUMNS = 80;

/** Moves the cursor to the start of its line and clears everything from there on. */
const ERASE = '\r\x1b[J';

/** A stream that a command writes to; `process.stdout` and `process.stderr` are such. */
export interface Output {
  write: (text: string) => unknown;
  isTTY?: boolean;
  columns?: number;
  fd?: number;
}

export interface Progress {
  /** @param detail What is shown behind the count, such as the time of day in a simulation. */
  to: (value: number, detail?: string) => void;
  /** Takes the progress off the screen. */
  stop: () => void;
}

interface Shown {
  value: number;
  detail: string | undefined;
  total: number | undefined;
  unit: string;
  startedAt: number;
}

/**
 * Everything that a command writes, and the only place that draws on a terminal. Progress is one line below the
 * text: each text replaces it, and it is drawn again under the text.
 *
 * Between two writes the cursor stays at the start of the progress line. There it needs neither hiding nor a change
 * of the terminal's modes, so that a command that is killed leaves nothing to restore. The `^C` that the terminal
 * shows for Ctrl-C cannot wrap there, and a terminal that wraps lines again when its size changes moves the cursor
 * together with the line.
 */
export class Terminal {
  /** Colours on terminals only; picocolors alone would also colour the output of a CI job. */
  readonly colours: ReturnType<typeof pc.createColors>;
  readonly #stdout: Output;
  readonly #stderr: Output;
  readonly #shownAfter: number;
  #shown: Shown | undefined;
  #drawnAt = Number.NEGATIVE_INFINITY;
  #isDrawn = false;
  /** Whether this command has written into a pipe; whatever reads from there may write on the same terminal. */
  #hasPiped = false;

  /** @param options.shownAfter Milliseconds of work before progress is shown. */
  constructor(
    { stdout, stderr }: { stdout: Output; stderr: Output },
    { shownAfter = SHOWN_AFTER }: { shownAfter?: number } = {},
  ) {
    this.#stdout = stdout;
    this.#stderr = stderr;
    this.#shownAfter = shownAfter;
    this.colours = pc.createColors(stdout.isTTY === true && pc.isColorSupported);
  }

  /** Whether somebody watches: standard error is a terminal. */
  get isWatched(): boolean {
    return this.#stderr.isTTY === true;
  }

  /** How many columns standard output has. */
  get columns(): number {
    return this.#stdout.columns || COLUMNS;
  }

  /** Writes a line, or several, to standard output. */
  print(text = ''): void {
    this.#write(this.#stdout, text);
    this.#hasPiped ||= isPipe(this.#stdout);
  }

  /** Writes a line, or several, to standard error: what is not part of the result. */
  note(text: string): void {
    this.#write(this.#stderr, text);
  }

  /**
   * Shows on a terminal how far some work is, one work at a time.
   *
   * @param options.total What the count ends with, if that is known.
   * @param options.atOnce Whether it is shown from the start; otherwise only if the work takes more than two seconds.
   */
  progress(unit: string, { total, atOnce = false }: { total?: number; atOnce?: boolean } = {}): Progress {
    if (!this.isWatched || process.env.TERM === 'dumb') return { to: () => undefined, stop: () => undefined };
    const startedAt = performance.now();
    const shownAt = atOnce ? startedAt : startedAt + this.#shownAfter;
    let release: (() => void) | undefined;
    return {
      to: (value, detail) => {
        const now = performance.now();
        if (now < shownAt || this.#hasPiped) return;
        release ??= beforeEnd(() => this.#erase());
        this.#shown = { value, detail, total, unit, startedAt };
        if (now - this.#drawnAt >= REDRAWN_AFTER) this.#draw();
      },
      stop: () => {
        this.#erase();
        this.#shown = undefined;
        this.#drawnAt = Number.NEGATIVE_INFINITY;
        release?.();
        release = undefined;
      },
    };
  }

  #write(stream: Output, text: string): void {
    if (stream.isTTY !== true && !isPipe(stream)) {
      stream.write(`${text}\n`);
      return;
    }
    this.#erase();
    stream.write(`${text}\n`);
    if (!isPipe(stream)) this.#draw();
  }

  #draw(): void {
    if (this.#shown === undefined) return;
    const { startedAt, ...shown } = this.#shown;
    const now = performance.now();
    // The last column stays free: a full line makes some terminals wrap.
    const columns = (this.#stderr.columns || COLUMNS) - 1;
    this.#stderr.write(`${ERASE}${progressLine({ ...shown, elapsed: now - startedAt }, columns)}\r`);
    this.#drawnAt = now;
    this.#isDrawn = true;
  }

  #erase(): void {
    if (this.#isDrawn) this.#stderr.write(ERASE);
    this.#isDrawn = false;
  }
}

/** Whether another program reads what is written there. */
function isPipe({ isTTY, fd }: Output): boolean {
  if (isTTY === true || fd === undefined) return false;
  const kind = fstatSync(fd);
  return kind.isFIFO() || kind.isSocket();
}
