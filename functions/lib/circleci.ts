import type { SecretsProvider } from '@aws-lambda-powertools/parameters/secrets';
import * as z from 'zod/mini';
import { Count, type CountInput, type DeployedSettings } from './contracts.ts';
import {
  CircleCiInvalidCount,
  CircleCiNotFound,
  CircleCiNotJson,
  CircleCiRateLimited,
  CircleCiRejected,
  CircleCiTimeout,
  CircleCiTooLong,
  CircleCiUnauthorized,
  CircleCiUnavailable,
  CircleCiUnreachable,
} from './errors.ts';
import { boundedText, excerpt, masked, retryAfterSeconds } from './http-answers.ts';
import { onceMoreIfLost } from './lost-connections.ts';
import { pollFits } from './pacing.ts';
import { readCircleToken, secretsProvider } from './secrets.ts';
import { sentence } from './sentence.ts';

/** Where CircleCI counts tasks: https://circleci.com/docs/reference/runner-api */
const QUESTIONS = {
  unclaimed: question('/api/v3/runner/tasks', 'unclaimed_task_count'),
  running: question('/api/v3/runner/tasks/running', 'running_runner_tasks'),
};
type Question = ReturnType<typeof question>;

function question(path: string, key: string) {
  return { path, key, answer: z.object({ [key]: Count }) };
}

/** Assumed for a 429 without `Retry-After`. */
const DEFAULT_RETRY_AFTER_SECONDS = 5;

/** Many times what a count needs. */
const LONGEST_ANSWER_BYTES = 1_000_000;

/** An entry of the inventory takes about 300 bytes, and runners of the last 12 hours are listed. */
export const LONGEST_INVENTORY_BYTES = 32_000_000;

/** The part of the state's timeout that is kept for starting the function and returning its answer. */
const MARGIN_SECONDS = 0.25;

/** What a request to CircleCI needs. */
export interface CircleCiAccess {
  secrets: SecretsProvider;
  fetch: typeof fetch;
  /** Makes a signal that aborts after this many milliseconds. */
  timeout: (milliseconds: number) => AbortSignal;
}

/** The settings that say what is counted, where, and with which secret. */
export type CountedFleet = Pick<DeployedSettings, 'circleciUrl' | 'resourceClass' | 'scalerSecretName'>;

/** Makes what a function needs for its requests to CircleCI, once for each function. */
export const circleciAccess = (): CircleCiAccess => ({
  secrets: secretsProvider(),
  fetch,
  timeout: (milliseconds) => AbortSignal.timeout(milliseconds),
});

/**
 * Counts the tasks of the fleet's resource class that are unclaimed, or running.
 *
 * One attempt with a deadline; if its connection was lost, one more within the same deadline. After a 401 or 403 the
 * token is read again and, if it was rotated, tried once more. A 429 is an answer (`retryAfterSeconds`), not an error,
 * unless it is that of the first poll and its wait does not fit into the execution.
 *
 * @throws CircleCiUnauthorized, CircleCiNotFound, CircleCiRejected, CircleCiRateLimited, CircleCiUnavailable,
 * CircleCiUnreachable, CircleCiTimeout, CircleCiTooLong, CircleCiNotJson,
 * CircleCiInvalidCount, and what secrets.ts throws
 */
export async function countTasks(
  access: CircleCiAccess & { now: () => number },
  fleet: CountedFleet,
  poll: CountInput['poll'],
  question: keyof typeof QUESTIONS,
): Promise<{ count: number } | { retryAfterSeconds: number }> {
  const asked = QUESTIONS[question];
  const url = new URL(fleet.circleciUrl.replace(/\/+$/, '') + asked.path);
  url.search = `resource-class=${encodeURIComponent(fleet.resourceClass)}`;
  const { secrets, now } = access;
  const deadline = access.timeout((poll.timeoutSeconds - MARGIN_SECONDS) * 1_000);

  const token = await readCircleToken(secrets, fleet, { fresh: false });
  let answer = await readAnswer(access, url, token, deadline);
  if (refused(answer)) {
    const rotated = await readCircleToken(secrets, fleet, { fresh: true });
    if (rotated !== token) answer = await readAnswer(access, url, rotated, deadline);
  }

  if (answer.status === 429) return rateLimited(poll, answer, now());
  if (answer.status !== 200) throw failure(fleet, url, answer);
  return { count: parseCount(url, answer.body, asked) };
}

