import { UsageError } from './arguments.ts';

/** Variables with a personal API token, as CircleCI's own command line and its documentation name them. */
export const TOKEN_VARIABLES = ['CIRCLECI_TOKEN', 'CIRCLECI_CLI_TOKEN', 'CIRCLE_TOKEN'];

/**
 * The personal API token of the environment, from the first of these variables that is set.
 *
 * @throws UsageError, without the token, if it cannot be one.
 */
export function tokenIn(env: NodeJS.ProcessEnv): string | undefined {
  const variable = TOKEN_VARIABLES.find((name) => (env[name] ?? '').trim() !== '');
  return variable === undefined ? undefined : checkedToken((env[variable] ?? '').trim(), variable);
}

/** @param where Where the token is from, for the message. */
export function checkedToken(token: string, where: string): string {
  // Other characters cannot be sent in a header, and the error of fetch would show the token.
  if (/^[\x21-\x7e]+$/.test(token)) return token;
  throw new UsageError(`The token in ${where} has characters that no token has. Copy it again.`);
}
