import { Readable } from 'node:stream';
import { vi } from 'vitest';
import { type CliCommand, runCommand } from '../../cli/command-line/run.ts';
import { COMMANDS, type CommandName } from '../../cli/commands.ts';
import { Terminal } from '../../cli/terminal/terminal.ts';

export interface Ended {
  status: number;
  stdout: string;
  stderr: string;
}

/**
 * Runs a command of package.json in this process, with output that is no terminal.
 *
 * @param options.env The environment that the command itself reads; libraries read that of this process.
 * @param options.columns The width of its output; 0 is unknown.
 * @param options.isTTY Whether its output is a terminal.
 * @param options.stdin What it reads from standard input, which is no terminal.
 */
export async function runInProcess(
  name: CommandName,
  words: readonly string[],
  {
    env = {},
    columns = 0,
    isTTY = false,
    stdin = '',
  }: { env?: NodeJS.ProcessEnv; columns?: number; isTTY?: boolean; stdin?: string } = {},
): Promise<Ended> {
  const written = { stdout: '', stderr: '' };
  const into = (stream: keyof typeof written) => ({
    write: (text: string) => {
      written[stream] += text;
    },
  });
  const terminal = new Terminal({ stdout: { ...into('stdout'), columns, isTTY }, stderr: into('stderr') });
  const command: CliCommand = await COMMANDS[name]();
  const status = await runCommand(command, {
    words,
    terminal,
    stdin: Readable.from([stdin]),
    env,
    exitCode: 0,
  });
  return { status, ...written };
}

/** The environment of a command against a stand-in of AWS at an endpoint: one attempt for each call. */
export const awsEnvironment = (endpoint: string) => ({
  AWS_ENDPOINT_URL: endpoint,
  AWS_REGION: 'eu-west-1',
  AWS_ACCESS_KEY_ID: 'test',
  AWS_SECRET_ACCESS_KEY: 'test',
  AWS_MAX_ATTEMPTS: '1',
});

/** Runs a command against a stand-in of AWS at an endpoint, whatever profile there is. */
export async function runAgainstAws(
  endpoint: string,
  name: CommandName,
  words: readonly string[],
  options: { stdin?: string; env?: NodeJS.ProcessEnv; columns?: number; isTTY?: boolean } = {},
): Promise<Ended> {
  const environment = {
    ...awsEnvironment(endpoint),
    AWS_SESSION_TOKEN: undefined,
    AWS_PROFILE: undefined,
  };
  for (const [key, value] of Object.entries(environment)) vi.stubEnv(key, value);
  try {
    return await runInProcess(name, words, options);
  } finally {
    vi.unstubAllEnvs();
  }
}
