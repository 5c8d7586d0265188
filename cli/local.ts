import { writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { PutSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { DescribeExecutionCommand, ListExecutionsCommand, SFNClient } from '@aws-sdk/client-sfn';
import { Command } from 'commander';
import { stringify } from 'yaml';
import { CircleCi } from '../sandbox/circleci.ts';
import { numberOption } from './command-line/arguments.ts';
import type { CliCommand, Shell } from './command-line/run.ts';
import { readSteps, type Step } from './deployed/steps.ts';
import { LocalAws, LocalAwsFailed, LocalAwsUnreachable } from './local-aws/local-aws.ts';
import { PythonMissing } from './local-aws/python.ts';
import { LocalRunners } from './local-aws/runners.ts';
import { untilEnded } from './terminal/ending.ts';
import type { Terminal } from './terminal/terminal.ts';

const TOKEN = 'CCIPAT_local_0123456789abcdef';
const RESOURCE_CLASS = 'local/linux';

/** Jobs arrive in bursts, so that the group rises and falls. */
const BURST = { jobs: 4, everySeconds: 90, shortestSeconds: 15, longestSeconds: 45 };

const define = ({ terminal }: Shell) =>
  new Command('npm run local --')
    .description(
      'Deploys the app to a local AWS on this machine, and shows how it follows a CircleCI queue. The local AWS is MiniStack, which the command installs into .local and starts. If AWS_ENDPOINT_URL is set, the command uses that endpoint instead. Ctrl-C ends everything that it started.',
    )
    .option('--minutes <n>', 'stop after this many minutes (default: at Ctrl-C)', numberOption(1, 1_440))
    .allowExcessArguments(false)
    .action((options: Options) => untilEnded((ended) => run(options, ended, terminal)));

interface Options {
  minutes?: number;
}

async function run(options: Options, ended: AbortSignal, terminal: Terminal): Promise<void> {
  const began = Date.now();
  const report = (message: string) =>
    terminal.print(terminal.colours.dim(`${seconds(Date.now() - began).padStart(7)}  ${message}`));

  const circleci = new CircleCi();
  circleci.tokens.add(TOKEN);
  const server = await circleci.listen();
  const { port } = server.address() as AddressInfo;
  let aws: LocalAws | undefined;
  try {
    aws = await LocalAws.start(report);
    aws.adopt();
    const fleetsFile = join(aws.folder, 'fleets.yaml');
    const fleet = {
      resourceClass: RESOURCE_CLASS,
      instanceTypes: ['m7g.large'],
      maxReplicas: 10,
      circleciUrl: `http://127.0.0.1:${port}`,
    };
    writeFileSync(fleetsFile, stringify({ local: fleet }));
    const outputs = await aws.deploy(fleetsFile, report, { signal: ended });
    report('Storing the secret');
    await new SecretsManagerClient({}).send(
      new PutSecretValueCommand({
        SecretId: outputs.LocalScalerSecretName,
        SecretString: JSON.stringify({
          resource_class: RESOURCE_CLASS,
          circleci_url: fleet.circleciUrl,
          circle_token: TOKEN,
        }),
      }),
    );
    report(`Deployed ${outputs.StateMachineArn}. Its schedule starts an execution every minute.`);
    const runners = new LocalRunners(outputs.LocalGroupName ?? '', aws.environment.AWS_ENDPOINT_URL ?? '');
    circleci.classes.set(RESOURCE_CLASS, runners.queue);
    const until =
      options.minutes === undefined ? Number.POSITIVE_INFINITY : Date.now() + options.minutes * 60_000;
    await watch(
      runners,
      outputs.StateMachineArn ?? '',
      report,
      terminal,
      () => ended.aborted || Date.now() >= until,
    );
  } catch (error) {
    // Ctrl-C also ends the commands that were started here, so their errors mean nothing then.
    if (!ended.aborted) throw error;
  } finally {
    report('Stopping');
    server.close();
    server.closeAllConnections();
    await aws?.stop();
  }
}

/** Simulates jobs, prints each execution when it ends, and prints the group when it changes. */
async function watch(
  runners: LocalRunners,
  stateMachineArn: string,
  report: (message: string) => void,
  terminal: Terminal,
  over: () => boolean,
): Promise<void> {
  const sfn = new SFNClient({});
  const printed = new Set<string>();
  let shown = '';
  for (let second = 0; !over(); second += 1) {
    if (second % BURST.everySeconds === 0) {
      const spread = BURST.longestSeconds - BURST.shortestSeconds;
      runners.arrive(BURST.jobs, () => BURST.shortestSeconds + Math.random() * spread);
    }
    const { desired, members } = await runners.tick();
    const { unclaimed, running, ended } = runners.queue;
    const state = `unclaimed ${unclaimed}, running ${running}, done ${ended}  |  desired ${desired}, members ${members}`;
    if (state !== shown) report(state);
    shown = state;
    await printExecutions(sfn, stateMachineArn, printed, terminal);
    await new Promise((resolve) => setTimeout(resolve, 1_000));
  }
}

async function printExecutions(
  sfn: SFNClient,
  stateMachineArn: string,
  printed: Set<string>,
  terminal: Terminal,
): Promise<void> {
  const { colours } = terminal;
  const { executions = [] } = await sfn.send(new ListExecutionsCommand({ stateMachineArn, maxResults: 10 }));
  for (const { executionArn = '', name = '', status, startDate, stopDate } of executions.toReversed()) {
    if (status === 'RUNNING' || printed.has(executionArn)) continue;
    printed.add(executionArn);
    const started = startDate ?? new Date();
    const steps = await readSteps(sfn, executionArn, '', started);
    const took = seconds((stopDate ?? started).getTime() - started.getTime());
    const colour = status === 'SUCCEEDED' ? colours.green : colours.red;
    terminal.print(`\nExecution ${name}  ${colour(status ?? '')} in ${took}`);
    for (const line of decisions(steps)) terminal.print(`  ${line}`);
    if (status !== 'SUCCEEDED') {
      const { error, cause } = await sfn.send(new DescribeExecutionCommand({ executionArn }));
      terminal.print(`  ${error}\n  ${cause}`);
    }
    terminal.print();
  }
}

/** The decisions of the polls that changed something, and the number of polls. */
function decisions(steps: Step[]): string[] {
  const plans = steps.flatMap((step) => {
    const { decision } = Object(step.state === 'Compute Capacity' ? step.output : undefined);
    return decision ? [{ at: step.enteredAt, decision }] : [];
  });
  const start = steps[0]?.enteredAt ?? 0;
  const changes = plans
    .filter(({ decision }) => decision.change)
    .map(({ at, decision }) => `+${seconds(at - start)}  ${decision.reasons.join('; ')}`);
  return [...changes, `${plans.length} polls, ${changes.length} of them changed the desired capacity`];
}

const seconds = (milliseconds: number) => `${(milliseconds / 1_000).toFixed(1)} s`;

export const local: CliCommand = {
  define,
  usageErrors: [LocalAwsUnreachable],
  expectedErrors: [PythonMissing, LocalAwsFailed],
  endsProcess: true,
};
