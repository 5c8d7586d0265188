import { expect, onTestFinished } from 'vitest';
import { commandWords } from './bundled-commands.ts';
import { awsEnvironment } from './in-process.ts';
import { PseudoTerminal } from './pseudo-terminal.ts';

interface Size {
  columns: number;
  rows: number;
  /** The folder in which the command runs. Default: that of the tests. */
  cwd?: string;
}

/** Starts a command on a terminal, with a stand-in of AWS. A test that fails leaves no process. */
export function startOnTerminal(endpoint: string, size: Size, ...words: string[]): PseudoTerminal {
  const pty = new PseudoTerminal(commandWords(...words), size, {
    env: { ...process.env, ...awsEnvironment(endpoint) },
    ...(size.cwd !== undefined && { cwd: size.cwd }),
  });
  onTestFinished(() => pty.kill());
  return pty;
}

/** Nothing that a command does to a terminal stays, and no line is broken by the terminal. */
export function expectCleanTerminal({ screen }: PseudoTerminal, { columns }: Size): void {
  expect({ cursor: screen.isCursorShown, wraps: screen.wraps }).toEqual({ cursor: true, wraps: true });
  expect(screen.lines.filter((line) => line.length > columns)).toEqual([]);
}
