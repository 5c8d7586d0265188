import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { progressLine } from '../../cli/terminal/progress-line.ts';
import { Terminal } from '../../cli/terminal/terminal.ts';
import { folded } from '../../functions/lib/fold.ts';
import { commandWords, shownAtOnce } from '../support/bundled-commands.ts';
import { ProjectApi } from '../support/circleci-api.ts';
import { PseudoTerminal, Screen, type Size } from '../support/pseudo-terminal.ts';
import { address } from '../support/serve.ts';

const run = promisify(execFile);

const SIZES: Size[] = [
  { columns: 80, rows: 24 },
  { columns: 80, rows: 60 },
  { columns: 120, rows: 40 },
];

const NARROW: Size = { columns: 40, rows: 24 };

let folder: string;
let trace: string;
let longTrace: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'terminal-test-'));
  mkdirSync(join(folder, 'short'));
  trace = traceOf(12, 'short/');
  longTrace = traceOf(20_000);
});

afterAll(() => rmSync(folder, { recursive: true }));

function traceOf(jobs: number, where = ''): string {
  const file = join(folder, `${where}${jobs}.csv`);
  const rows = Array.from({ length: jobs }, (_, number) => `${number * 30},60\n`);
  writeFileSync(file, `queued_at_s,duration_s\n${rows.join('')}`);
  return file;
}

/** A Terminal that writes to a screen. */
function onScreen(size: Size) {
  const screen = new Screen(size);
  const output = {
    isTTY: true,
    get columns() {
      return screen.emulator.cols;
    },
    write: (text: string) => screen.emulator.write(text),
  };
  return { screen, terminal: new Terminal({ stdout: output, stderr: output }, { shownAfter: 0 }) };
}

const printed = new Map<string, Promise<string[]>>();

/** The lines that the command prints into a pipe. Each command runs once. */
function piped(words: readonly string[]): Promise<string[]> {
  const key = words.join(' ');
  const lines = printed.get(key) ?? print(words);
  printed.set(key, lines);
  return lines;
}

async function print(words: readonly string[]): Promise<string[]> {
  const { stdout, stderr } = await run(process.execPath, shownAtOnce(...words));
  return `${stdout}${stderr}`.trimEnd().split('\n');
}

function expectCleanTerminal({ screen }: Pick<PseudoTerminal, 'screen'>): void {
  expect({ cursor: screen.isCursorShown, wraps: screen.wraps }).toEqual({ cursor: true, wraps: true });
}

describe('text from outside', () => {
  const HOSTILE = 'job \x1b[2J\x1b]0;title\x07\x9b31m\u202egnp\r\x08 \x1b[8mhidden\tends\r\nhere';
  const SHOWN =
    'job \ufffd[2J\ufffd]0;title\ufffd\ufffd31m\ufffdgnp\ufffd\ufffd \ufffd[8mhidden\tends\nhere\n';

  it.each([
    { case: 'a terminal', isTTY: true },
    { case: 'a file', isTTY: false },
  ])('does not control $case, on standard output or standard error', ({ isTTY }) => {
    const written: string[] = [];
    const output = { isTTY, write: (text: string) => written.push(text) };
    const terminal = new Terminal({ stdout: output, stderr: output });
    terminal.print(HOSTILE);
    terminal.note(HOSTILE);
    expect(written).toEqual([SHOWN, SHOWN]);
  });
});

describe('after Ctrl-C', () => {
  it.each(SIZES)('nothing of it stays on the screen of npm run local: $columns x $rows', async (size) => {
    const silent = createServer((_, response) => response.end()).listen(0);
    try {
      const env = { ...process.env, AWS_ENDPOINT_URL: address(silent) };
      const pty = new PseudoTerminal(commandWords('local'), size, { env });
      await pty.shows(/Synthesising the app/);
      pty.interrupt();
      expect(await pty.end()).toBe(130);
      expect(pty.written).toContain('^C');
      expect(pty.screen.lines.at(-1)).toMatch(/Synthesising the app$/);
    } finally {
      silent.close();
    }
  });
});

