import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { structuredPatch } from 'diff';
import { parse } from 'yaml';
import { FleetsInvalid, loadFleetsText, loadSettings } from '../../fleets/load.ts';
import { isMap } from '../../fleets/settings/parts.ts';
import { readSettingsText } from '../../fleets/settings-text.ts';
import { UsageError } from '../command-line/arguments.ts';
import type { WrittenFleet } from './written.ts';

/** SHA-256 of each `fleets.yaml` that the repository has shipped as its example, with Unix line ends. */
const EXAMPLES = [
  '91eaa3b1f2fc5e025e0b5239c363fbb345cdd8edb7da34cc27ae0439c49100ec',
  '96de03d700314874016bdfa11278944178a083bf177349ad33bc22871e8fff7f',
];

/** A file as it is before `npm run init` writes it. */
export type FileBefore = 'missing' | 'same' | 'example' | 'edited';

/** A file that `npm run init` would write. */
export interface PlannedFile {
  file: string;
  /** The content that it is to have. */
  text: string;
  /** The content that it has. */
  present: string | undefined;
  before: FileBefore;
}

/** Compares a file with what it is to be. A YAML file with the same settings is the same, whatever its comments are. */
export function planFile(file: string, text: string): PlannedFile {
  const present = readIfPresent(file);
  return { file, text, present, before: stateOf(present, text) };
}

function stateOf(present: string | undefined, text: string): FileBefore {
  if (present === undefined) return 'missing';
  if (present === text || isDeepStrictEqual(parsed(present), parsed(text))) return 'same';
  return isShippedExample(present) ? 'example' : 'edited';
}

/** Whether a text is the example of the repository, as it was shipped. */
export const isShippedExample = (text: string) =>
  EXAMPLES.includes(createHash('sha256').update(text.replaceAll('\r\n', '\n')).digest('hex'));

/**
 * The text of a file; `undefined` if there is none.
 *
 * @throws UsageError if it cannot be read.
 */
export function readIfPresent(file: string): string | undefined {
  try {
    return readSettingsText(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new UsageError(`${file} cannot be read: ${(error as Error).message}`);
  }
}

function parsed(text: string): unknown {
  try {
    return parse(text, { merge: true });
  } catch {
    // Equal to nothing, so that it counts as edited.
    return Symbol('not YAML');
  }
}

/** The class of the example. */
const PLACEHOLDER = 'my-namespace/my-class';

/**
 * The settings of a file's only fleet, as defaults; `undefined` for the example, for a file that does not load, and for
 * one with more in it. The resource class of the example is no default.
 */
export function onlyFleet(
  file: string,
  text: string | undefined,
): { name: string; fleet: Partial<WrittenFleet> } | undefined {
  if (text === undefined || isShippedExample(text) || !loads(text, file)) return undefined;
  const content = parsed(text);
  if (!isMap(content)) return undefined;
  const [[name, given] = [], ...others] = Object.entries(content);
  if (name === undefined || others.length > 0 || !isMap(given)) return undefined;
  const { resourceClass, ...fleet }: Partial<WrittenFleet> = given;
  return { name, fleet: resourceClass === PLACEHOLDER ? fleet : given };
}

function loads(text: string, file: string): boolean {
  try {
    loadFleetsText(text, file);
    return true;
  } catch (error) {
    if (error instanceof FleetsInvalid) return false;
    throw error;
  }
}

/**
 * Refuses a text with which the fleet could not be deployed. It is in no file yet, so the complaint names no line.
 *
 * @throws UsageError
 */
export function refuseInvalid(text: string, { fleets, stack }: { fleets: string; stack: string }): void {
  try {
    loadSettings(parsed(text), fleets, { stack });
  } catch (error) {
    if (!(error instanceof FleetsInvalid)) throw error;
    throw new UsageError(
      `With these answers, ${error.message}\nNothing was written. Give other answers, such as --types or --max.`,
    );
  }
}

/** What a file loses and gets, as lines that begin with - and +. */
export function changedLines({ file, present = '', text }: PlannedFile): string[] {
  const { hunks } = structuredPatch(file, file, present, text, undefined, undefined, { context: 1 });
  return hunks.flatMap(({ lines }) => lines);
}
