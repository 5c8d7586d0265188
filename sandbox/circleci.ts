import { createServer, type Server } from 'node:http';
import type { ListedRunner } from '../functions/lib/inventory.ts';
import {
  type Latency,
  NO_LATENCY,
  rejectedOnAbort,
  type Sleep,
  sleepReally,
  sleepUnlessAborted,
} from './latency.ts';

/** What the embedded CircleCI counts for one resource class. */
export interface TaskCounts {
  readonly unclaimed: number;
  readonly running: number;
  /** Whether it counts 0, whatever there is. */
  readonly countsZero?: boolean;
}

/** A fault instead of the true answer: another response, a connection that breaks, or one that never answers. */
export type CircleCiFault =
  | { status: number; headers?: Record<string, string>; body: string }
  | 'reset'
  | 'hang';

/**
 * How CircleCI counts 0 with status 200 and is wrong:
 *
 * - `unknown class`: it knows no such resource class.
 * - `no permission`: the token may not see the class.
 * - `wrong count`: nothing but the counts is wrong.
 */
export type Lie = 'unknown class' | 'no permission' | 'wrong count';

interface Answer {
  status: number;
  headers: Record<string, string>;
  body: string;
}

const PATHS = {
  '/api/v3/runner/tasks': (counts: TaskCounts) => ({ unclaimed_task_count: counts.unclaimed }),
  '/api/v3/runner/tasks/running': (counts: TaskCounts) => ({ running_runner_tasks: counts.running }),
};
const INVENTORY = '/api/v3/runner';
/** The resource classes of a namespace, as CircleCI's own command line lists them. */
const CLASSES = '/api/v3/runner/resource';
/** Of circleci.com, where the other paths are of runner.circleci.com. */
const FLEETS = '/api/v3/runner/fleets';

/**
 * An embedded CircleCI runner API: the real paths, header, status codes and JSON
 * (https://circleci.com/docs/reference/runner-api), over the counts it is given, with faults on demand.
 */
export class CircleCi {
  /** Resource classes by name; a class that is not here answers 404. */
  readonly classes = new Map<string, TaskCounts>();
  /** The runners of each class that connected in the last 12 hours. */
  readonly runners = new Map<string, () => ListedRunner[]>();
  /** Classes that are counted wrongly. */
  readonly lies = new Map<string, Lie>();
  /** Tokens that are let in. */
  readonly tokens = new Set<string>();
  /** Requests so far. */
  requests = 0;
  /** How long the next request travels, and then its answer. */
  latency: () => Latency = () => NO_LATENCY;
  /** Asked before each answer; `undefined` means no fault. `path` is one of the API's, without the query. */
  fault: (request: { path: string; resourceClass: string }) => CircleCiFault | undefined = () => undefined;

  /** @param beforeAnswer Called before each answer, so that the world can catch up with the clock. */
  constructor(
    readonly beforeAnswer: () => void = () => undefined,
    readonly sleep: Sleep = sleepReally,
  ) {}

