import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { appendPrivate, makePrivateFolder, writePrivate } from '../../simulator/private-files.ts';

let folder: string;
let umask: number;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'private-'));
  umask = process.umask(0);
});

afterEach(() => {
  process.umask(umask);
  rmSync(folder, { recursive: true });
});

const mode = (path: string) => (statSync(path).mode & 0o777).toString(8);

it('writes a file for its owner alone, also over a file that others could read', () => {
  const file = join(folder, 'trace.jsonl');
  writeFileSync(file, 'old', { mode: 0o644 });
  writeFileSync(`${file}.part`, 'of an interrupted run', { mode: 0o644 });
  writePrivate(file, 'new');
  expect([readFileSync(file, 'utf8'), mode(file)]).toEqual(['new', '600']);
  expect(readdirSync(folder)).toEqual(['trace.jsonl']);
});

it('leaves a file as it was if it cannot be replaced', () => {
  const target = join(folder, 'folder');
  mkdirSync(join(target, 'full'), { recursive: true });
  expect(() => writePrivate(target, 'new')).toThrow();
  expect(readdirSync(folder)).toEqual(['folder']);
});

it('appends to a new file, and to one that others could read', () => {
  const file = join(folder, 'answers');
  appendPrivate(file, 'a');
  expect(mode(file)).toBe('600');
  const old = join(folder, 'old');
  writeFileSync(old, 'a', { mode: 0o644 });
  appendPrivate(old, 'b');
  expect([readFileSync(old, 'utf8'), mode(old)]).toEqual(['ab', '600']);
});

it('makes a folder for its owner alone, which git ignores, also of one that others could read', () => {
  const open = join(folder, 'open');
  mkdirSync(open, { mode: 0o755 });
  for (const path of [open, join(folder, 'new')]) {
    makePrivateFolder(path);
    expect(mode(path)).toBe('700');
    expect(readFileSync(join(path, '.gitignore'), 'utf8')).toBe('*\n');
  }
});
