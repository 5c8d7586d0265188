import { renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import password from '@inquirer/password';
import { Command } from 'commander';
import { CircleCiApi, CircleCiFailed, NotFound, TokenRefused } from '../simulator/circleci-api.ts';
import { downloadJobs, type Job, type Jobs } from '../simulator/circleci-jobs.ts';
import { KeptAnswers, KeptAnswersUnusable } from '../simulator/kept-answers.ts';
import { numberOption, UsageError } from './command-line/arguments.ts';
import { type CliCommand, nameAndMessage, type Shell } from './command-line/run.ts';
import { untilEnded } from './terminal/ending.ts';
import type { Terminal } from './terminal/terminal.ts';

interface Options {
  project: string;
  days: number;
  branch?: string;
  resourceClass?: string[];
  workflow?: string;
  out: string;
  json?: boolean;
  concurrency: number;
  url: string;
}

/** Where a personal API token is looked for, as CircleCI's own command line and its documents name it. */
const TOKEN_VARIABLES = ['CIRCLECI_TOKEN', 'CIRCLECI_CLI_TOKEN', 'CIRCLE_TOKEN'];

const CLOUD = 'https://circleci.com/api/v2';

const define = (shell: Shell) =>
  new Command('npm run trace --')
    .description(
      'Downloads the jobs that a project really ran from the CircleCI API, as a trace for npm run simulate -- --trace FILE.\nIt holds names, times, parallelism and resource classes, and nothing else of the jobs.',
    )
    .requiredOption(
      '--project <slug>',
      'the project as its settings in CircleCI show it, such as gh/acme/app',
    )
    .option(
      '--days <n>',
      'pipelines that were created in the last days',
      numberOption('the days', 1, 366),
      30,
    )
    .option('--branch <name>', 'pipelines of this branch only')
    .option('--workflow <name>', 'workflows of this name only, which saves requests')
    .option(
      '--resource-class <class...>',
      'jobs that ran on these resource classes only, such as acme/linux (default: all, those on machines of CircleCI as well)',
    )
    .option('--out <file>', 'the trace; one that is there is replaced when all is downloaded', 'trace.jsonl')
    .option('--json', 'print one JSON object and nothing else')
    .option('--concurrency <n>', 'requests at a time', numberOption('the requests at a time', 1, 32), 4)
    .option('--url <url>', 'the API; of CircleCI Server, https://HOST/api/v2', CLOUD)
    .addHelpText(
      'after',
      `
The personal API token is read from ${TOKEN_VARIABLES.join(', ')} (the first that is set),
or asked for without showing it.

It takes about a request for each job, each workflow and each pipeline, and one for 20 pipelines: some 1,700 for 1,000
jobs in 350 workflows. When CircleCI allows no more requests, it waits as long as it is told to. What was interrupted
(Ctrl-C, a crash, a limit) goes on where it stopped when the same command is run again: until then the answers are
kept beside the trace, in FILE.partial.

A resource class that serves several projects has one trace: download each, and put them together with cat.`,
    )
    .allowExcessArguments(false)
    .action((options: Options) => download(options, shell));

/** What was not downloaded, though the command was right. */
class TraceFailed extends Error {
  override readonly name = 'TraceFailed';
}

async function download(options: Options, shell: Shell): Promise<void> {
  const { terminal } = shell;
  const { project, days, out, concurrency } = options;
  const url = checkUrl(options.url);
  if (!/^[^/\s]+\/[^/\s]+\/[^/\s]+$/.test(project)) {
    throw new UsageError(`--project must be such as gh/acme/app, got ${JSON.stringify(project)}`);
  }
  if (!statSync(dirname(out), { throwIfNoEntry: false })?.isDirectory()) {
    throw new UsageError(`--out must be in a folder that there is, got ${JSON.stringify(out)}`);
  }
  if (statSync(out, { throwIfNoEntry: false })?.isDirectory()) {
    throw new UsageError(`--out must be a file, got the folder ${JSON.stringify(out)}`);
  }
  const kept = new KeptAnswers(`${out}.partial`, { url, project, days }, new Date());
  const token = await readToken(shell);
  if (kept.size > 0) {
    terminal.note(
      `Goes on with the ${kept.size} answers in ${kept.file}, of ${days} days until ${kept.until}. Delete it to begin anew.`,
    );
  }

  const { jobs, requests } = await untilEnded(async (ended) => {
    const over = new AbortController();
    const signal = AbortSignal.any([ended, over.signal]);
    const api = new CircleCiApi({ url, token, signal, told: (what) => terminal.note(what) });
    try {
      const { branch, workflow, resourceClass: resourceClasses } = options;
      const wanted = {
        project,
        ...(branch !== undefined && { branch }),
        ...(workflow !== undefined && { workflow }),
        ...(resourceClasses !== undefined && { resourceClasses }),
      };
      const watch = (total: number, unit: string) => terminal.progress(unit, { total });
      return {
        jobs: await downloadJobs(api, kept, wanted, { concurrency, signal, watch }),
        requests: api.requests,
      };
    } catch (error) {
      throw explained(error, options, kept, ended);
    } finally {
      // What is under way may not outlive what has failed.
      over.abort();
    }
  });
  refuseNone(jobs, options, kept);
  writeWhole(out, jobs.jobs.map((job) => `${JSON.stringify(job)}\n`).join(''));
  kept.remove();
  report(jobs, options, kept, requests, terminal);
}

function checkUrl(given: string): string {
  const url = URL.canParse(given) ? new URL(given) : undefined;
  const isLoopback = url !== undefined && ['127.0.0.1', '[::1]', 'localhost'].includes(url.hostname);
  const isSafe = url?.protocol === 'https:' || (url?.protocol === 'http:' && isLoopback);
  if (url === undefined || !isSafe || !/\/api\/v2\/?$/.test(url.pathname)) {
    throw new UsageError(`--url must be such as ${CLOUD}, got ${JSON.stringify(given)}`);
  }
  return url.origin + url.pathname.replace(/\/$/, '');
}

async function readToken({ env, stdin }: Shell): Promise<string> {
  const variable = TOKEN_VARIABLES.find((name) => (env[name] ?? '').trim() !== '');
  if (variable === undefined && !stdin.isTTY) {
    throw new UsageError(
      `There is no token: set ${TOKEN_VARIABLES[0]} to a personal API token of CircleCI, or run this in a terminal, where it asks for one.`,
    );
  }
  const token = variable === undefined ? await ask() : (env[variable] ?? '').trim();
  // Others cannot be sent, and the complaint of who tries to would show the token.
  if (!/^[\x21-\x7e]+$/.test(token)) {
    throw new UsageError(`The token in ${variable ?? 'the answer'} holds characters that no token has.`);
  }
  return token;
}

const ask = () =>
  password(
    {
      message: 'Personal API token',
      mask: true,
      validate: (value) => value.trim() !== '' || 'It cannot be empty.',
    },
    { output: process.stderr },
  ).then((value) => value.trim());

/** The error as whoever typed the command needs it: what to do, and what is kept. */
function explained(error: unknown, { project }: Options, kept: KeptAnswers, ended: AbortSignal): unknown {
  const later =
    kept.size === 0
      ? ''
      : ` ${kept.size} answers are kept in ${kept.file}: the same command goes on from there.`;
  if (ended.aborted) return new TraceFailed(`Interrupted.${later || ' Nothing was downloaded.'}`);
  if (error instanceof NotFound) {
    return new UsageError(
      `${error.message}. --project must be a project that the token's owner may see, as its settings in CircleCI show it (gh/acme/app, bb/acme/app, circleci/ID/ID), got ${JSON.stringify(project)}.${later}`,
    );
  }
  if (error instanceof TokenRefused) {
    return new UsageError(
      `${error.message}. The token must be a personal API token (project tokens do not do) of someone who may see ${project}.${later}`,
    );
  }
  return error instanceof CircleCiFailed ? new TraceFailed(error.message + later) : error;
}

/** Ends where no job is left: a trace without jobs cannot be replayed. */
function refuseNone(found: Jobs, { project, resourceClass, days }: Options, kept: KeptAnswers): void {
  if (found.jobs.length > 0) return;
  const ran = Object.keys(found.resourceClasses);
  if (resourceClass !== undefined && ran.length > 0) {
    throw new UsageError(
      `--resource-class must be some of ${ran.join(', ')}, on which jobs of ${project} ran, got ${resourceClass.join(', ')}. The answers are kept in ${kept.file}: another class takes no download.`,
    );
  }
  kept.remove();
  throw new TraceFailed(
    [
      `No job of ${project} ran in the ${days} days until ${kept.until}, as far as that was asked for: ${found.pipelines} pipelines. Nothing was written.`,
      ...notes(found),
    ].join('\n'),
  );
}

/** Writes all of a file, or leaves it as it was. */
function writeWhole(file: string, text: string): void {
  const unfinished = `${file}.tmp`;
  try {
    writeFileSync(unfinished, text);
    renameSync(unfinished, file);
  } catch (error) {
    rmSync(unfinished, { force: true });
    throw error;
  }
}

const tasks = (jobs: Job[]) => jobs.reduce((sum, { parallelism }) => sum + (parallelism ?? 1), 0);

function report(
  found: Jobs,
  { out, project, json, resourceClass }: Options,
  kept: KeptAnswers,
  requests: number,
  terminal: Terminal,
): void {
  const { jobs, leftOut } = found;
  const names = resourceClass ?? Object.keys(found.resourceClasses);
  const resourceClasses = Object.fromEntries(names.map((name) => [name, found.resourceClasses[name] ?? 0]));
  const { since, until } = kept;
  if (json) {
    const about = { trace: out, project, since, until, jobs: jobs.length, tasks: tasks(jobs) };
    terminal.print(JSON.stringify({ ...about, resourceClasses, leftOut, requests }));
    return;
  }
  terminal.print(
    `${terminal.colours.bold(out)}: ${jobs.length} jobs of ${project}, ${tasks(jobs)} tasks, since ${since}`,
  );
  for (const [name, count] of Object.entries(resourceClasses)) terminal.print(`  ${name}  ${count}`);
  terminal.print(`Replay them: npm run simulate -- --trace ${out}`);
  for (const each of notes(found)) terminal.note(each);
  if (Object.keys(resourceClasses).length > 1) {
    terminal.note('All of these would be replayed as if on one class; --resource-class chooses.');
  }
}

const notes = ({ leftOut }: Jobs) =>
  leftOut.map(({ reason, count, first }) => `Left out: ${count} ${reason} (the first: ${first}).`);

export const trace: CliCommand = {
  define,
  wrongInput: [KeptAnswersUnusable],
  failure: [TraceFailed],
  promptClosed: 'Nothing was downloaded.',
  otherwise: nameAndMessage,
};
