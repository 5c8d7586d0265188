import { setTimeout as sleep } from 'node:timers/promises';
import * as z from 'zod';
import { excerpt, masked, retryAfterSeconds } from '../functions/lib/http-answers.ts';

/** No usable answer after all attempts. Trying again later may help. */
export class CircleCiFailed extends Error {
  override readonly name = 'CircleCiFailed';
}
/** 401 or 403: the token is wrong, or its owner has no access. */
export class TokenRefused extends Error {
  override readonly name = 'TokenRefused';
}
/** 404: it does not exist, or the token's owner has no access. */
export class NotFound extends Error {
  override readonly name = 'NotFound';
}

/** The maximum number of attempts for one answer. The wait doubles after each attempt. */
const MOST_ATTEMPTS = 6;
const WAIT_SECONDS = { failure: 1, rateLimit: 10 };

/** If CircleCI asks for a longer wait, the download stops. */
const LONGEST_WAIT_SECONDS = 600;

/** Waits of at least this many seconds are reported. */
const NOTED_FROM_SECONDS = 5;

const DEADLINE_SECONDS = 30;

interface Options {
  /** The address of the API, such as https://circleci.com/api/v2. */
  url: string;
  /** A personal API token. Version 2 of the API accepts no other kind. */
  token: string;
  /** Ends all requests and waits. */
  signal: AbortSignal;
  /** Reports waits of several seconds, with their reason. */
  note?: (what: string) => void;
  /** The timeout of one request. */
  deadlineSeconds?: number;
  wait?: (seconds: number, signal: AbortSignal) => Promise<unknown>;
}

/** An answer, or the reason why there is none, and how long to wait. */
type Attempt = { json: unknown } | { failed: string; limited: boolean; afterSeconds: number | undefined };

/**
 * A client for reading CircleCI's API, version 2 (https://circleci.com/docs/api/v2/). It retries answers of 429 and
 * 5xx, missing answers and truncated ones. A 429 delays all requests, because rate limits apply to the token.
 */
export class CircleCiApi {
  /** The number of requests sent. */
  requests = 0;
  readonly #options: Options;
  /** All requests wait for this. */
  #gate: Promise<unknown> = Promise.resolve();
  #lastNote = '';

  constructor(options: Options) {
    this.#options = options;
  }

  /** @throws CircleCiFailed, TokenRefused, NotFound, and the reason of the aborted signal */
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
      if (seconds >= NOTED_FROM_SECONDS) this.#note(`${failed}. Waiting for ${seconds} s.`);
      const waited = wait(seconds, signal);
      if (limited) this.#gate = Promise.all([this.#gate, waited]);
      else await waited;
    }
  }

  /** Iterates over the pages, as lists of items. */
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

  /** Requests that are delayed together report it once. */
  #note(what: string): void {
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
      // An answer may quote its request, so the token is removed before anything else sees the text.
      body = masked(await response.text(), token);
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
