import { mkdirSync, realpathSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

/**
 * Writes a file completely, or leaves it as it was: the text goes to another name in the same folder first. A link stays
 * a link, and a file keeps its permissions.
 */
export function writeWhole(file: string, text: string): void {
  mkdirSync(dirname(file), { recursive: true });
  const before = statSync(file, { throwIfNoEntry: false });
  const target = before === undefined ? file : realpathSync(file);
  const unfinished = join(dirname(target), `.${basename(target)}.${process.pid}.part`);
  try {
    writeFileSync(unfinished, text, before === undefined ? {} : { mode: before.mode });
    renameSync(unfinished, target);
  } finally {
    rmSync(unfinished, { force: true });
  }
}
