import { readFileSync, realpathSync, type Stats, statSync } from 'node:fs';
import { extname, isAbsolute, relative, resolve, sep } from 'node:path';
import { quote, type SettingFault } from './faults.ts';
import { isMap } from './settings/parts.ts';

/**
 * Finds the `install` script of each fleet, whatever else is wrong with the fleet. Whoever changes `fleets.yaml` must not
 * get other files of the machine that deploys onto instances, so scripts lie beside `fleets.yaml` or in the folder in
 * which the app runs, or below. Symbolic links are followed first.
 *
 * @param directory Folder of `fleets.yaml`.
 */
export function findInstallScripts(directory: string, raw: unknown) {
  const files = new Map<string, string>();
  const faults: SettingFault[] = [];
  for (const [name, fleet] of Object.entries(isMap(raw) ? raw : {})) {
    // The install script of an image that is built is the fleet's.
    const [key, install] = Object(fleet).image?.install
      ? ['image.install', Object(fleet).image.install]
      : ['install', Object(fleet).install];
    if (typeof install !== 'string' || install.trim() === '') continue;
    const fault = (wanted: string, seen: unknown) =>
      faults.push({
        path: [name, ...key.split('.')],
        says: `${name}.${key}: must be ${wanted}, got ${quote(install)} (${seen})`,
      });
    try {
      const file = realpathSync(resolve(directory, install));
      if (!isInFolders(directory, file)) {
        fault('the path of a script in the folder of this file or of the app, or below', `it is ${file}`);
        continue;
      }
      fileThatEnds(file);
      const [firstLine = ''] = readFileSync(file, 'utf8').split('\n', 1);
      if (!firstLine.startsWith('#!') || firstLine.endsWith('\r')) {
        fault(
          'a script whose first line names its interpreter, such as #!/usr/bin/env bash, with Unix line ends',
          // Without the line, because a file given by mistake may hold a secret.
          firstLine.startsWith('#!') ? 'its first line ends as on Windows' : 'it does not begin with #!',
        );
      }
      // It becomes part of the script's name in S3, which instances put into a URL.
      if (!/^(\.\w{1,8})?$/.test(extname(file))) {
        fault('a file with a short extension such as .sh, or none', extname(file));
      }
      files.set(name, file);
    } catch (error) {
      fault('the path of a script, relative to this file', (error as Error).message);
    }
  }
  return { files, faults };
}

/**
 * What the system says about a file.
 *
 * @throws Error for a pipe, whose reader would wait until somebody writes.
 */
export function fileThatEnds(file: string): Stats {
  const stats = statSync(file);
  if (stats.isFIFO()) throw new Error('it is a pipe');
  return stats;
}

/** Whether a file lies in the folder of `fleets.yaml` or of the app, or below. */
export const isInFolders = (directory: string, file: string) =>
  [directory, process.cwd()].some((folder) => isBelow(folder, file));

function isBelow(folder: string, file: string): boolean {
  const path = relative(realpathSync(folder), file);
  return !isAbsolute(path) && path.split(sep)[0] !== '..';
}
