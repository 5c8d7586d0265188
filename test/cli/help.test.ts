import { describe, expect, it } from 'vitest';
import { COMMANDS, type CommandName } from '../../cli/commands.ts';
import { runInProcess } from '../support/in-process.ts';

const NAMES = Object.keys(COMMANDS) as CommandName[];

const indentOf = (line: string) => /^ */.exec(line)?.[0].length;

/** The column in which the text of a line starts. If the line has a term, the text starts after it. */
const textStart = (line: string) => /^ +\S+(?: \S+)* {2,}(?=\S)|^ */.exec(line)?.[0].length;

/** Pairs of lines that were broken too early: the first word of the second line fits into the first line. */
function brokenEarly(lines: string[], columns: number): string[] {
  return lines.flatMap((line, index) => {
    const next = lines[index + 1] ?? '';
    const continues = line !== '' && next !== '' && indentOf(next) === textStart(line);
    const isTerm = /^ +\S+(?: \S+)* {2,}\S/.test(next) || /:$/.test(line.trimEnd());
    const [word = ''] = next.trim().split(' ');
    return continues && !isTerm && line.length + 1 + word.length <= columns ? [`${line}\n${next}`] : [];
  });
}

describe.each([80, 100])('the help texts in %i columns', (columns) => {
  it.each(NAMES)('npm run %s: fill the lines, and no line is longer', async (name) => {
    const { status, stdout, stderr } = await runInProcess(name, ['--help'], { columns });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    const lines = stdout.trimEnd().split('\n');
    expect(lines.filter(({ length }) => length > columns)).toEqual([]);
    expect(brokenEarly(lines, columns)).toEqual([]);
  });
});

it.each(NAMES)('npm run %s: says what its exit codes mean', async (name) => {
  const { stdout } = await runInProcess(name, ['--help'], { columns: 80 });
  const [, codes = ''] = stdout.split('\nExit codes:\n');
  expect(codes.split('\n').flatMap((line) => /^ +(\d+) +\S/.exec(line)?.[1] ?? [])).toEqual([
    '0',
    '1',
    '2',
    // Only pin has a code of its own.
    ...(name === 'pin' ? ['3'] : []),
    '130',
  ]);
});

it('help texts are never wider than 100 columns', async () => {
  const { stdout } = await runInProcess('simulate', ['--help'], { columns: 200 });
  expect(Math.max(...stdout.split('\n').map(({ length }) => length))).toBeLessThanOrEqual(100);
});