describe('progress on a terminal', () => {
  it.each([...SIZES, NARROW])(
    'stays below the text, and is gone afterwards: $columns x $rows',
    async (size) => {
      const { screen, terminal } = onScreen(size);
      const said = Array.from({ length: 100 }, (_, number) =>
        `${number}: ${'text '.repeat(number % 20)}`.trim(),
      );
      const progress = terminal.progress('jobs', { total: 100 });
      for (const [number, text] of said.entries()) {
        progress.to(number);
        if (number % 2 === 0) terminal.print(text);
        else terminal.quote(text);
      }
      await screen.settle();
      expect(screen.lines.slice(0, -1)).toEqual(said);
      expect(screen.lines.at(-1)).toMatch(/^[=-]+ \d+ % \| \d+ of 100 jobs/);
      progress.stop();
      terminal.print('the end');
      await screen.settle();
      expect(screen.lines).toEqual([...said, 'the end']);
      expectCleanTerminal({ screen });
    },
  );

  it('survives changes of the size', async () => {
    const { screen, terminal } = onScreen({ columns: 120, rows: 40 });
    const progress = terminal.progress('jobs', { total: 100 });
    const said: string[] = [];
    for (const columns of [40, 100, 25, 80]) {
      const text = `in ${columns} columns, ${'and more '.repeat(5)}`.trim();
      progress.to(said.length, '2026-01-05 08:00');
      terminal.print(text);
      said.push(text);
      await screen.settle();
      screen.emulator.resize(columns, 24);
    }
    progress.stop();
    await screen.settle();
    expect(screen.lines).toEqual(said);
  });

  it('is not shown if standard error is not a terminal', () => {
    let written = '';
    const write = (text: string) => {
      written += text;
    };
    const toFile = new Terminal({ stdout: { write, isTTY: true }, stderr: { write } }, { shownAfter: 0 });
    toFile.progress('jobs', { total: 2 }).to(1);
    expect(written).toBe('');
  });

  it('is not shown if the work is short', () => {
    let written = '';
    const output = {
      isTTY: true,
      write: (text: string) => {
        written += text;
      },
    };
    const terminal = new Terminal({ stdout: output, stderr: output });
    const progress = terminal.progress('jobs', { total: 2 });
    progress.to(1);
    progress.stop();
    expect(written).toBe('');
  });
});

describe('a line of progress', () => {
  const advance = { value: 12, total: 644, unit: 'jobs', detail: undefined, elapsed: 20_000 };

  it.each([
    [79, '=----------------------------- 1 % | 12 of 644 jobs | 17 min 34 s left'],
    [39, '------------------ 1 % | 12 of 644 jobs'],
    [24, '1 % | 12 of 644 jobs'],
    [10, '------ 1 %'],
  ])('of %i columns', (columns, line) => {
    expect(progressLine(advance, columns)).toBe(line);
  });

  it.each([
    [{ value: 322 }, '50 % | 322 of 644 jobs | 20 s left'],
    [{ value: 0 }, '0 % | 0 of 644 jobs'],
    [{ value: 644 }, '100 % | 644 of 644 jobs | 0 s left'],
    [{ elapsed: 200_000 }, '1 % | 12 of 644 jobs | 2 h 55 min left'],
    [{ elapsed: 10 }, '1 % | 12 of 644 jobs'],
    [{ detail: '08:00' }, '1 % | 12 of 644 jobs | 08:00'],
  ])('of %j', (more, text) => {
    expect(progressLine({ ...advance, ...more }, 200).replace(/^[=-]+ /, '')).toBe(text);
  });

  it('is a count if the total is unknown', () => {
    expect(progressLine({ ...advance, total: undefined }, 80)).toBe('12 jobs');
  });
});

