import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';

/** The first line of a trace in seconds. */
export const HEADER = 'queued_at_s,duration_s\n';

/**
 * Makes a folder for the traces of a test file, which goes with it.
 *
 * @returns What writes a trace into it, and gives its path.
 */
export function traceFolder(): (name: string, text: string) => string {
  let folder = '';
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'traces-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));
  return (name, text) => {
    const file = join(folder, name);
    writeFileSync(file, text);
    return file;
  };
}
