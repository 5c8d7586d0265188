import { existsSync, readFileSync, rmSync, truncateSync } from 'node:fs';
import * as z from 'zod';
import { appendPrivate } from './private-files.ts';

/** A file of answers that is of another download, or damaged; the message says what to do. */
export class KeptAnswersUnusable extends Error {
  override readonly name = 'KeptAnswersUnusable';
}

/** What a download covers. Other options select among the answers and may change. */
const Source = z.object({ url: z.string(), project: z.string(), days: z.number() });
type Source = z.infer<typeof Source>;

const Head = z.object({ ...Source.shape, since: z.iso.datetime(), until: z.iso.datetime() });
const Line = z.object({ path: z.string(), answer: z.unknown() });

/**
 * Keeps the answers of an API in a file, one per line, so that an interrupted download continues where it stopped. The
 * first line has what the download covers and its period, which stays the same until the download ends.
 */
export class KeptAnswers {
  readonly since: string;
  readonly until: string;
  /** Lines to write before the next answer. */
  #head: object[];
  readonly #answers = new Map<string, unknown>();

  /** @throws KeptAnswersUnusable if the file belongs to another download, or is damaged. */
  constructor(
    readonly file: string,
    source: Source,
    now: Date,
  ) {
    const [first, ...rest] = wholeLines(file);
    if (first === undefined) {
      this.since = new Date(now.getTime() - source.days * 86_400_000).toISOString();
      this.until = now.toISOString();
      this.#head = [{ ...source, since: this.since, until: this.until }];
      return;
    }
    const head = parsed(file, 1, first, Head);
    if (JSON.stringify(Source.parse(head)) !== JSON.stringify(Source.parse(source))) {
      throw new KeptAnswersUnusable(
        `${file} is of a download that has not ended: --project ${head.project} --days ${head.days} --url ${head.url}. End that one, delete the file, or choose another --out.`,
      );
    }
    this.since = head.since;
    this.until = head.until;
    this.#head = [];
    for (const [index, line] of rest.entries()) {
      const { path, answer } = parsed(file, index + 2, line, Line);
      this.#answers.set(path, answer);
    }
  }

  get size(): number {
    return this.#answers.size;
  }

  /** Returns the kept answer, or calls `ask` and keeps its answer. */
  async answer<T>(path: string, schema: z.ZodType<T>, ask: () => Promise<T>): Promise<T> {
    if (this.#answers.has(path)) {
      const kept = schema.safeParse(this.#answers.get(path));
      if (kept.success) return kept.data;
      throw new KeptAnswersUnusable(`${this.file}: the answer of ${path} is damaged. Delete the file.`);
    }
    const answer = await ask();
    const lines = [...this.#head, { path, answer }].map((line) => `${JSON.stringify(line)}\n`);
    appendPrivate(this.file, lines.join(''));
    this.#head = [];
    this.#answers.set(path, answer);
    return answer;
  }

  remove(): void {
    rmSync(this.file, { force: true });
  }
}

/** The lines of a file, or none if it does not exist. An incomplete last line is dropped. */
function wholeLines(file: string): string[] {
  if (!existsSync(file)) return [];
  const text = readFileSync(file, 'utf8');
  const whole = text.slice(0, text.lastIndexOf('\n') + 1);
  if (whole.length < text.length) truncateSync(file, Buffer.byteLength(whole));
  return whole.split('\n').slice(0, -1);
}

function parsed<T>(file: string, line: number, text: string, schema: z.ZodType<T>): T {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    json = undefined;
  }
  const result = schema.safeParse(json);
  if (result.success) return result.data;
  throw new KeptAnswersUnusable(
    `${file}:${line}: must be a line that a download has kept, got ${JSON.stringify(text.slice(0, 80))}. Delete the file.`,
  );
}
