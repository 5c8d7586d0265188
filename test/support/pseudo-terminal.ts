import { constants } from 'node:os';
import { type IPty, spawn } from '@lydell/node-pty';
import headless, { type Terminal as Emulator } from '@xterm/headless';

/** How long a command may take to show or to do something, in milliseconds; other tests run beside it. */
const PATIENCE = 60_000;

export interface Size {
  columns: number;
  rows: number;
}

/** A terminal emulator that keeps what it shows, and that notices a cursor which is hidden or shown. */
export class Screen {
  readonly emulator: Emulator;
  isCursorShown = true;

  constructor({ columns, rows }: Size) {
    this.emulator = new headless.Terminal({
      cols: columns,
      rows,
      scrollback: 10_000,
      allowProposedApi: true,
      // A pseudo-terminal does so by itself; what a test writes goes through none.
      convertEol: true,
    });
    for (const [final, shown] of [
      ['h', true],
      ['l', false],
    ] as const) {
      this.emulator.parser.registerCsiHandler({ prefix: '?', final }, (parameters) => {
        if (parameters.includes(25)) this.isCursorShown = shown;
        return false;
      });
    }
  }

  /** Whether text that is longer than a line goes on in the next one. */
  get wraps(): boolean {
    return this.emulator.modes.wraparoundMode;
  }

  /** Waits until everything that was written is shown. */
  settle(): Promise<void> {
    return new Promise((resolve) => this.emulator.write('', resolve));
  }

  /** The rows that are on the screen, without those that have scrolled off. */
  get visible(): string[] {
    const { active } = this.emulator.buffer;
    return Array.from({ length: this.emulator.rows }, (_, row) =>
      (active.getLine(active.baseY + row)?.translateToString() ?? '').trimEnd(),
    );
  }

  /** All lines from the first on, those above the screen too; a line that the terminal has wrapped is one line. */
  get lines(): string[] {
    const { active } = this.emulator.buffer;
    const lines: string[] = [];
    for (let number = 0; number < active.length; number += 1) {
      const line = active.getLine(number);
      const text = line?.translateToString() ?? '';
      if (line?.isWrapped) lines.push((lines.pop() ?? '') + text);
      else lines.push(text);
    }
    const trimmed = lines.map((line) => line.trimEnd());
    return trimmed.slice(0, trimmed.findLastIndex((line) => line !== '') + 1);
  }
}

/**
 * A process in a pseudo-terminal, with what its user sees.
 *
 * The pseudo-terminal comes from `@lydell/node-pty`, a build of Microsoft's node-pty (the terminal of VS Code) that
 * npm installs ready-made for Linux and macOS: no compiler, no script during the installation, one build for all
 * versions of Node.js.
 */
export class PseudoTerminal {
  readonly screen: Screen;
  /** How the process ended, as a shell has it in `$?`. */
  readonly ended: Promise<number>;
  readonly #process: IPty;
  /** Everything that the process wrote. */
  written = '';

  constructor(
    words: readonly string[],
    size: Size,
    {
      program = process.execPath,
      env: environment = process.env,
      cwd = process.cwd(),
    }: { program?: string; env?: NodeJS.ProcessEnv; cwd?: string } = {},
  ) {
    this.screen = new Screen(size);
    // Vitest's own variables would change what the command does.
    const { CI: _, NODE_ENV: __, VITEST: ___, ...env } = environment;
    const { columns: cols, rows } = size;
    this.#process = spawn(program, [...words], {
      cols,
      rows,
      name: environment.TERM ?? 'xterm-256color',
      env,
      cwd,
    });
    this.#process.onData((text) => {
      this.written += text;
      this.screen.emulator.write(text);
    });
    this.ended = new Promise((resolve) => {
      this.#process.onExit(({ exitCode, signal = 0 }) => resolve(signal === 0 ? exitCode : 128 + signal));
    });
  }

  /** Waits until one of the lines is such. */
  async shows(pattern: RegExp): Promise<void> {
    const deadline = Date.now() + PATIENCE;
    while (!this.screen.lines.some((line) => pattern.test(line))) {
      if (Date.now() > deadline) {
        throw new Error(`No line is like ${pattern}. The screen is:\n${this.screen.lines.join('\n')}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Presses keys: the terminal passes them on as they are. */
  type(keys: string): void {
    this.#process.write(keys);
  }

  /** Ctrl-C, as from the keyboard: the terminal makes a signal of it. */
  interrupt(): void {
    this.#process.write('\x03');
  }

  signal(name: NodeJS.Signals): void {
    process.kill(this.#process.pid, constants.signals[name]);
  }

  /** Ends the process if it has not ended. */
  kill(): void {
    try {
      this.signal('SIGKILL');
    } catch {
      // It has ended.
    }
  }

  resize({ columns, rows }: Size): void {
    this.screen.emulator.resize(columns, rows);
    this.#process.resize(columns, rows);
  }

  /** The exit code, once everything that the process wrote is shown. */
  async end(): Promise<number> {
    const code = await this.ended;
    await this.screen.settle();
    return code;
  }
}
