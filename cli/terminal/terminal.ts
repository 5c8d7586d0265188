import { fstatSync } from 'node:fs';
import pc from 'picocolors';
import { folded } from '../../functions/lib/fold.ts';
import { printable } from '../../functions/lib/printable.ts';
import { beforeEnd, endingCode } from './ending.ts';
import { progressLine } from './progress-line.ts';

/** If work takes longer than this, in milliseconds, it shows its progress. */
const SHOWN_AFTER = 2_000;

/** The minimum time between two redraws, in milliseconds. More redraws cost time and show nothing new. */
const REDRAWN_AFTER = 100;

/** The width of a terminal that does not report it. */
const COLUMNS = 80;

/** Moves the cursor to the start of its line and clears everything from there on. */
const ERASE = '\r\x1b[J';

/** The exit code after Ctrl-C, for which a terminal shows `^C` where its cursor is. */
const AFTER_CTRL_C = 130;

/** The sequences of the colours that commands use. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: picocolors writes them
const COLOURS = /(\x1b\[(?:1|2|22|31|32|33|39)m)/;

/** A stream that a command writes to, such as `process.stdout`. */
export interface Output {
  write: (text: string) => unknown;
  isTTY?: boolean;
  columns?: number;
  rows?: number;
  fd?: number;
}

export interface Progress {
  /** @param detail Text to show after the count, such as the time of day in a simulation. */
  to: (value: number, detail?: string) => void;
  /** Removes the progress from the screen. */
  stop: () => void;
}

/** A screen that is drawn again and again, in place of what the terminal shows. */
export interface LiveScreen {
  /** Draws these lines over those before, as many as the terminal has room for. */
  draw: (lines: readonly string[]) => void;
  /** Leaves the terminal as it was, with the last lines below the rest. */
  close: () => void;
}

/** The alternate screen, which full-screen programs use: https://invisible-island.net/xterm/ctlseqs/ctlseqs.html */
const ALTERNATE = { enter: '\x1b[?1049h', leave: '\x1b[?1049l' };

/** The height of a terminal that does not report it. */
const ROWS = 24;

interface Shown {
  value: number;
  detail: string | undefined;
  total: number | undefined;
  unit: string;
  startedAt: number;
}

/**
 * Writes all output of a command. No other code draws on the terminal. Progress is one line below the text. Each text
 * overwrites the progress line, and the line is drawn again below the text.
 *
 * Between two writes the cursor stays at the start of the progress line. So the cursor need not be hidden and no mode of
 * the terminal changes: if the command is killed, nothing needs to be restored. The `^C` that the terminal shows for
 * Ctrl-C cannot wrap there. If the terminal wraps its lines again after a change of size, it moves the cursor together
 * with the line.
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
  #isEchoErased = false;
  /** Whether this command has written into a pipe. The pipe's reader may write on the same terminal. */
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

  /** Whether standard error is a terminal, so that somebody can watch. */
  get isWatched(): boolean {
    return this.#stderr.isTTY === true;
  }

  /** Whether standard output is a terminal that can be drawn on. */
  get hasScreen(): boolean {
    return this.#stdout.isTTY === true && process.env.TERM !== 'dumb';
  }

  /** The width of standard output. */
  get columns(): number {
    return this.#stdout.columns || COLUMNS;
  }

  /** The columns that a line of a result may have: those of the terminal, and any number in a pipe or a file. */
  get widest(): number {
    return this.#stdout.isTTY === true ? this.columns : Number.POSITIVE_INFINITY;
  }

  /** Writes one or more lines to standard output. */
  print(text = ''): void {
    this.#write(this.#stdout, text);
    this.#hasPiped ||= isPipe(this.#stdout);
  }

  /** Writes a result that has sentences to standard output. On a terminal, longer lines are folded between words. */
  printProse(text: string): void {
    this.print(this.#stdout.isTTY === true ? folded(text, this.columns) : text);
  }

  /**
   * Writes what is not part of the result to standard error: what is wrong, what to do, and other prose. All complaints of
   * all commands go through here. On a terminal, longer lines are folded; in a pipe, each line stays whole.
   */
  note(text: string): void {
    this.quote(this.isWatched ? folded(text, this.#stderr.columns || COLUMNS) : text);
  }

  /** Writes lines of a file to standard error, as they are. */
  quote(text: string): void {
    this.#write(this.#stderr, text);
  }

  /**
   * Shows the progress of some work on a terminal. Only one work at a time can show its progress.
   *
   * @param options.total The final count, if it is known.
   * @param options.atOnce Whether to show progress from the start. By default it appears after two seconds.
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

  /**
   * Takes the whole screen. Each frame is one write that clears a line only to write it again at once, so nothing
   * flickers. The terminal itself keeps what it showed before, and `close` or the end of the process brings it back.
   */
  screen(): LiveScreen {
    let last: readonly string[] = [];
    const leave = () => this.#stdout.write(ALTERNATE.leave);
    this.#stdout.write(ALTERNATE.enter);
    const release = beforeEnd(leave);
    return {
      draw: (lines) => {
        last = lines.map((line) => this.#cleaned(line));
        const shown = last.slice(0, this.#stdout.rows || ROWS);
        this.#stdout.write(`\x1b[H${shown.map((line) => `\x1b[2K${line}`).join('\r\n')}\x1b[0J`);
      },
      close: () => {
        release();
        leave();
        this.#stdout.write(last.map((line) => `${line}\n`).join(''));
      },
    };
  }

  /** Removes the `^C` of a command that Ctrl-C has ended. Each text is a whole line, so the `^C` has a line of its own. */
  eraseEcho(): void {
    if (!this.isWatched || this.#isEchoErased || endingCode() !== AFTER_CTRL_C) return;
    this.#stderr.write(ERASE);
    this.#isEchoErased = true;
  }

  #write(stream: Output, raw: string): void {
    const text = this.#cleaned(raw);
    if (stream.isTTY !== true && !isPipe(stream)) {
      stream.write(`${text}\n`);
      return;
    }
    this.#erase();
    this.eraseEcho();
    stream.write(`${text}\n`);
    if (!isPipe(stream)) this.#draw();
  }

  /** Names and messages come from files, CircleCI and AWS, so only the colours may control the terminal. */
  #cleaned(text: string): string {
    if (!this.colours.isColorSupported) return printable(text);
    return text
      .split(COLOURS)
      .map((part, index) => (index % 2 === 1 ? part : printable(part)))
      .join('');
  }

  #draw(): void {
    if (this.#shown === undefined) return;
    const { startedAt, ...shown } = this.#shown;
    const now = performance.now();
    // The last column stays free, because some terminals wrap a full line.
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

/** Whether another program reads this output. */
function isPipe({ isTTY, fd }: Output): boolean {
  if (isTTY === true || fd === undefined) return false;
  const kind = fstatSync(fd);
  return kind.isFIFO() || kind.isSocket();
}
