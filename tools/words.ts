/**
 * Finds words of our own making in documents, comments, messages and names, so that they do not come back. The list
 * is in words.yaml. `npm run lint` runs it.
 */

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import * as z from 'zod';

const Rules = z.array(
  z.strictObject({
    find: z.array(z.string()).min(1),
    write: z.string(),
    /** Files, or folders with a slash at the end, to which the rule is limited. */
    in: z.array(z.string()).optional(),
    except: z.array(z.strictObject({ file: z.string(), because: z.string() })).default([]),
  }),
);

export type Rule = z.infer<typeof Rules>[number];

/** The rules of words.yaml. */
export const readRules = (): Rule[] =>
  Rules.parse(parse(readFileSync(new URL('./words.yaml', import.meta.url), 'utf8')));

const CHECKED = /\.(md|ts|sh|ya?ml|json|service|conf|css|svg)$/;

/** Files that quote the words, or that other programs write. */
const UNCHECKED =
  /^(tools\/words\.yaml|test\/tools\/words\.test\.ts|package-lock\.json)$|__snapshots__|\.svg$/;

/** Whether the words of this file are checked. */
export const isChecked = (file: string): boolean => CHECKED.test(file) && !UNCHECKED.test(file);

/** Finds a phrase also where a line break and the start of a comment line are between two of its words. */
const pattern = ({ find }: Rule) =>
  new RegExp(`(?<![\\w-])(?:${find.join('|').replaceAll(' ', '(?:\\s|\\*|//|#|>)+')})(?![\\w-])`, 'gi');

const isIn = (file: string, place: string) => (place.endsWith('/') ? file.startsWith(place) : file === place);

/** What is wrong with the words of some files, and with exceptions that except nothing; one line each. */
export function complaints(files: ReadonlyMap<string, string>, rules: readonly Rule[]): string[] {
  return rules.flatMap((rule) => {
    const expression = pattern(rule);
    const used = new Set<string>();
    const hits = [...files].flatMap(([file, text]) => {
      if (rule.in !== undefined && !rule.in.some((place) => isIn(file, place))) return [];
      const found = [...text.matchAll(expression)];
      const exception = rule.except.find((each) => isIn(file, each.file));
      if (exception !== undefined && found.length > 0) used.add(exception.file);
      if (exception !== undefined) return [];
      return found.map(({ index, 0: word }) => {
        const line = text.slice(0, index).split('\n').length;
        return `${file}:${line}: "${word.replaceAll(/\s+/g, ' ')}". Write ${rule.write}.`;
      });
    });
    const unused = rule.except.filter(({ file }) => !used.has(file));
    return [
      ...hits,
      ...unused.map(
        ({ file }) =>
          `tools/words.yaml: the exception of "${rule.find[0]}" for ${file} is not needed. Delete it.`,
      ),
    ];
  });
}

function main(): void {
  const listed = execFileSync(
    'git',
    ['ls-files', '--cached', '--others', '--exclude-standard', '--deduplicate'],
    {
      encoding: 'utf8',
      maxBuffer: 100_000_000,
    },
  );
  const deleted = new Set(execFileSync('git', ['ls-files', '--deleted'], { encoding: 'utf8' }).split('\n'));
  const names = listed.split('\n').filter((file) => isChecked(file) && !deleted.has(file));
  const found = complaints(new Map(names.map((file) => [file, readFileSync(file, 'utf8')])), readRules());
  if (found.length === 0) return;
  console.error(
    `${found.join('\n')}\n\nIf a word is right there, add an exception with a reason to tools/words.yaml.`,
  );
  process.exitCode = 1;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main();
