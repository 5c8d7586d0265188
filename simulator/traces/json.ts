import { TraceInvalid } from './trace.ts';

/** An object of a JSON file, and its place: the line, and the path if it is part of a value. */
export interface JsonRecord {
  record: Record<string, unknown>;
  line: number;
  path: string;
}

/** The largest job, in characters. */
const LARGEST_RECORD = 1 << 24;
/** How deep a job may be nested, and lists around it. */
const DEEPEST_RECORD = 1_000;
const DEEPEST_LIST = 64;

/** The keys under which pages and builds list jobs. */
const LISTS = ['items', 'jobs'];

/** A list of records, or the sequence of values that a file is. */
interface List {
  kind: 'list';
  path: string;
  /** The number of values so far. */
  length: number;
  /** What may come next. */
  next: 'value or end' | 'value' | 'comma or end';
}

/** An object: a record, or a page or build whose lists have the records. */
interface Item {
  kind: 'item';
  path: string;
  line: number;
  /** Its text without the content of its lists, and the line of each part. */
  parts: { text: string; line: number }[];
  size: number;
  /** How many brackets are open inside it. */
  depth: number;
  /** The text of its last string of the first level, which may be a key. */
  string: string;
  /** The key whose value comes next. */
  key: string | undefined;
  hasLists: boolean;
}

/** A value that cannot be a record, up to its end. */
interface Scalar {
  kind: 'scalar';
  path: string;
  line: number;
  text: string;
}

/**
 * Finds the records in JSON, as its text comes in: objects in a list, in pages with `items` or `jobs`, in builds with
 * their jobs, or one after the other. Only one record at a time is kept.
 *
 * @throws TraceInvalid with line and fault.
 */
export class JsonRecords {
  readonly #file: string;
  readonly #open: (List | Item | Scalar)[] = [];
  #found: JsonRecord[] = [];
  #line = 1;
  #inString = false;
  #escaped = false;

  constructor(file: string) {
    this.#file = file;
  }

  push(text: string): JsonRecord[] {
    this.#found = [];
    for (let at = 0; at < text.length; ) {
      const open = this.#open.at(-1);
      at =
        open?.kind === 'item'
          ? this.#readItem(open, text, at)
          : open?.kind === 'scalar'
            ? this.#readScalar(open, text, at)
            : this.#readList(open, text, at);
    }
    return this.#found;
  }

  end(): JsonRecord[] {
    this.#found = [];
    const open = this.#open.at(-1);
    if (open?.kind === 'scalar') this.#refuseScalar(open);
    if (open !== undefined) this.#refuse(open.kind === 'item' ? open.line : this.#line, 'it breaks off');
    return this.#found;
  }

