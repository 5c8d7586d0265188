import * as z from 'zod/mini';

/** CircleCI's cloud: https://circleci.com/docs/reference/runner-api */
export const CIRCLECI_CLOUD = 'https://runner.circleci.com';

const LOOPBACK = new Set(['localhost', '127.0.0.1', '[::1]']);

/**
 * Why a token must not be sent to a URL; `undefined` if it may be. Only `https:` hides a token on its way; a user, a
 * query or a fragment would turn our path into something else. A stand-in on this machine may use `http:` and any port.
 */
export function faultOfCircleCiUrl(text: string): string | undefined {
  if (!URL.canParse(text)) return 'must be a URL such as https://circleci.example.com';
  const url = new URL(text);
  const loopback = LOOPBACK.has(url.hostname);
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && loopback)) return 'must begin with https://';
  if (url.username !== '' || url.password !== '') return 'must have no user and no password in it';
  if (/[?#]/.test(text)) return 'must have no query (?) and no fragment (#)';
  if (url.port !== '' && !loopback) return 'must have no port: CircleCI Server answers on 443';
  return undefined;
}

/** Where CircleCI answers. */
export const CircleCiUrl = z.string().check(
  z.superRefine<string>((url, context) => {
    const fault = faultOfCircleCiUrl(url);
    if (fault !== undefined) context.addIssue({ code: 'custom', message: fault });
  }),
);

/** Whether a URL is of this machine. */
export const isLoopback = (url: string) => LOOPBACK.has(new URL(url).hostname);

/** Whether two URLs are the same place; a slash at the end makes no difference. */
export const samePlace = (one: string, other: string) => place(one) === place(other);

const place = (url: string) => new URL(url).href.replace(/\/+$/, '');
