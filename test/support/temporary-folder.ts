import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Gives all tests of a run one folder for temporary files, which goes with the run, however they ended. */
export default function setup(): () => void {
  const folder = mkdtempSync(join(tmpdir(), 'tests-'));
  chmodSync(folder, 0o755); // the scripts of an instance run as nobody
  process.env.TMPDIR = folder;
  // A process that a test has ended may still write for a moment.
  return () => rmSync(folder, { recursive: true, force: true, maxRetries: 20 });
}
