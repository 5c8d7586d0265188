import { Command } from 'commander';
import { orSimilar } from '../fleets/similar.ts';
import { helpWidth } from './command-line/help.ts';
import { type CliCommand, runCommand, type Shell, USAGE } from './command-line/run.ts';
import { end, endingCode } from './terminal/ending.ts';
import type { Terminal } from './terminal/terminal.ts';

/** The commands that package.json and the program of the package start, each loaded only when it runs. */
export const COMMANDS = {
  init: async () => (await import('./init.ts')).init,
  start: async () => (await import('./start.ts')).start,
  simulate: async () => (await import('./simulate.ts')).simulateCommand,
  benchmark: async () => (await import('./benchmark.ts')).benchmark,
  trace: async () => (await import('./trace.ts')).trace,
  zones: async () => (await import('./zones.ts')).zones,
  schedules: async () => (await import('./schedules.ts')).schedules,
  secrets: async () => (await import('./secrets.ts')).secrets,
  execute: async () => (await import('./execute.ts')).execute,
  pause: async () => (await import('./pause.ts')).pause,
  drain: async () => (await import('./drain.ts')).drain,
  resume: async () => (await import('./resume.ts')).resume,
  recycle: async () => (await import('./recycle.ts')).recycle,
  status: async () => (await import('./status.ts')).status,
  doctor: async () => (await import('./doctor.ts')).doctor,
  explain: async () => (await import('./explain.ts')).explain,
  reconcile: async () => (await import('./reconcile.ts')).reconcile,
  local: async () => (await import('./local.ts')).local,
  image: async () => (await import('./image.ts')).image,
  pin: async () => (await import('./pin.ts')).pinCommand,
} satisfies Record<string, () => Promise<CliCommand>>;

export type CommandName = keyof typeof COMMANDS;

/** Exit codes when the output has no reader any more: `head` stopped reading, which is no failure, or the terminal is closed. */
const GONE: Record<string, number> = { EPIPE: 0, EIO: 129 };

/**
 * Runs a command as this process.
 *
 * @param words The command line: the name of the command, and its arguments.
 */
export async function runProcess([name = '', ...words]: string[], terminal: Terminal): Promise<void> {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      const exitCode = GONE[error.code ?? ''];
      if (exitCode === undefined) throw error;
      if (endingCode() === undefined) end(exitCode);
    });
  }
  // Otherwise the AWS SDK warns on Node.js 20 as soon as a command makes a client.
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true';
  const { stdin, env } = process;
  const shell: Shell = { words, terminal, stdin, env, exitCode: 0 };
  if (!isCommand(name)) {
    const asked = ['--help', '-h', 'help'].includes(name);
    if (asked) terminal.print(await listCommands(shell));
    else
      terminal.note(
        `The command must be one of ${Object.keys(COMMANDS).join(', ')}, got ${JSON.stringify(name)}${orSimilar(name, Object.keys(COMMANDS))}. --help says what each does.`,
      );
    process.exitCode = asked ? 0 : USAGE;
    return;
  }
  const command: CliCommand = await COMMANDS[name]();
  process.exitCode = await runCommand(command, shell);
  terminal.eraseEcho();
  if (command.endsProcess) process.exit();
}

/** Each command with the first sentence of its help. */
export async function listCommands(shell: Shell): Promise<string> {
  const all = new Command('npm run COMMAND --').usage('[options]').helpOption(false).helpCommand(false);
  all.configureHelp({ helpWidth: helpWidth(shell.terminal.columns) });
  for (const [name, load] of Object.entries(COMMANDS)) {
    const command: CliCommand = await load();
    const [sentence = ''] = command
      .define(shell)
      .description()
      .split(/(?<=\.) (?=[A-Z])/);
    all.command(name).description(sentence);
  }
  return `${all.helpInformation()}\nEach command has --help.`;
}

const isCommand = (name: string): name is CommandName => Object.hasOwn(COMMANDS, name);
