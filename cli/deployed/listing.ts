import type { Terminal } from '../terminal/terminal.ts';

/**
 * One state of an execution as the Step Functions console lists it.
 *
 * @param milliseconds From the start of the execution until the state was entered.
 * @param error The state's error; `undefined` if it succeeded.
 */
export function listState(
  state: string,
  type: string,
  milliseconds: number,
  error: string | undefined,
  colours: Terminal['colours'],
): string {
  const entered = `+${(milliseconds / 1_000).toFixed(1)} s`;
  const status = error === undefined ? colours.green('Succeeded') : colours.red(error);
  return `  ${state.padEnd(22)}  ${type.padEnd(8)}  ${entered.padStart(8)}  ${status}`;
}
