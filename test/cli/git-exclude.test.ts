import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { keepFromGit } from '../../cli/command-line/git-exclude.ts';
import { Terminal } from '../../cli/terminal/terminal.ts';

let folder: string;
let notes: string;
let terminal: Terminal;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'git-exclude-'));
  notes = '';
  const ignore = { write: () => {}, columns: 0 };
  const note = (text: string) => {
    notes += text;
  };
  terminal = new Terminal({ stdout: ignore, stderr: { write: note } });
});

afterEach(() => rmSync(folder, { recursive: true }));

const git = (...words: string[]) =>
  execFileSync('git', ['-C', folder, ...words], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

const untracked = () =>
  git('status', '--porcelain', '--untracked-files=all')
    .split('\n')
    .filter((line) => line !== '');

it('keeps a file and its unfinished copies out of commits, wherever it is in a repository', () => {
  git('init', '--quiet');
  mkdirSync(join(folder, 'my traces'));
  const file = join(folder, 'my traces', 'week [1].jsonl');
  keepFromGit(file, terminal);
  for (const name of [file, `${file}.part`, `${file}.partial`]) writeFileSync(name, 'names of jobs');
  writeFileSync(join(folder, 'my traces', 'week 1.jsonl'), 'another file');
  expect(untracked()).toEqual(['?? "my traces/week 1.jsonl"']);
  expect(notes).toContain('git ignores it from now on: see ');
  expect(notes).toContain(join('.git', 'info', 'exclude'));
});

it('keeps unfinished copies out of commits, although git ignores the file itself', () => {
  git('init', '--quiet');
  writeFileSync(join(folder, '.gitignore'), '*.jsonl\n.gitignore\n');
  const file = join(folder, 'trace.jsonl');
  keepFromGit(file, terminal);
  for (const name of [file, `${file}.part`, `${file}.partial`]) writeFileSync(name, 'names of jobs');
  expect(untracked()).toEqual([]);
});

it('says and changes nothing for a file that is ignored already, or outside of a repository', () => {
  const file = join(folder, 'trace.jsonl');
  keepFromGit(file, terminal);
  git('init', '--quiet');
  writeFileSync(join(folder, '.gitignore'), 'trace.jsonl*\n');
  const before = readFileSync(join(folder, '.git/info/exclude'), 'utf8');
  keepFromGit(file, terminal);
  expect(readFileSync(join(folder, '.git/info/exclude'), 'utf8')).toBe(before);
  expect(notes).toBe('');
});
