import {
  type Document,
  isAlias,
  isCollection,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
  visit,
} from 'yaml';
import type { SettingFault } from './faults.ts';
import { withoutPassword } from './faults.ts';

/** Where the faults of a file are, as lines to print below each: its line and column, and an excerpt with a caret. */
export type Places = (fault: SettingFault) => string[];

/** The places of settings that are no text. */
export const NO_PLACES: Places = () => [];

/** A YAML file is not YAML. */
export class YamlInvalid extends Error {
  override readonly name = 'YamlInvalid';
}

/** The longest part of a line that an excerpt shows on each side of its caret. */
const LONGEST = 60;

/**
 * Parses a file.
 *
 * @param file Path of the file, for messages.
 * @throws YamlInvalid with the place of the first mistake.
 */
export function parsedWithPlaces(text: string, file: string): { value: unknown; places: Places } {
  const lines = new LineCounter();
  // Merge keys (<<: *common) are how fleets share settings.
  const document = parseDocument(text, { merge: true, lineCounter: lines, prettyErrors: false });
  const [mistake] = document.errors;
  if (mistake !== undefined) {
    const [start, end] = mistake.pos;
    const { line, col } = lines.linePos(start);
    const shown = secretsHidden(lineAt(text, start - (col - 1)));
    const [before, pointed, after] = [
      shown.slice(0, col - 1),
      shown.slice(col - 1, col - 1 + end - start),
      shown.slice(col - 1 + end - start),
    ];
    const excerpt = excerptLines(`${file}:${line}:${col}`, line, { before, pointed, after });
    // Some quote a whole paragraph of the file.
    const message = mistake.message.replace(/: ".*$/s, '');
    throw new YamlInvalid([message, ...excerpt].join('\n'));
  }
  const show = (node: Node, word: string) => {
    const [start, end] = node.range ?? [0, 0, 0];
    const { line, col } = lines.linePos(start);
    const from = start - (col - 1);
    const whole = lineAt(text, from);
    const before = valuesHidden(document, text, from, start);
    // A map or a list is shown where it begins.
    const excerpt = isCollection(node)
      ? {
          before,
          pointed: text.slice(start, start + 1),
          after: valuesHidden(document, text, start + 1, from + whole.length),
        }
      : { before, pointed: withoutPassword(whole.slice(col - 1, end - from)) };
    return excerptLines(`${word}${file}:${line}:${col}`, line, excerpt);
  };
  const places: Places = (fault) => {
    const { target, merges } = find(document, fault);
    if (target === undefined) return [];
    return [...show(target, ''), ...merges.flatMap((merge) => show(merge, 'used at '))];
  };
  return { value: valueIn(document, show), places };
}

/** @throws YamlInvalid */
function valueIn(document: Document.Parsed, show: (node: Node, word: string) => string[]): unknown {
  try {
    return document.toJS();
  } catch (error) {
    let excerpt: string[] = [];
    visit(document, {
      Alias: (_, node) => {
        if (node.resolve(document) !== undefined) return undefined;
        excerpt = show(node, '');
        return visit.BREAK;
      },
    });
    throw new YamlInvalid([(error as Error).message, ...excerpt].join('\n'));
  }
}

/** The node to point at, and the aliases through which the fault's fleet has it. */
interface Found {
  target: Node | undefined;
  merges: Node[];
}

/** A setting, or the nearest one around it that the file has. */
function find(document: Document.Parsed, { path, atKey = false }: SettingFault): Found {
  let node: unknown = document.contents;
  // A fault of the whole file is shown where its content begins.
  let target: Node | undefined = path.length === 0 ? (document.contents ?? undefined) : undefined;
  const merges: Node[] = [];
  for (const [index, key] of path.entries()) {
    const map = resolved(document, node, merges);
    if (isSeq(map)) {
      node = map.items[Number(key)];
      if (isNode(node)) target = node;
    } else {
      const pair = pairOf(document, map, String(key), merges);
      if (pair === undefined) break;
      node = pair.value;
      if (isNode(pair.key)) target = pair.key;
      // A fault of a map, of a list, or of nothing is shown at its name.
      const isLast = index === path.length - 1;
      if (isLast && !atKey && isScalar(node) && (node.source ?? '') !== '') target = node;
    }
  }
  return { target, merges };
}

const isNode = (value: unknown): value is Node =>
  typeof value === 'object' && value !== null && 'range' in value;

/** What an alias stands for. */
function resolved(document: Document.Parsed, node: unknown, merges: Node[]): unknown {
  if (!isAlias(node)) return node;
  merges.push(node);
  return node.resolve(document);
}

/** A key of a map with its value. What the map says itself comes before what it merges. */
function pairOf(document: Document.Parsed, map: unknown, key: string, merges: Node[]): Pair | undefined {
  if (!isMap(map)) return undefined;
  const own = map.items.find(
    (pair) => isScalar(pair.key) && String(pair.key.value) === key && !isMerge(pair),
  );
  if (own !== undefined) return own;
  for (const { value } of map.items.filter(isMerge)) {
    for (const source of isSeq(value) ? value.items : [value]) {
      const through: Node[] = [];
      const pair = pairOf(document, resolved(document, source, through), key, through);
      if (pair === undefined) continue;
      merges.push(...through);
      return pair;
    }
  }
  return undefined;
}

const isMerge = ({ key }: Pair) => isScalar(key) && key.source === '<<';

/** A line of the text: what is before the caret, what it points at, and what follows. */
interface Excerpt {
  before: string;
  pointed: string;
  after?: string;
}

function excerptLines(place: string, line: number, { before, pointed, after = '' }: Excerpt): string[] {
  const start = before.length > LONGEST ? `...${before.slice(-LONGEST)}` : before;
  const middle = pointed.length > LONGEST ? `${pointed.slice(0, LONGEST)}...` : pointed;
  const margin = ' '.repeat(`${line}`.length);
  return [
    `  ${place}`,
    `  ${line} | ${`${start}${middle}${after.slice(0, LONGEST)}`.replaceAll('\t', ' ').trimEnd()}`,
    `  ${margin} | ${' '.repeat(start.length)}${'^'.repeat(Math.max(Math.min(pointed.length, LONGEST), 1))}`,
  ];
}

/** The line of a text that begins at an offset. */
const lineAt = (text: string, from: number) => /[^\r\n]*/.exec(text.slice(from))?.[0] ?? '';

/** Values may be secrets, and messages are shown in logs: of other settings in the line, only the names are shown. */
function valuesHidden(document: Document.Parsed, text: string, from: number, to: number): string {
  const hidden: [number, number][] = [];
  visit(document, {
    Scalar: (role, { range }) => {
      const [start, end] = range ?? [0, 0];
      if (role !== 'key' && start < to && end > Math.max(from, start))
        hidden.push([Math.max(start, from), Math.min(end, to)]);
    },
  });
  let shown = '';
  let at = from;
  for (const [start, end] of hidden.sort(([a], [b]) => a - b)) {
    shown += `${text.slice(at, start)}...`;
    at = end;
  }
  return shown + text.slice(at, to);
}

/** A line whose structure is not known, without what a name calls a secret. */
const secretsHidden = (line: string) =>
  line.replace(/((token|secret|password|key)\w*["']?\s*:\s*)\S.*/i, '$1...');