describe('npm start on a terminal', () => {
  it.each([...SIZES, NARROW])(
    'ends with its piped output, the figures in sight: $columns x $rows',
    async (size) => {
      const pty = new PseudoTerminal(shownAtOnce('start', '--trace', trace), size);
      expect(await pty.end()).toBe(0);
      expect(pty.screen.lines).toEqual(await piped(['start', '--trace', trace]));
      expect(pty.screen.visible).toContainEqual(expect.stringMatching(/^Jobs {12}12, /));
      expect(pty.screen.visible).toContainEqual(expect.stringMatching(/^Executions {6}\d+ succeeded/));
      expectCleanTerminal(pty);
    },
  );

  it('ends with the exit code of Ctrl-C if npm started it', async () => {
    const words = ['start', '--', '--trace', longTrace];
    const pty = new PseudoTerminal(words, { columns: 80, rows: 24 }, { program: 'npm' });
    await pty.shows(/ % \| \d+ of 20000 jobs/);
    pty.interrupt();
    expect(await pty.end()).toBe(130);
    expect(pty.screen.lines.join('\n')).not.toMatch(/ of 20000 jobs|npm (ERR|error)/);
    expectCleanTerminal(pty);
  });

  it('does not overwrite the output of its reader', async () => {
    const command = shownAtOnce('start', '--trace', trace).map((word) => `'${word}'`);
    const script = `'${process.execPath}' ${command.join(' ')} | cat`;
    const pty = new PseudoTerminal(['-c', script], NARROW, { program: 'bash' });
    expect(await pty.end()).toBe(0);
    expect(pty.screen.lines).toEqual(await piped(['start', '--trace', trace]));
  });

  it.each(SIZES)('leaves only its text after Ctrl-C: $columns x $rows', async (size) => {
    const pty = new PseudoTerminal(shownAtOnce('start', '--trace', longTrace), size);
    await pty.shows(/leaves$/);
    await pty.shows(/ % \| \d+ of 20000 jobs/);
    pty.interrupt();
    expect(await pty.end()).toBe(130);
    const [head, ...story] = pty.screen.lines;
    expect(head).toMatch(/^Fleet example: 20000 jobs, /);
    const [, ...whole] = await piped(['start', '--trace', trace]);
    expect(story.length).toBeGreaterThan(5);
    // The terminal itself shows what is pressed, as the program may do at the same time.
    expect(whole.slice(0, story.length)).toEqual(story.map((line) => line.replace('^C', '')));
    expectCleanTerminal(pty);
  });

  it.each<{ signal: NodeJS.Signals; code: number }>([
    { signal: 'SIGHUP', code: 129 },
    { signal: 'SIGQUIT', code: 131 },
    { signal: 'SIGTERM', code: 143 },
    { signal: 'SIGKILL', code: 137 },
  ])('leaves the terminal as it was after $signal', async ({ signal, code }) => {
    const pty = new PseudoTerminal(shownAtOnce('start', '--trace', longTrace), NARROW);
    await pty.shows(/ % \| \d+ of 20000 jobs/);
    pty.signal(signal);
    expect(await pty.end()).toBe(code);
    if (signal !== 'SIGKILL') expect(pty.screen.lines.join('\n')).not.toMatch(/ of 20000 jobs/);
    expectCleanTerminal(pty);
  });

  it('is not garbled when the size changes', async () => {
    const pty = new PseudoTerminal(shownAtOnce('start', '--trace', trace), { columns: 120, rows: 40 });
    for (const columns of [40, 100, 60]) {
      await pty.shows(/ % \| \d+ of 12 jobs/);
      pty.resize({ columns, rows: 30 });
    }
    expect(await pty.end()).toBe(0);
    expect(pty.screen.lines).toEqual(await piped(['start', '--trace', trace]));
  });

  it.each([
    { variable: { NO_COLOR: '1' }, has: 'progress', hasNot: 'colours' },
    { variable: { TERM: 'dumb' }, has: 'text', hasNot: 'control characters' },
  ])('has $has and no $hasNot with $variable', async ({ variable, has, hasNot }) => {
    const env = { ...process.env, ...variable };
    const pty = new PseudoTerminal(shownAtOnce('start', '--trace', trace), NARROW, { env });
    expect(await pty.end()).toBe(0);
    expect(pty.written).toContain('is queued');
    if (has === 'progress') expect(pty.written).toContain('0 % | ');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
    expect(pty.written).not.toMatch(hasNot === 'colours' ? /\x1b\[\d+m/ : /\x1b/);
  });
});

describe.each([
  { columns: 80, rows: 24 },
  { columns: 120, rows: 40 },
])('on a terminal of $columns x $rows', (size) => {
  /** Runs the command to its end, on a terminal, where no word is broken at its edge, and into a pipe. */
  async function expectSame(words: readonly string[], status = 0): Promise<void> {
    const pty = new PseudoTerminal(shownAtOnce(...words), size);
    expect(await pty.end()).toBe(status);
    expect(pty.written).toContain('\u001B[J');
    expect(pty.screen.lines).toEqual(folded((await piped(words)).join('\n'), size.columns).split('\n'));
    expectCleanTerminal(pty);
  }

  /** Presses Ctrl-C as soon as it shows its progress. */
  async function expectNothingLeft(words: readonly string[], progress: RegExp): Promise<void> {
    const pty = new PseudoTerminal(shownAtOnce(...words), size);
    await pty.shows(progress);
    pty.interrupt();
    expect(await pty.end()).toBe(130);
    expect(pty.screen.lines).toEqual([]);
    expectCleanTerminal(pty);
  }

  it('npm run simulate', async () => {
    await expectSame(['simulate', '--trace', trace]);
    await expectNothingLeft(['simulate', '--trace', longTrace], / % \| \d+ of \d+ jobs/);
  });

  it('npm run simulate -- --workflow', async () => {
    await expectNothingLeft(
      ['simulate', '--workflow', '--policies', 'ours', '--trace', longTrace],
      / % \| \d+ of 20000 jobs through the workflow/,
    );
  });

  it('npm run simulate -- --optimise', async () => {
    const goal = ['--optimise', '--max-wait-p95', '60'];
    await expectSame(['simulate', ...goal, '--trace', trace]);
    await expectNothingLeft(['simulate', ...goal, '--trace', longTrace], /^\d+ settings tried$/);
  });

  it('npm run simulate -- --report', async () => {
    const report = ['--report', join(folder, 'report.html')];
    await expectSame(['simulate', ...report, '--trace', trace]);
  });

  it('npm run benchmark', async () => {
    const words = ['benchmark', '--only', 'quiet-night', '--out', join(folder, 'page.md'), '--traces'];
    await expectSame([...words, join(folder, 'short')]);
    await expectNothingLeft([...words, folder], / % \| \d+ of \d+ jobs/);
  });

  it('a question that Ctrl-C answers', async () => {
    const words = shownAtOnce('trace', '--project', 'gh/acme/app', '--out', join(folder, 'trace.jsonl'));
    const { CIRCLECI_TOKEN: _, CIRCLECI_CLI_TOKEN: __, CIRCLE_TOKEN: ___, ...env } = process.env;
    const pty = new PseudoTerminal(words, size, { env });
    await pty.shows(/^\? Personal API token/);
    pty.interrupt();
    expect(await pty.end()).toBe(130);
    expect(pty.screen.lines).toEqual(['? Personal API token', 'Nothing was downloaded.']);
    expectCleanTerminal(pty);
  });

  it('npm run trace', async () => {
    const api = new ProjectApi([
      {
        id: 'p-today',
        created: new Date(Date.now() - 3_600_000).toISOString(),
        workflows: [{ id: 'w-build', name: 'build', jobs: [{ number: 7 }, { number: 8 }] }],
      },
    ]);
    const server = await api.listen();
    const out = join(folder, 'trace.jsonl');
    const url = ['--url', `${address(server)}/api/v2`, '--out', out];
    const words = shownAtOnce('trace', '--project', 'gh/acme/app', ...url);
    const env = { ...process.env, CIRCLECI_TOKEN: api.token };
    try {
      const pty = new PseudoTerminal(words, size, { env });
      expect(await pty.end()).toBe(0);
      expect(pty.written).toMatch(/ % \| \d+ of \d+ /);
      const { stdout, stderr } = await run(process.execPath, words, { env });
      const timeless = (text: string) => text.replace(/since\s+\S+/, 'since').split('\n');
      const shown = folded(`${stdout}${stderr}`.trimEnd(), size.columns);
      expect(timeless(pty.screen.lines.join('\n'))).toEqual(timeless(shown));
      expectCleanTerminal(pty);

      api.fault = (path) => (path.endsWith('/job/8') ? 'hang' : undefined);
      const stopped = new PseudoTerminal(words, size, { env });
      await stopped.shows(/ % \| 1 of 2 /);
      stopped.interrupt();
      expect(await stopped.end()).toBe(130);
      expect(stopped.screen.lines.join(' ')).toMatch(
        /^Interrupted\. \d+ answers are kept in \S+; the same command continues from there\.$/,
      );
      expect(stopped.screen.lines.every((line) => line.length <= size.columns)).toBe(true);
      expectCleanTerminal(stopped);
    } finally {
      rmSync(`${out}.partial`, { force: true });
      server.close();
      server.closeAllConnections();
    }
  });
});