  #answer(url: URL, token: string | null): Answer | 'reset' | 'hang' {
    this.beforeAnswer();
    this.requests += 1;
    const resourceClass = url.searchParams.get('resource-class') ?? '';
    const fault = this.fault({ path: url.pathname, resourceClass });
    if (fault !== undefined) return typeof fault === 'string' ? fault : { headers: {}, ...fault };
    const count = PATHS[url.pathname as keyof typeof PATHS];
    const others = [INVENTORY, CLASSES].includes(url.pathname) || url.pathname.startsWith(FLEETS);
    if (count === undefined && !others) return json(404, { message: 'Not found' });
    if (token === null || !this.tokens.has(token)) return json(401, { message: 'Unauthorized' });
    if (url.pathname.startsWith(FLEETS)) return this.#fleets(url);
    if (url.pathname === CLASSES) return this.#listed(url.searchParams.get('namespace') ?? '');
    if (resourceClass === '') return json(400, { message: 'resource-class is required' });
    if (count === undefined) return this.#inventory(resourceClass);
    const known = this.classes.get(resourceClass);
    const counts = this.lies.has(resourceClass) || known?.countsZero ? NO_TASKS : known;
    return counts === undefined
      ? json(404, { message: 'Resource class not found' })
      : json(200, count(counts));
  }

  /** https://circleci.com/docs/reference/runner-api: 404 if the class is unknown, or has no runner. */
  #inventory(resourceClass: string): Answer {
    const lie = this.lies.get(resourceClass);
    if (lie === 'no permission') return json(403, { message: 'Forbidden' });
    const runners = lie === 'unknown class' ? [] : (this.runners.get(resourceClass)?.() ?? []);
    if (runners.length === 0) return json(404, { message: 'Not found' });
    const date = (at: number) => new Date(at).toISOString();
    const items = runners.map(({ name, firstConnected, lastConnected, lastUsed }) => ({
      resource_class: resourceClass,
      hostname: name,
      name,
      first_connected: date(firstConnected),
      last_connected: date(lastConnected),
      last_used: lastUsed === undefined ? null : date(lastUsed),
      version: '3.1.13',
    }));
    return json(200, { items });
  }

  /** From the public API client of CircleCI's command line. What it answers for a namespace of others is not documented. */
  #listed(namespace: string): Answer {
    const names = [...this.classes.keys()].filter((name) => name.startsWith(`${namespace}/`));
    const items = names.map((name) => ({ id: `id of ${name}`, resource_class: name, description: '' }));
    return json(200, { items });
  }

  /** A preview, from CircleCI's page "Monitor self-hosted runner fleets". What it lists to a token without permission is not documented. */
  #fleets(url: URL): Answer {
    const classes = [...this.classes].filter(([name]) => isSeen(this.lies.get(name)));
    const described = ([name, { unclaimed, running }]: [string, TaskCounts], whole: boolean) => {
      const runners = this.runners.get(name)?.() ?? [];
      const counted = { queued_tasks: unclaimed, running_tasks: running };
      return { id: name, attributes: { name, agent_count: runners.length, ...(whole && counted) } };
    };
    const id = decodeURIComponent(url.pathname.slice(FLEETS.length + 1));
    if (id === '') {
      const wanted = url.searchParams.get('filter[resource_class]');
      const data = classes.filter(([name]) => name === wanted).map((each) => described(each, false));
      return json(200, { data, page: {} });
    }
    const found = classes.find(([name]) => name === id);
    if (found === undefined) return json(404, { message: 'Not found' });
    return json(200, { data: described(found, true) });
  }

  /** A `fetch` whose requests are answered here. */
  readonly fetch: typeof fetch = async (input, init) => {
    const [before, after] = this.latency();
    await sleepUnlessAborted(this.sleep, before, init?.signal);
    const url = input instanceof URL ? input : new URL(input instanceof Request ? input.url : input);
    const answer = this.#answer(url, tokenOf(init?.headers));
    if (answer === 'reset') {
      const cause = Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' });
      throw new TypeError('fetch failed', { cause });
    }
    if (answer === 'hang') return rejectedOnAbort(init?.signal);
    await sleepUnlessAborted(this.sleep, after, init?.signal);
    return new ReadAnswer(answer) as unknown as Response;
  };

  /** Serves the same over HTTP on loopback; port 0 takes a free one. */
  listen(port = 0): Promise<Server> {
    const server = createServer((request, response) => {
      const token = request.headers['circle-token'];
      const url = new URL(request.url ?? '/', 'http://circleci.invalid');
      const answer = this.#answer(url, typeof token === 'string' ? token : null);
      if (answer === 'reset') request.socket.destroy();
      else if (answer !== 'hang') response.writeHead(answer.status, answer.headers).end(answer.body);
    });
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, '127.0.0.1', () => resolve(server));
    });
  }
}

/** What a request says as its token. Making `Headers` of it takes as long as answering. */
function tokenOf(headers: RequestInit['headers']): string | null {
  const given = Object.entries(headers ?? {}).find(([name]) => name.toLowerCase() === 'circle-token');
  return given?.[1] ?? new Headers(headers).get('circle-token');
}

/**
 * What is read of a `Response`. Making a real one, with the stream of its body, takes a tenth of the time of a poll. A
 * test compares it with the real one.
 */
class ReadAnswer implements Pick<Response, 'status' | 'ok' | 'text' | 'json'> {
  readonly status: number;
  readonly ok: boolean;
  readonly body: { [Symbol.asyncIterator](): AsyncIterator<Uint8Array> } | null;
  readonly headers: { get: (name: string) => string | null };
  readonly #text: string;

  constructor({ status, headers, body }: Answer) {
    this.status = status;
    this.ok = status >= 200 && status < 300;
    this.#text = [204, 205, 304].includes(status) ? '' : body;
    const bytes = Buffer.from(this.#text);
    this.body = [204, 205, 304].includes(status)
      ? null
      : {
          async *[Symbol.asyncIterator]() {
            if (bytes.byteLength > 0) yield bytes;
          },
        };
    const named = new Map(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
    this.headers = { get: (name) => named.get(name.toLowerCase()) ?? null };
  }

  async text(): Promise<string> {
    return this.#text;
  }

  async json(): Promise<unknown> {
    return JSON.parse(this.#text);
  }
}

const NO_TASKS: TaskCounts = { unclaimed: 0, running: 0 };

const isSeen = (lie: Lie | undefined) => lie === undefined || lie === 'wrong count';

function json(status: number, body: object): Answer {
  return { status, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
}
