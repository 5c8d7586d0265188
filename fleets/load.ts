import { readFileSync } from 'node:fs';
import { dirname, extname, resolve } from 'node:path';
import { closest } from 'fastest-levenshtein';
import { parse as parseYaml } from 'yaml';
import type * as z from 'zod';
import { Fleet, type FleetSettings, Fleets } from './fleet.ts';
import { Breaker, ScalingSchedule, Spot, WarmPool } from './settings/capacity.ts';
import { RootVolume, Runner } from './settings/image.ts';
import { InstanceRequirements } from './settings/instance.ts';
import { SshRerun, VpcOfYours } from './settings/network.ts';
import { isMap } from './settings/parts.ts';

/** A fleet as the rest of the project sees it: parsed, with its defaults. */
export interface FleetConfig extends FleetSettings {
  name: string;
  /** Path of the `install` script. */
  installFile: string | undefined;
}

/** A `fleets.yaml` that cannot be used; the message lists every fault. */
export class FleetsInvalid extends Error {
  override readonly name = 'FleetsInvalid';
}

/**
 * Reads and checks `fleets.yaml`.
 *
 * @throws FleetsInvalid with every fault by key path: what was given, and what would do.
 */
export function loadFleets(file: string): FleetConfig[] {
  let source: string;
  try {
    source = readFileSync(file, 'utf8');
  } catch (error) {
    throw new FleetsInvalid(`${file} cannot be read: ${(error as Error).message}`);
  }
  let raw: unknown;
  try {
    raw = parseYaml(source);
  } catch (error) {
    throw new FleetsInvalid(`${file} is not YAML: ${(error as Error).message.trimEnd()}`);
  }
  return checkFleets(raw, file);
}

/**
 * Checks what `fleets.yaml` holds, or would hold.
 *
 * @param file Where it is from; paths in it begin there.
 * @throws FleetsInvalid as `loadFleets` does.
 */
export function checkFleets(raw: unknown, file: string): FleetConfig[] {
  const parsed = Fleets.safeParse(raw);
  const scripts = findInstallScripts(dirname(file), raw);
  const faults = [
    ...(parsed.error?.issues ?? []).flatMap((issue) => describeFault(issue, raw)),
    ...scripts.faults,
  ];
  if (!parsed.success || faults.length > 0) {
    throw new FleetsInvalid(
      [`${file} has ${faults.length === 1 ? 'a fault' : `${faults.length} faults`}:`, ...faults].join('\n  '),
    );
  }
  return Object.entries(parsed.data).map(([name, fleet]) => ({
    ...fleet,
    name,
    installFile: scripts.files.get(name),
  }));
}

/** Finds the `install` script of each fleet, whatever else is wrong with the fleet. */
function findInstallScripts(directory: string, raw: unknown) {
  const files = new Map<string, string>();
  const faults: string[] = [];
  for (const [name, fleet] of Object.entries(isMap(raw) ? raw : {})) {
    const { install } = Object(fleet);
    if (typeof install !== 'string' || install.trim() === '') continue;
    const fault = (wanted: string, seen: unknown) =>
      faults.push(`${name}.install: must be ${wanted}, got ${quote(install)} (${seen})`);
    const file = resolve(directory, install);
    try {
      const [firstLine = ''] = readFileSync(file, 'utf8').split('\n', 1);
      if (!firstLine.startsWith('#!') || firstLine.endsWith('\r')) {
        fault(
          'a script whose first line names its interpreter, such as #!/usr/bin/env bash, with Unix line ends',
          // Not the line itself: what is taken for a script by mistake may hold a secret.
          firstLine.startsWith('#!') ? 'its first line ends as on Windows' : 'it does not begin with #!',
        );
      }
      // It becomes part of the script's name in S3, which the instance's scripts put into a URL.
      if (!/^(\.\w{1,8})?$/.test(extname(install))) {
        fault('a file with a short extension such as .sh, or none', extname(install));
      }
      files.set(name, file);
    } catch (error) {
      fault('the path of a script from where this file is', (error as Error).message);
    }
  }
  return { files, faults };
}

/** One line for each fault: where, what would do, what was given. */
function describeFault(issue: z.core.$ZodIssue, raw: unknown): string[] {
  const where = issue.path.join('.') || '(top level)';
  if (issue.code === 'unrecognized_keys') {
    // Not the value: what is in the wrong place may be a secret.
    const inner: Record<string, object> = {
      breaker: Breaker.shape,
      instanceRequirements: InstanceRequirements.shape,
      network: VpcOfYours.shape,
      rootVolume: RootVolume.shape,
      runner: Runner.shape,
      schedules: ScalingSchedule.shape,
      spot: Spot.shape,
      sshRerun: SshRerun.shape,
      warmPool: WarmPool.shape,
    };
    const outer = inner[String(issue.path[1])] ?? Fleet.shape;
    const isRange = issue.path[1] === 'instanceRequirements' && issue.path.length > 2;
    const known = isRange ? ['min', 'max'] : Object.keys(outer);
    return issue.keys.map((key) =>
      where === issue.path[0] && key === 'paused'
        ? `${where}.${key}: is not a setting, because it needs no deployment, and none should undo it: npm run pause -- ${where}, or drain, or resume`
        : `${where}.${key}: is not a setting; the nearest one is ${closest(key, known)}`,
    );
  }
  if (issue.code === 'invalid_union') {
    const inner = issue.errors
      .flat()
      .filter((nested) => nested.path.length > 0 || nested.code === 'unrecognized_keys');
    if (inner.length > 0) {
      return inner.flatMap((nested) =>
        describeFault({ ...nested, path: [...issue.path, ...nested.path] }, raw),
      );
    }
  }
  const given = valueAt(raw, issue.path);
  if (issue.code === 'invalid_key') return [`${where}: ${issue.issues[0]?.message}`];
  if (issue.code === 'custom' && (issue.path.length < 2 || issue.params?.namesValue))
    return [`${where}: ${issue.message}`];
  return [`${where}: ${issue.message}, got ${quote(given)}`];
}

/** A value as a fault shows it: not all of a long one, and nothing of a map, which may hold anything. */
function quote(value: unknown): string {
  if (value === undefined || value === null) return 'nothing';
  if (isMap(value)) return 'a map';
  if (Array.isArray(value)) return `[${cut(value.map(quote).join(', '))}]`;
  return cut(typeof value === 'string' ? JSON.stringify(withoutPassword(value)) : String(value));
}

/** A URL, perhaps without its scheme, without the user and the password that it may hold. */
const withoutPassword = (text: string) =>
  text.includes('://') ? text.replace(/:\/\/.*@/, '://***@') : text.replace(/^[^/@]*:.*@/, '***@');

const cut = (text: string) => (text.length > 80 ? `${text.slice(0, 80)}...` : text);

function valueAt(raw: unknown, path: PropertyKey[]): unknown {
  return path.reduce<unknown>((value, key) => Object(value)[key], raw);
}
