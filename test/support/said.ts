import { inspect } from 'node:util';

/** All text of an error: its name, message and stack, and those of its causes. */
export function said(error: unknown): string {
  // Not String, which fails if the value has a toString of its own that is no function.
  if (!(error instanceof Error)) return typeof error === 'string' ? error : inspect(error);
  const cause = error.cause === undefined ? '' : said(error.cause);
  return [error.name, error.message, error.stack ?? '', cause].join('\n');
}

/** The error that `work` fails with. */
export async function failure(work: Promise<unknown>): Promise<Error> {
  const answer = await work.catch((error: unknown) => error);
  if (answer instanceof Error) return answer;
  throw new Error(`Nothing failed; the answer was ${JSON.stringify(answer)}`);
}
