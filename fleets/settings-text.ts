import { closeSync, openSync, readSync } from 'node:fs';

/** Far above any file that a person writes. In bytes. */
export const LONGEST_SETTINGS = 10_000_000;

const CHUNK = 65_536;

/**
 * Reads a file of settings, which may be a pipe. A file without an end, such as `/dev/zero`, or a wrong one, such as an image of a
 * disk, would fill the memory, so the text has a bound.
 *
 * @throws Error if it is longer, or cannot be read.
 */
export function readSettingsText(file: string): string {
  const fd = openSync(file, 'r');
  try {
    const chunks: Buffer[] = [];
    let length = 0;
    for (;;) {
      const chunk = Buffer.alloc(CHUNK);
      const bytes = readSync(fd, chunk);
      if (bytes === 0) return Buffer.concat(chunks).toString('utf8');
      length += bytes;
      if (length > LONGEST_SETTINGS)
        throw new Error(`it has more than ${LONGEST_SETTINGS / 1e6} MB, so it is no file of settings`);
      chunks.push(chunk.subarray(0, bytes));
    }
  } finally {
    closeSync(fd);
  }
}
