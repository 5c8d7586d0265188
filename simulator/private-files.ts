import { appendFileSync, chmodSync, existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Files with what a company calls its jobs, and when it works. Only their owner may read them, whatever the umask is.
 */

const OWNER_ONLY = 0o600;
const OWNER_ONLY_FOLDER = 0o700;

/** Writes a file completely, or leaves it as it was. */
export function writePrivate(file: string, text: string): void {
  const unfinished = `${file}.part`;
  try {
    // A file that an interrupted run has left keeps its mode when it is written to.
    rmSync(unfinished, { force: true });
    writeFileSync(unfinished, text, { mode: OWNER_ONLY });
    renameSync(unfinished, file);
  } finally {
    rmSync(unfinished, { force: true });
  }
}

/** Appends to a file, and takes it from other readers if it exists. */
export function appendPrivate(file: string, text: string): void {
  if (existsSync(file)) chmodSync(file, OWNER_ONLY);
  appendFileSync(file, text, { mode: OWNER_ONLY });
}

/** Makes a folder, unless it exists, and takes it from other readers. Git ignores all that is in it. */
export function makePrivateFolder(folder: string): void {
  mkdirSync(folder, { recursive: true });
  chmodSync(folder, OWNER_ONLY_FOLDER);
  const ignored = join(folder, '.gitignore');
  if (!existsSync(ignored)) writeFileSync(ignored, '*\n');
}
