import * as z from 'zod';
import { keyPath } from '../functions/lib/key-path.ts';
import { isMap } from './settings/parts.ts';
import { TOP_SETTINGS } from './settings/top.ts';
import { similarTo } from './similar.ts';

/** What is wrong with a setting. */
export interface SettingFault {
  path: readonly PropertyKey[];
  /** One line: the key path, what is allowed, and what was given. */
  says: string;
  /** Whether the setting itself is wrong, not its value. */
  atKey?: boolean;
  /** Where the setting belongs that was probably meant. */
  meant?: readonly PropertyKey[];
}

/** What a file may say: its definition, and the page that describes it. */
interface Definition {
  /** Names the file in a fault of all of it. */
  file: string;
  schema: z.core.$ZodType;
  reference: string;
}

/** The faults of a file. A setting is not missing as well if another name stands in its place. */
export function describeFaults(
  issues: readonly z.core.$ZodIssue[],
  raw: unknown,
  definition: Definition,
): SettingFault[] {
  const misplaced = new Map(misplacedSettings(raw, definition).map((fault) => [fault.path[0], fault]));
  const ofSettings = issues.filter(({ path }) => !misplaced.has(path[0]));
  const faults = [
    ...misplaced.values(),
    ...ofSettings.flatMap((issue) => describeFault(issue, raw, definition)),
  ];
  const meant = new Set(faults.flatMap((fault) => (fault.meant ? [keyPath(fault.meant)] : [])));
  return faults.filter(
    ({ path, atKey }) =>
      atKey === true || !meant.has(keyPath(path)) || (valueAt(raw, [...path]) ?? undefined) !== undefined,
  );
}

/** Settings of a fleet at the top of the file, where only fleets are, and settings of all of them. */
function misplacedSettings(raw: unknown, { schema }: Definition): SettingFault[] {
  const ofFleet = keysAt(schema, ['a fleet']);
  if (!isMap(raw) || !ofFleet.includes('resourceClass')) return [];
  const isFleet = (value: unknown) => isMap(value) && Object.hasOwn(value, 'resourceClass');
  const isSetting = (key: string) => ofFleet.includes(key) && !Object.hasOwn(TOP_SETTINGS, key);
  const others = Object.keys(raw).filter((key) => !isSetting(key) && !Object.hasOwn(TOP_SETTINGS, key));
  const fleet = others.find((key) => isFleet(raw[key]));
  const share = ' Fleets share settings by YAML merge keys: see docs/configuration.md';
  return Object.entries(raw)
    .filter(([key, value]) => isSetting(key) && !isFleet(value))
    .map(([key]) => ({
      path: [key],
      says: `${key}: is a setting of a fleet: put it below the name of one, such as ${fleet ?? 'linux'}.${fleet === undefined ? '' : share}`,
      atKey: true,
    }));
}

/** Each fault of an issue. */
function describeFault(issue: z.core.$ZodIssue, raw: unknown, definition: Definition): SettingFault[] {
  const { file, schema, reference } = definition;
  const where = keyPath(issue.path) || file;
  if (issue.code === 'unrecognized_keys') {
    // Without the value: what is in the wrong place may be a secret.
    const known = keysAt(schema, issue.path);
    const isFleet = issue.path.length === 1 && known.includes('resourceClass');
    const whyUnknown = (key: string, nearest: string | undefined) => {
      if (isFleet && key === 'paused')
        return `is not a setting: run npm run pause -- ${where} (or drain, or resume), so that no deployment undoes it`;
      if (isFleet && key in TOP_SETTINGS)
        return `is a setting of all fleets: put it at the top of the file, beside ${where}`;
      return nearest === undefined
        ? `is not a setting; ${reference} lists all of them`
        : `is not a setting; the nearest one is ${nearest}`;
    };
    return issue.keys.map((key) => {
      const nearest = similarTo(key, known);
      return {
        path: [...issue.path, key],
        says: `${keyPath([...issue.path, key])}: ${whyUnknown(key, nearest)}`,
        atKey: true,
        ...(nearest !== undefined && { meant: [...issue.path, nearest] }),
      };
    });
  }
  if (issue.code === 'invalid_union') {
    const inner = issue.errors
      .flat()
      .filter((nested) => nested.path.length > 0 || nested.code === 'unrecognized_keys');
    if (inner.length > 0) {
      return inner.flatMap((nested) =>
        describeFault({ ...nested, path: [...issue.path, ...nested.path] }, raw, definition),
      );
    }
  }
  const given = valueAt(raw, issue.path);
  const { path } = issue;
  if (issue.code === 'invalid_key')
    return [{ path, says: `${where}: ${issue.issues[0]?.message}`, atKey: true }];
  if (issue.code === 'custom' && (path.length < 2 || issue.params?.namesValue))
    return [{ path, says: `${where}: ${issue.message}` }];
  return [{ path, says: `${where}: ${issue.message}, got ${quote(given)}` }];
}

/** The keys of a map, from its schema. */
function keysAt(schema: z.core.$ZodType, path: PropertyKey[]): string[] {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault)
    return keysAt(schema.def.innerType, path);
  if (schema instanceof z.ZodPipe) return keysAt(schema.def.in, path);
  if (schema instanceof z.ZodUnion) return schema.def.options.flatMap((option) => keysAt(option, path));
  const [key, ...rest] = path;
  if (schema instanceof z.ZodRecord) return keysAt(schema.def.valueType, rest);
  if (schema instanceof z.ZodArray) return keysAt(schema.def.element, rest);
  if (!(schema instanceof z.ZodObject)) return [];
  if (key === undefined) return Object.keys(schema.def.shape);
  const inner = schema.def.shape[String(key)] ?? schema.def.catchall;
  return inner === undefined ? [] : keysAt(inner, rest);
}

/** A value as a fault shows it: long ones are cut, and maps are left out because they may hold secrets. */
export function quote(value: unknown): string {
  if (value === undefined || value === null) return 'nothing';
  if (isMap(value)) return 'a map';
  if (Array.isArray(value)) return `[${cut(value.map(quote).join(', '))}]`;
  return cut(typeof value === 'string' ? JSON.stringify(withoutPassword(value)) : String(value));
}

/** A URL, with or without its scheme, without its user and password. */
export const withoutPassword = (text: string) =>
  text.includes('://') ? text.replace(/:\/\/.*@/, '://***@') : text.replace(/^[^/@]*:.*@/, '***@');

const cut = (text: string) => (text.length > 80 ? `${text.slice(0, 80)}...` : text);

function valueAt(raw: unknown, path: PropertyKey[]): unknown {
  return path.reduce<unknown>((value, key) => Object(value)[key], raw);
}
