import { type Command, CommanderError } from 'commander';
import { type AdvisedApp, DEFAULT_APP, forApp } from '../../functions/lib/advice.ts';
import { sentence } from '../../functions/lib/sentence.ts';
import { readSetup } from '../aws/place.ts';
import { AwsSession } from '../aws/session.ts';
import { setupFault } from '../aws/setup-fault.ts';
import { unknownCall } from '../aws/unknown-call.ts';
import { endingCode } from '../terminal/ending.ts';
import type { Terminal } from '../terminal/terminal.ts';
import { NotDeployed, UsageError } from './arguments.ts';
import { type HelpPart, helpWidth, wrappedHelp } from './help.ts';

/** Exit code for a wrong argument, as shells use it. */
export const USAGE = 2;

/** Exit code for Ctrl-C, as shells use it. */
const CTRL_C = 130;

/** What the process, or a test, passes to a command. */
export interface Shell {
  /** The command line after the command's name. */
  words: readonly string[];
  terminal: Terminal;
  stdin: NodeJS.ReadableStream & { isTTY?: boolean };
  env: NodeJS.ProcessEnv;
  /** The command's exit code, if it throws no error. */
  exitCode: number;
}

type ErrorClass = abstract new (...words: never[]) => Error;

/** One command of package.json. */
export interface CliCommand {
  /** Defines its arguments and options, and the action that does the work. */
  define: (shell: Shell) => Command;
  /** Errors that mean that the command line is wrong: exit code 2. */
  usageErrors?: readonly ErrorClass[];
  /** Errors that mean that the command failed although the command line is right: exit code 1. */
  expectedErrors?: readonly ErrorClass[];
  /** When the exit code is 1, for the help text. Default: if it failed. */
  failsIf?: string;
  /** What its other exit codes mean, for the help text. */
  otherCodes?: Record<number, string>;
  /** The message after Ctrl-C in a question of the command. */
  promptClosed?: string;
  /** The message of any other error, in place of its stack, for commands that depend on other systems. */
  describeError?: (error: Error) => string;
  /** Whether it talks to AWS: about a deployed stack, only about the account, or only if there is one. */
  aws?: 'stack' | 'account' | 'optional';
  /** Whether the process ends with the command, even if connections and timers are open. */
  endsProcess?: boolean;
}

/** The end of each help text. */
const exitCodes = ({ failsIf = 'it failed', otherCodes = {}, aws }: CliCommand): HelpPart => ({
  heading: 'Exit codes:',
  rows: [
    ['0', 'it worked'],
    ['1', failsIf],
    ['2', `the command line${aws === undefined ? ' or a file' : ', a file or the set-up of AWS'} is wrong`],
    ...Object.entries(otherCodes),
    ['130', 'Ctrl-C ended it; after another signal, 128 and its number'],
  ],
});

/** The message of an error with its name, for errors of AWS and of what stands in for it. */
export function nameAndMessage(error: Error): string {
  const text = `${error.name}: ${error.message}`;
  const reason = unknownCall(error, readSetup(process.env).endpoint);
  return reason === undefined ? text : `${sentence(text)} Nothing is wrong ${reason}.`;
}

/** The complaint of a command about what is deployed, if it was given a fleets file as others take it. */
const withoutFile = (text: string) =>
  text.replace(
    /^error: unknown option '--fleets'$/m,
    "error: unknown option '--fleets': this command reads what is deployed, not the file. Leave it out.",
  );

/** The app that a command line names. */
function advisedBy(command: Command): AdvisedApp {
  const { stack, fleets } = command.opts();
  const isGiven = command.getOptionValueSource('fleets') === 'cli';
  return {
    app: typeof stack === 'string' ? stack : DEFAULT_APP,
    fleetsFile: isGiven && typeof fleets === 'string' ? fleets : undefined,
  };
}

/**
 * Parses the command line and runs the command. If an error is one that the command expects, only its message is shown.
 *
 * @returns The exit code.
 */
export async function runCommand(cli: CliCommand, shell: Shell): Promise<number> {
  const { terminal, words } = shell;
  const command = cli.define(shell);
  command
    .exitOverride()
    .addHelpText(
      'after',
      wrappedHelp(() => [exitCodes(cli)]),
    )
    .showHelpAfterError('Add --help to see all options.')
    .configureOutput({
      writeOut: (text) => terminal.print(text.replace(/\n$/, '')),
      writeErr: (text) => terminal.note(text.replace(/\n$/, '')),
      getOutHelpWidth: () => helpWidth(terminal.columns),
      getErrHelpWidth: () => helpWidth(terminal.columns),
      outputError: (text, write) => write(cli.aws === 'stack' ? withoutFile(text) : text),
    });
  const session = cli.aws === undefined ? undefined : new AwsSession(cli.aws, shell);
  session?.prepare(command);
  try {
    await command.parseAsync(words, { from: 'user' });
    session?.succeeded();
    return endingCode() ?? shell.exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : USAGE;
    const isOneOf = (classes: readonly ErrorClass[] = []) => classes.some((kind) => error instanceof kind);
    const isWrongInput = error instanceof UsageError || isOneOf(cli.usageErrors);
    if (error instanceof Error && error.name === 'ExitPromptError' && cli.promptClosed !== undefined) {
      terminal.note(cli.promptClosed);
      return endingCode() ?? CTRL_C;
    }
    const fault = session && setupFault(error, readSetup(process.env));
    if (fault !== undefined) {
      terminal.note(fault);
      return endingCode() ?? USAGE;
    }
    const advised = advisedBy(command);
    if (isWrongInput || isOneOf(cli.expectedErrors)) {
      terminal.note(forApp(advised, (error as Error).message));
      if (error instanceof NotDeployed)
        for (const hint of (await session?.hints()) ?? []) terminal.note(hint);
    } else if (cli.describeError !== undefined && error instanceof Error)
      terminal.note(forApp(advised, cli.describeError(error)));
    else throw error;
    return endingCode() ?? (isWrongInput ? USAGE : 1);
  }
}