interface Answer {
  status: number;
  retryAfter: string | null;
  body: string;
}

const refused = (answer: Answer) => answer.status === 401 || answer.status === 403;

/** Reads one answer, whatever its status. Its text holds no token. */
export async function readAnswer(
  { fetch }: Pick<CircleCiAccess, 'fetch'>,
  url: URL,
  token: string,
  deadline: AbortSignal,
  longest = LONGEST_ANSWER_BYTES,
): Promise<Answer> {
  try {
    const response = await onceMoreIfLost(() =>
      fetch(url, {
        headers: { 'Circle-Token': token, Accept: 'application/json' },
        redirect: 'manual', // fetch would carry the token to wherever a redirect points
        signal: deadline,
      }),
    );
    const text = await boundedText(response, longest);
    if (text === undefined)
      throw new CircleCiTooLong(
        `${url} answered ${response.status} with more than ${longest / 1_000} KB. Is a proxy in between? Capacity is held.`,
      );
    // An answer can repeat its request, so the token is removed before anything else reads the text.
    const body = masked(text, token);
    return { status: response.status, retryAfter: response.headers.get('retry-after'), body };
  } catch (error) {
    if (error instanceof CircleCiTooLong) throw error;
    if (deadline.aborted) {
      throw new CircleCiTimeout(`${url} gave no whole answer in time. Capacity is held.`, { cause: error });
    }
    const cause =
      error instanceof Error && error.cause instanceof Error ? error.cause.message : String(error);
    throw new CircleCiUnreachable(`${sentence(`${url} cannot be reached: ${cause}`)} Capacity is held.`, {
      cause: error,
    });
  }
}

function rateLimited(poll: CountInput['poll'], answer: Answer, now: number): { retryAfterSeconds: number } {
  const seconds = retryAfterSeconds(answer.retryAfter, now) ?? DEFAULT_RETRY_AFTER_SECONDS;
  // Later, an earlier poll may have got its counts. Compute Capacity knows that, and fails if none has.
  if (poll.number > 1 || pollFits(poll, now + seconds * 1_000)) return { retryAfterSeconds: seconds };
  throw new CircleCiRateLimited(
    `CircleCI allows no more requests for ${seconds} s (status 429), longer than this execution has left. Capacity is held; if this goes on, raise pollInterval.`,
  );
}

function failure({ scalerSecretName, resourceClass }: CountedFleet, url: URL, answer: Answer): Error {
  const said = sentence(`${url} answered ${answer.status}${excerpt(answer.body)}`);
  if (refused(answer)) {
    return new CircleCiUnauthorized(
      `${said} The circle_token in secret ${scalerSecretName} must be a personal API token of someone who may see ${resourceClass}. Capacity is held.`,
    );
  }
  if (answer.status === 404) {
    return new CircleCiNotFound(
      `${said} There is no resource class ${resourceClass}, or the token's owner may not see it. Capacity is held: 404 is not zero tasks.`,
    );
  }
  if (answer.status >= 500) return new CircleCiUnavailable(`${said} Capacity is held.`);
  return new CircleCiRejected(
    `${said} Check circleciUrl and resourceClass in fleets.yaml. Capacity is held.`,
  );
}

function parseCount(url: URL, body: string, { key, answer }: Question): number {
  let json: unknown;
  try {
    json = JSON.parse(body);
  } catch (cause) {
    throw new CircleCiNotJson(
      `${sentence(`${url} answered 200 with something else than JSON${excerpt(body)}`)} Is a proxy in between? Capacity is held.`,
      { cause },
    );
  }
  const parsed = z.safeParse(answer, json);
  const count = parsed.success ? parsed.data[key] : undefined;
  if (count === undefined) {
    throw new CircleCiInvalidCount(
      `${sentence(`${url} answered 200 without a whole number of tasks in "${key}"${excerpt(body)}`)} Capacity is held.`,
    );
  }
  return count;
}
