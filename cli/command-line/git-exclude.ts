import { execFileSync } from 'node:child_process';
import { appendFileSync, mkdirSync, realpathSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import type { Terminal } from '../terminal/terminal.ts';

/**
 * Keeps a private file, and unfinished ones beside it, out of the commits of the repository that it is in, and says so.
 * The entry is in `.git/info/exclude`, which is not committed itself.
 */
export function keepFromGit(file: string, terminal: Terminal): void {
  const list = excludeFromGit(file);
  if (list !== undefined)
    terminal.note(`${file} has names of jobs, so git ignores it from now on: see ${list}`);
}

/** @returns The file with the new entry; `undefined` if the file is in no repository or is ignored already. */
function excludeFromGit(file: string): string | undefined {
  const folder = realpathSync(dirname(resolve(file)));
  const git = (...words: string[]) =>
    execFileSync('git', ['-C', folder, ...words], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  try {
    const root = git('rev-parse', '--show-toplevel');
    if (areIgnored(git, basename(file))) return undefined;
    const list = resolve(folder, git('rev-parse', '--git-path', 'info/exclude'));
    mkdirSync(dirname(list), { recursive: true });
    const path = relative(root, join(folder, basename(file))).replaceAll('\\', '/');
    appendFileSync(list, `\n/${path.replace(/[*?[\]\\ ]/g, '\\$&')}*\n`);
    return list;
  } catch {
    // No repository, or no git: then nobody commits the file.
    return undefined;
  }
}

/** What the names of unfinished files end in. */
const UNFINISHED = ['.part', '.partial'];

/** Whether git ignores the file and those beside it: a pattern such as `*.jsonl` is about the file alone. */
function areIgnored(git: (...words: string[]) => string, name: string): boolean {
  const names = [name, ...UNFINISHED.map((ending) => name + ending)];
  try {
    return git('check-ignore', '--', ...names).split('\n').length === names.length;
  } catch (error) {
    // Exit code 1: none of them is ignored.
    if ((error as { status?: number }).status === 1) return false;
    throw error;
  }
}
