import { GetScheduleCommand, ListSchedulesCommand, SchedulerClient } from '@aws-sdk/client-scheduler';
import { SFNClient, StartSyncExecutionCommand } from '@aws-sdk/client-sfn';
import { Command } from 'commander';
import { FLEET_NAME } from '../functions/lib/fleet-names.ts';
import { AWS_CLIENT } from './aws/client.ts';
import { stackOption } from './command-line/arguments.ts';
import { refuseUnknown } from './command-line/fleets.ts';
import { type CliCommand, nameAndMessage, type Shell } from './command-line/run.ts';
import { describeSteps, readSteps } from './deployed/steps.ts';

/** An execution takes at most 61 s. */
const ANSWER_MILLISECONDS = 70_000;

const define = (shell: Shell) =>
  new Command('npm run execute --')
    .description(
      'Starts one execution of the deployed workflow for a fleet, as its schedule does. Waits for it, and prints its steps and its decision.',
    )
    .argument('<fleet>', 'a deployed fleet')
    .option('--full', 'poll for the whole minute, as scheduled executions do (default: one poll)')
    .option('--json', 'print only one JSON object')
    .addOption(stackOption())
    .action((fleet: string, options: Options) => executeOnce(fleet, options, shell));

interface Options {
  full?: boolean;
  json?: boolean;
  stack: string;
}

async function executeOnce(fleet: string, options: Options, shell: Shell): Promise<void> {
  const { terminal, env } = shell;
  const { colours } = terminal;
  const stateMachineArn = await workflowOf(options.stack, fleet);
  const sfn = new SFNClient({
    requestHandler: { requestTimeout: ANSWER_MILLISECONDS, throwOnRequestTimeout: true },
    // The prefix names AWS's own host for synchronous executions, which no other endpoint has.
    disableHostPrefix: env.AWS_ENDPOINT_URL !== undefined,
  });
  if (terminal.isWatched) terminal.note(colours.dim(`Executing ${stateMachineArn} ...`));
  const answer = await sfn.send(
    new StartSyncExecutionCommand({
      stateMachineArn,
      input: JSON.stringify({ fleet, ...(!options.full && { once: true }) }),
    }),
  );
  const startedAt = answer.startDate ?? new Date();
  const logGroup = `/aws/vendedlogs/states/${options.stack}`;
  const steps = await readSteps(sfn, answer.executionArn ?? '', logGroup, startedAt);
  const output = answer.output === undefined ? {} : JSON.parse(answer.output);
  const { decision } = output;
  const waits: unknown = Object(output.settings).waits;
  const succeeded = answer.status === 'SUCCEEDED';
  if (!succeeded) shell.exitCode = 1;

  if (options.json) {
    const { status, error, cause, name } = answer;
    const observed = Object(steps.findLast(({ state }) => state === 'Observe')?.output).observed;
    terminal.print(JSON.stringify({ name, status, error, cause, observed, decision, waits, steps }));
    return;
  }
  terminal.print(
    `Execution ${answer.name}: ${succeeded ? colours.green('SUCCEEDED') : colours.red(answer.status ?? 'FAILED')}`,
  );
  if (answer.error !== undefined) terminal.printProse(`${answer.error}\n${answer.cause}`);
  if (waits !== undefined) terminal.printProse(`The fleet ${waits}`);
  if (decision !== undefined) {
    terminal.printProse(`Desired capacity ${decision.desired}${decision.change ? ', changed' : ''}:`);
    for (const reason of decision.reasons) terminal.printProse(`  ${reason}`);
  }
  terminal.print(
    steps.length === 0
      ? 'The execution log does not have its steps yet. Look at the execution in the Step Functions console.'
      : describeSteps(steps, startedAt.getTime(), colours),
  );
}

/** The state machine that the fleet's deployed schedule starts. */
async function workflowOf(stack: string, fleet: string): Promise<string> {
  const scheduler = new SchedulerClient({ ...AWS_CLIENT, maxAttempts: 2 });
  const prefix = `${stack}-`;
  try {
    const { Target } = await scheduler.send(
      new GetScheduleCommand({ GroupName: stack, Name: prefix + fleet }),
    );
    return Target?.Arn ?? '';
  } catch (error) {
    const { Schedules = [] } = await ifNotFound(error, () =>
      scheduler.send(new ListSchedulesCommand({ GroupName: stack })),
    ).catch((second) => ifNotFound(second, async () => ({ Schedules: [] })));
    // A fleet also has a schedule that looks for what is left behind, whose name is no fleet's.
    const names = Schedules.map(({ Name = '' }) => Name.slice(prefix.length))
      .filter((name) => FLEET_NAME.test(name))
      .toSorted();
    refuseUnknown(stack, names, fleet);
    throw error;
  }
}

/** Continues with something else if AWS has nothing of that name; throws any other error. */
async function ifNotFound<T>(error: unknown, otherwise: () => Promise<T>): Promise<T> {
  if ((error as Error).name !== 'ResourceNotFoundException') throw error;
  return await otherwise();
}

export const execute: CliCommand = {
  define,
  failsIf: 'the execution failed',
  describeError: nameAndMessage,
  aws: 'stack',
};
