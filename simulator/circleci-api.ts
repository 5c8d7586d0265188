import { setTimeout as sleep } from 'node:timers/promises';
import * as z from 'zod';
import { excerpt, retryAfterSeconds } from '../functions/lib/http-answers.ts';

/** No answer of use, after all attempts: another time it may be different. */
export class CircleCiFailed extends Error {
  override readonly name = 'CircleCiFailed';
}
/** 401 or 403: the token is wrong, or its owner may not see that. */
export class TokenRefused extends Error {
  override readonly name = 'TokenRefused';
}
/** 404: there is no such thing, or the token's owner may not see it. */
export class NotFound extends Error {
  override readonly name = 'NotFound';
}

/** Attempts for one answer, and the wait after the first, which doubles with each. */
const MOST_ATTEMPTS = 6;
const WAIT_SECONDS = { failure: 1, rateLimit: 10 };

/** Who is to wait longer does better to come back. */
const LONGEST_WAIT_SECONDS = 600;

/** A wait that is worth a word. */
const TOLD_FROM_SECONDS = 5;

const DEADLINE_SECONDS = 30;

interface Options {
  /** Where the API is, as https://circleci.com/api/v2. */
  url: string;
  /** A personal API token: version 2 of the API takes no other. */
  token: string;
  /** Ends all requests and waits. */
  signal: AbortSignal;
  /** Told of waits of several seconds, and why. */
  note?: (what: string) => void;
  /** For a whole answer. */
  deadlineSeconds?: number;
  wait?: (seconds: number, signal: AbortSignal) => Promise<unknown>;
}

/** An answer, or why there is none and how long it is to be left alone. */
type Attempt = { json: unknown } | { failed: string; limited: boolean; afterSeconds: number | undefined };

/**
 * CircleCI's API, version 2 (https://circleci.com/docs/api/v2/), for reading. It tries again what passes: answers of
 * 429 and 5xx, none, or ones that are cut off. A 429 holds all requests back, because it is meant for the token.
 */
export class CircleCiApi {
  /** Sent so far. */
  requests = 0;
  readonly #options: Options;
  /** What all requests wait for. */
  #gate: Promise<unknown> = Promise.resolve();
  #lastNote = '';

  constructor(options: Options) {
    this.#options = options;
  }

  /** @throws CircleCiFailed, TokenRefused, NotFound, and what the signal was ended with */
  async ask<T>(path: string, schema: z.ZodType<T>, query: Record<string, string> = {}): Promise<T> {
    const { url, signal, wait = pause } = this.#options;
    const asked = new URL(url + path);
    asked.search = new URLSearchParams(query).toString();
    for (let attempt = 1; ; attempt += 1) {
      for (let gate: unknown; gate !== this.#gate; await gate) gate = this.#gate;
      const answer = await this.#attempt(asked);
      if ('json' in answer) {
        this.#lastNote = '';
        return parse(asked, answer.json, schema);
      }
      const { failed, limited } = answer;
      const seconds =
        answer.afterSeconds ?? WAIT_SECONDS[limited ? 'rateLimit' : 'failure'] * 2 ** (attempt - 1);
      if (attempt === MOST_ATTEMPTS) throw new CircleCiFailed(`${failed}, after ${attempt} attempts.`);
      if (seconds > LONGEST_WAIT_SECONDS) {
        throw new CircleCiFailed(`${failed}, and wants to be left alone for ${seconds} s.`);
      }
      if (seconds >= TOLD_FROM_SECONDS) this.#tell(`${failed}. Waiting for ${seconds} s.`);
      const waited = wait(seconds, signal);
      if (limited) this.#gate = Promise.all([this.#gate, waited]);
      else await waited;
    }
  }

  /** The items of all pages, page by page. */
  async *pages<T>(path: string, item: z.ZodType<T>, query: Record<string, string> = {}): AsyncGenerator<T[]> {
    const schema = z.object({ items: z.array(item), next_page_token: z.string().nullish() });
    for (let token: string | null | undefined = ''; ; ) {
      const page: z.infer<typeof schema> = await this.ask(path, schema, {
        ...query,
        ...(token !== '' && { 'page-token': token }),
      });
      yield page.items;
      token = page.next_page_token;
      if (token === undefined || token === null || token === '') return;
    }
  }

  /** The items of all pages. */
  async all<T>(path: string, item: z.ZodType<T>): Promise<T[]> {
    const items: T[] = [];
    for await (const page of this.pages(path, item)) items.push(...page);
    return items;
  }

  /** Requests that are held back together say so once. */
  #tell(what: string): void {
    if (what !== this.#lastNote) this.#options.note?.(what);
    this.#lastNote = what;
  }

  async #attempt(url: URL): Promise<Attempt> {
    const { token, signal, deadlineSeconds = DEADLINE_SECONDS } = this.#options;
    signal.throwIfAborted();
    const deadline = AbortSignal.timeout(deadlineSeconds * 1_000);
    const passes = (failed: string) => ({ failed, limited: false, afterSeconds: undefined });
    this.requests += 1;
    let response: Response;
    let body: string;
    try {
      response = await fetch(url, {
        headers: { 'Circle-Token': token, Accept: 'application/json' },
        redirect: 'manual', // fetch would carry the token to wherever a redirect points
        signal: AbortSignal.any([signal, deadline]),
      });
      // An answer may quote its request, so the token is taken out before anything else sees the text.
      body = (await response.text()).replaceAll(token, '***');
    } catch (error) {
      signal.throwIfAborted();
      if (deadline.aborted) return passes(`${url} gave no whole answer within ${deadlineSeconds} s`);
      const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
      return passes(`${url} cannot be reached (${cause instanceof Error ? cause.message : cause})`);
    }
    const { status } = response;
    const said = `${url} answered ${status}${excerpt(body)}`;
    const afterSeconds = retryAfterSeconds(response.headers.get('retry-after'), Date.now());
    if (status === 429)
      return { failed: 'CircleCI allows no more requests (429)', limited: true, afterSeconds };
    if (status >= 500) return { failed: said, limited: false, afterSeconds };
    if (status === 401 || status === 403) throw new TokenRefused(said);
    if (status === 404) throw new NotFound(said);
    if (status !== 200) throw new CircleCiFailed(`${said}.`);
    try {
      return { json: JSON.parse(body) };
    } catch {
      return passes(`${url} answered with something else than JSON${excerpt(body)}`);
    }
  }
}

const pause = (seconds: number, signal: AbortSignal) => sleep(seconds * 1_000, undefined, { signal });

function parse<T>(url: URL, json: unknown, schema: z.ZodType<T>): T {
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  throw new CircleCiFailed(`${url} answered something unexpected: ${z.prettifyError(parsed.error)}`);
}
