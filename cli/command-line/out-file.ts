import { accessSync, constants, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { UsageError } from './arguments.ts';

/**
 * Checks that a file can be written, before work that takes minutes.
 *
 * @param option The option that names it, such as `--out`.
 * @param example Name of such a file.
 * @throws UsageError
 */
export function checkOutFile(option: string, file: string, example: string): void {
  const given = JSON.stringify(file);
  const found = (path: string) => statSync(path, { throwIfNoEntry: false });
  if (/[/\\]$/.test(file) || found(file)?.isDirectory() === true)
    throw new UsageError(`${option} must be a file such as ${example}, got the folder ${given}`);
  const folder = dirname(file);
  if (!found(folder)?.isDirectory())
    throw new UsageError(`${option} must be a file in an existing folder, got ${given}`);
  if (found(file)?.isFile() === false)
    throw new UsageError(`${option} must be a file such as ${example}, got the device ${given}`);
  try {
    accessSync(folder, constants.W_OK);
  } catch {
    throw new UsageError(`${option} must be in a folder that you may write to, got ${given}`);
  }
}