  #refuse(line: number, fault: string): never {
    throw new TraceInvalid(`${this.#file}:${line}: must be JSON, one value or one in each line: ${fault}`);
  }

  #place = (line: number, path: string) => `${this.#file}:${line}${path === '' ? '' : ` (${path})`}`;

  // Between the values of a list, or of the file.

  #readList(list: List | undefined, text: string, at: number): number {
    const character = text[at] as string;
    if (character === '\n') this.#line += 1;
    if (/\s/.test(character)) return at + 1;
    const { next = 'value or end' } = list ?? {};
    if (list !== undefined && character === ',' && next === 'comma or end') list.next = 'value';
    else if (list !== undefined && character === ']' && next !== 'value') this.#endList();
    else if (',]}:'.includes(character) || next === 'comma or end')
      this.#refuse(this.#line, `unexpected ${character}`);
    else {
      this.#begin(list, character);
      // The brackets of an object are part of its text.
      return character === '[' ? at + 1 : at;
    }
    return at + 1;
  }

  #begin(list: List | undefined, character: string): void {
    const path = list === undefined ? '' : `${list.path}[${list.length}]`;
    const line = this.#line;
    if (list !== undefined) {
      list.length += 1;
      list.next = 'comma or end';
    }
    if (character === '[') this.#beginList(path);
    else if (character === '{') {
      const parts = [{ text: '', line }];
      this.#open.push({
        ...{
          kind: 'item',
          path,
          line,
          parts,
          size: 0,
          depth: 0,
          string: '',
          key: undefined,
          hasLists: false,
        },
      });
    } else this.#open.push({ kind: 'scalar', path, line, text: '' });
  }

  #beginList(path: string): void {
    if (this.#open.length >= DEEPEST_LIST)
      throw new TraceInvalid(`${this.#file}:${this.#line}: lists must be at most ${DEEPEST_LIST} deep`);
    this.#open.push({ kind: 'list', path, length: 0, next: 'value or end' });
  }

  #endList(): void {
    this.#open.pop();
    const open = this.#open.at(-1);
    const part = open?.kind === 'item' ? open.parts.at(-1) : undefined;
    if (part !== undefined) part.line = this.#line;
  }

  // Inside an object.

  #readItem(item: Item, text: string, from: number): number {
    for (let at = from; at < text.length; at += 1) {
      if (this.#inString) {
        at = this.#skipString(item, text, at);
        continue;
      }
      switch (text[at]) {
        case '\n':
          this.#line += 1;
          break;
        case '"':
          this.#inString = true;
          item.string = '';
          break;
        case ':':
          if (item.depth === 1) item.key = item.string;
          break;
        case ',':
          if (item.depth === 1) item.key = undefined;
          break;
        case '[':
          if (item.depth === 1 && item.key !== undefined && LISTS.includes(item.key)) {
            this.#keep(item, text.slice(from, at + 1));
            item.hasLists = true;
            this.#beginList(item.path === '' ? item.key : `${item.path}.${item.key}`);
            // What comes after the list begins with its bracket.
            item.parts.push({ text: ']', line: this.#line });
            return at + 1;
          }
          this.#deepen(item);
          break;
        case '{':
          this.#deepen(item);
          break;
        case ']':
        case '}':
          item.depth -= 1;
          if (item.depth > 0) break;
          this.#keep(item, text.slice(from, at + 1));
          this.#open.pop();
          this.#finish(item);
          return at + 1;
      }
    }
    this.#keep(item, text.slice(from));
    return text.length;
  }

  #deepen(item: Item): void {
    item.depth += 1;
    if (item.depth > DEEPEST_RECORD)
      throw new TraceInvalid(
        `${this.#place(item.line, item.path)}: must be nested at most ${DEEPEST_RECORD} deep`,
      );
  }

  /** @returns Where the string ends, or the end of the text. */
  #skipString(item: Item, text: string, from: number): number {
    let at = from;
    for (; at < text.length; at += 1) {
      if (this.#escaped) this.#escaped = false;
      else if (text[at] === '\\') this.#escaped = true;
      else if (text[at] === '"') {
        this.#inString = false;
        break;
      }
    }
    // Keys are short.
    if (item.depth === 1 && item.string.length < 100) item.string += text.slice(from, at);
    return at;
  }

  #keep(item: Item, text: string): void {
    const part = item.parts.at(-1);
    if (part === undefined) return;
    part.text += text;
    item.size += text.length;
    if (item.size > LARGEST_RECORD)
      throw new TraceInvalid(
        `${this.#place(item.line, item.path)}: must be a job of at most ${LARGEST_RECORD >> 20} MB`,
      );
  }

  #finish({ parts, hasLists, line, path }: Item): void {
    const text = parts.map((part) => part.text).join('');
    let record: Record<string, unknown>;
    try {
      record = JSON.parse(text);
    } catch (error) {
      const { message } = error as SyntaxError;
      this.#refuse(lineOf(parts, syntaxErrorAt(text, message)), message);
    }
    if (!hasLists) this.#found.push({ record, line, path });
  }

  // Anything else.

  #readScalar(scalar: Scalar, text: string, from: number): number {
    for (let at = from; at < text.length; at += 1) {
      const character = text[at] as string;
      if (this.#inString) {
        if (this.#escaped) this.#escaped = false;
        else if (character === '\\') this.#escaped = true;
        else if (character === '"') this.#inString = false;
      } else if (character === '"') this.#inString = true;
      else if (/[\s,\]}]/.test(character)) this.#refuseScalar(scalar);
      if (scalar.text.length < 100) scalar.text += character;
    }
    return text.length;
  }

  #refuseScalar({ text, line, path }: Scalar): never {
    try {
      JSON.parse(text);
    } catch (error) {
      this.#refuse(line, (error as Error).message);
    }
    throw new TraceInvalid(`${this.#place(line, path)}: must be a job, got ${text}`);
  }
}

/** The line of a position in the parts of a text. */
function lineOf(parts: Item['parts'], position = 0): number {
  let left = position;
  for (const { text, line } of parts) {
    if (left <= text.length) return line + text.slice(0, left).split('\n').length - 1;
    left -= text.length;
  }
  return parts.at(-1)?.line ?? 1;
}

/** How much of the text before a fault the engine quotes. */
const SHOWN_BEFORE = 10;

function syntaxErrorAt(text: string, message: string): number | undefined {
  if (message.includes('end of JSON input')) return text.length;
  const position = /at position (\d+)/.exec(message)?.[1];
  if (position !== undefined) return Number(position);
  const [, cut, excerpt] = /(\.\.\. ?)?"([\s\S]+)"(?:\.\.\. ?)? is not valid JSON$/.exec(message) ?? [];
  const start = excerpt === undefined ? -1 : text.indexOf(excerpt);
  if (excerpt === undefined || start === -1 || text.includes(excerpt, start + 1)) return undefined;
  return start + (cut === undefined ? 0 : SHOWN_BEFORE);
}
