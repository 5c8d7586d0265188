import { writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { PutSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import {
  DescribeExecutionCommand,
  type ExecutionListItem,
  ListExecutionsCommand,
  SFNClient,
  StartExecutionCommand,
} from '@aws-sdk/client-sfn';
import { Command } from 'commander';
import { stringify } from 'yaml';
import { wrapped } from '../functions/lib/fold.ts';
import { CircleCi } from '../sandbox/circleci.ts';
import { numberOption } from './command-line/arguments.ts';
import type { CliCommand, Shell } from './command-line/run.ts';
import { readSteps, type StateVisit } from './deployed/steps.ts';
import { LocalAws, LocalAwsFailed, LocalAwsUnreachable } from './local-aws/local-aws.ts';
import { PythonMissing } from './local-aws/python.ts';
import { LocalRunners } from './local-aws/runners.ts';
import { untilAborted, untilEnded } from './terminal/ending.ts';
import type { Terminal } from './terminal/terminal.ts';

const TOKEN = 'CCIPAT_local_0123456789abcdef';
const FLEET = 'local';
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
    .action((options: Options) =>
      // What was started is killed at once then, so there is nothing to wait for.
      untilEnded((ended) => Promise.race([run(options, ended, terminal), untilAborted(ended)])),
    );

interface Options {
  minutes?: number;
}

async function run(options: Options, ended: AbortSignal, terminal: Terminal): Promise<void> {
  const began = Date.now();
  const report = (message: string) => {
    const line = `${seconds(Date.now() - began).padStart(7)}  ${message}`;
    terminal.print(terminal.colours.dim(fitted(line, terminal, 9)));
  };

  const circleci = new CircleCi();
  circleci.tokens.add(TOKEN);
  const server = await circleci.listen();
  const { port } = server.address() as AddressInfo;
  let aws: LocalAws | undefined;
  const isOwn = process.env.AWS_ENDPOINT_URL === undefined;
  try {
    aws = await LocalAws.start(report, { signal: ended });
    aws.adopt();
    const fleetsFile = join(aws.folder, 'fleets.yaml');
    const fleet = {
      resourceClass: RESOURCE_CLASS,
      instanceTypes: ['m7g.large'],
      maxReplicas: 10,
      circleciUrl: `http://127.0.0.1:${port}`,
    };
    writeFileSync(fleetsFile, stringify({ [FLEET]: fleet }));
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
    report(
      `Deployed ${outputs.StateMachineArn}, with the fleet ${FLEET}. Its schedule starts an execution every minute.`,
    );
    if (isOwn) {
      report('In another terminal, npm run status and other commands use it after this line:');
      // Whole, so that it can be copied. An emulator takes any keys.
      const names = ['AWS_ENDPOINT_URL', 'AWS_REGION', 'AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'];
      terminal.print(`export ${names.map((name) => `${name}=${aws?.environment[name]}`).join(' ')}`);
    }
    const sfn = new SFNClient({});
    // The schedule may start its first execution only a minute from now.
    await sfn.send(
      new StartExecutionCommand({
        stateMachineArn: outputs.StateMachineArn,
        input: JSON.stringify({ fleet: FLEET }),
      }),
    );
    const runners = new LocalRunners(outputs.LocalGroupName ?? '', aws.environment.AWS_ENDPOINT_URL ?? '');
    circleci.classes.set(RESOURCE_CLASS, runners.queue);
    circleci.runners.set(RESOURCE_CLASS, () => runners.listed());
    const until =
      options.minutes === undefined ? Number.POSITIVE_INFINITY : Date.now() + options.minutes * 60_000;
    const executions = new Executions(sfn, outputs.StateMachineArn ?? '', terminal);
    await watch(runners, executions, report, () => ended.aborted || Date.now() >= until);
  } catch (error) {
    // Ctrl-C also ends the commands that were started here, so their errors mean nothing then.
    if (!ended.aborted) throw error;
  } finally {
    report('Stopping');
    server.close();
    server.closeAllConnections();
    aws?.stop();
  }
}

/** Simulates jobs, prints what executions do, and prints the group when it changes. */
async function watch(
  runners: LocalRunners,
  executions: Executions,
  report: (message: string) => void,
  over: () => boolean,
): Promise<void> {
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
    await executions.print();
    await new Promise((resolve) => setTimeout(resolve, 1_000));
  }
}

/** Prints each decision when it is made, and each execution when it ends. */
class Executions {
  readonly #sfn: SFNClient;
  readonly #stateMachineArn: string;
  readonly #terminal: Terminal;
  /** The number of polls of each execution that are printed. */
  readonly #polls = new Map<string, number>();
  readonly #ended = new Set<string>();

  constructor(sfn: SFNClient, stateMachineArn: string, terminal: Terminal) {
    this.#sfn = sfn;
    this.#stateMachineArn = stateMachineArn;
    this.#terminal = terminal;
  }

  /** Prints what has happened since the last call. */
  async print(): Promise<void> {
    const { executions = [] } = await this.#sfn.send(
      new ListExecutionsCommand({ stateMachineArn: this.#stateMachineArn, maxResults: 10 }),
    );
    for (const execution of executions.toReversed()) {
      if (!this.#ended.has(execution.executionArn ?? '')) await this.#printOne(execution);
    }
  }

  async #printOne({ executionArn = '', name = '', status, startDate, stopDate }: ExecutionListItem) {
    const { colours } = this.#terminal;
    const started = startDate ?? new Date();
    const begun = this.#polls.get(executionArn);
    if (begun === undefined) this.#terminal.print(`\nExecution ${name} begins`);
    const polls = pollsIn(await readSteps(this.#sfn, executionArn, '', started));
    for (const poll of polls.slice(begun ?? 0)) this.#terminal.print(fitted(`  ${poll}`, this.#terminal, 11));
    this.#polls.set(executionArn, polls.length);
    if (status === 'RUNNING') return;
    this.#ended.add(executionArn);
    const took = seconds((stopDate ?? started).getTime() - started.getTime());
    const colour = status === 'SUCCEEDED' ? colours.green : colours.red;
    this.#terminal.print(
      fitted(
        `Execution ${name} ${colour(status ?? '')} in ${took}, after ${counted(polls.length)}`,
        this.#terminal,
        2,
      ),
    );
    if (status !== 'SUCCEEDED') {
      const { error, cause } = await this.#sfn.send(new DescribeExecutionCommand({ executionArn }));
      this.#terminal.printProse(`  ${error}\n  ${cause}`);
    }
    this.#terminal.print();
  }
}

/** A line in as many as the terminal needs; in a pipe, one. */
const fitted = (line: string, { hasScreen, columns }: Terminal, indent: number) =>
  hasScreen ? wrapped(line, columns, indent).join('\n') : line;

const counted = (polls: number) => (polls === 1 ? '1 poll' : `${polls} polls`);

/** What each poll of an execution has decided. */
function pollsIn(steps: StateVisit[]): string[] {
  const start = steps[0]?.enteredAt ?? 0;
  return steps.flatMap((step) => {
    const { decision } = Object(step.state === 'Compute Capacity' ? step.output : undefined);
    if (!decision) return [];
    const what = decision.change ? `desired ${decision.desired}` : `stays at ${decision.desired}`;
    return [`+${seconds(step.enteredAt - start)}  ${what}: ${decision.reasons.join('; ')}`];
  });
}

const seconds = (milliseconds: number) => `${(milliseconds / 1_000).toFixed(1)} s`;

export const local: CliCommand = {
  define,
  usageErrors: [LocalAwsUnreachable],
  expectedErrors: [PythonMissing, LocalAwsFailed],
  endsProcess: true,
};
