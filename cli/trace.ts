import password from '@inquirer/password';
import { Command } from 'commander';
import { sentence } from '../functions/lib/sentence.ts';
import { CircleCiApi, CircleCiFailed, NotFound, TokenRefused } from '../simulator/circleci-api.ts';
import { type DownloadedJobs, downloadJobs, type ProjectJob } from '../simulator/circleci-jobs.ts';
import { KeptAnswers, KeptAnswersUnusable } from '../simulator/kept-answers.ts';
import { writePrivate } from '../simulator/private-files.ts';
import { numberOption, UsageError } from './command-line/arguments.ts';
import { checkedToken, TOKEN_VARIABLES, tokenIn } from './command-line/circleci-token.ts';
import { keepFromGit } from './command-line/git-exclude.ts';
import { wrappedHelp } from './command-line/help.ts';
import { checkOutFile } from './command-line/out-file.ts';
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

const CLOUD = 'https://circleci.com/api/v2';

const define = (shell: Shell) =>
  new Command('npm run trace --')
    .description(
      'Downloads the jobs that a project ran from the CircleCI API, as a trace for npm run simulate -- --trace FILE. The trace has only names, times, parallelism and resource classes of the jobs.',
    )
    .requiredOption(
      '--project <slug>',
      'the project as its settings in CircleCI show it, such as gh/acme/app',
    )
    .option('--days <n>', 'pipelines created in the last days', numberOption(1, 366), 30)
    .option('--branch <name>', 'only pipelines of this branch')
    .option('--workflow <name>', 'only workflows of this name; this saves requests')
    .option(
      '--resource-class <class...>',
      'only jobs of these resource classes, such as acme/linux (default: all, including classes of CircleCI)',
    )
    .option(
      '--out <file>',
      'the file to write; an existing file is replaced when the download is complete',
      'trace.jsonl',
    )
    .option('--json', 'print only one JSON object')
    .option('--concurrency <n>', 'number of concurrent requests', numberOption(1, 32), 4)
    .option('--url <url>', 'the API; for CircleCI Server, https://HOST/api/v2', CLOUD)
    .addHelpText(
      'after',
      wrappedHelp(() => [
        `The command reads the personal API token from the first of these variables that is set: ${TOKEN_VARIABLES.join(', ')}. If none is set, it asks for the token and does not show it.`,
        'It makes about one request for each job, each workflow and each pipeline, and one for each 20 pipelines: about 1,700 for 1,000 jobs in 350 workflows. If CircleCI limits the rate, it waits for as long as CircleCI demands.',
        'If the download is interrupted (Ctrl-C, a crash, a limit), run the same command again: it continues where it stopped. Until then it keeps the answers in FILE.partial, next to the trace.',
        'If several projects use the same resource class, download a trace for each, and join them with cat.',
      ]),
    )
    .allowExcessArguments(false)
    .action((options: Options) => download(options, shell));

/** The download failed although the command line is right. */
class TraceFailed extends Error {
  override readonly name = 'TraceFailed';
}

async function download(options: Options, shell: Shell): Promise<void> {
  const { terminal } = shell;
  const { project, days, out, concurrency } = options;
  const url = checkUrl(options.url);
  if (!/^[^/\s]+\/[^/\s]+\/[^/\s]+$/.test(project)) {
    throw new UsageError(`--project must have the form gh/acme/app, got ${JSON.stringify(project)}`);
  }
  checkOutFile('--out', out, 'trace.jsonl');
  const kept = new KeptAnswers(`${out}.partial`, { url, project, days }, new Date());
  const token = await readToken(shell);
  if (kept.size > 0) {
    terminal.note(
      `Continues with ${kept.size} answers from ${kept.file}, for the ${days} days until ${kept.until}. To start again, delete that file.`,
    );
  }

  keepFromGit(out, terminal);
  const { jobs, requests } = await untilEnded(async (ended) => {
    const over = new AbortController();
    const signal = AbortSignal.any([ended, over.signal]);
    const api = new CircleCiApi({ url, token, signal, note: (what) => terminal.note(what) });
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
      // Requests that are still running must not outlive the failed download.
      over.abort();
    }
  });
  refuseNone(jobs, options, kept);
  writePrivate(out, jobs.jobs.map((job) => `${JSON.stringify(job)}\n`).join(''));
  kept.remove();
  report(jobs, options, kept, requests, terminal);
}

function checkUrl(given: string): string {
  const url = URL.canParse(given) ? new URL(given) : undefined;
  const isLoopback = url !== undefined && ['127.0.0.1', '[::1]', 'localhost'].includes(url.hostname);
  const isSafe = url?.protocol === 'https:' || (url?.protocol === 'http:' && isLoopback);
  if (url === undefined || !isSafe || !/\/api\/v2\/?$/.test(url.pathname)) {
    throw new UsageError(`--url must have the form ${CLOUD}, got ${JSON.stringify(given)}`);
  }
  return url.origin + url.pathname.replace(/\/$/, '');
}

async function readToken({ env, stdin }: Shell): Promise<string> {
  const found = tokenIn(env);
  if (found !== undefined) return found;
  if (!stdin.isTTY) {
    throw new UsageError(
      `There is no token. Set ${TOKEN_VARIABLES[0]} to a personal API token of CircleCI, or run the command in a terminal, where it asks for the token.`,
    );
  }
  return checkedToken(await ask(), 'the answer');
}

const ask = () =>
  password(
    {
      message: 'Personal API token',
      mask: true,
      validate: (value) => value.trim() !== '' || 'Enter the token.',
    },
    { output: process.stderr },
  ).then((value) => value.trim());

/** The error, with what to do and what is kept. */
function explained(error: unknown, { project }: Options, kept: KeptAnswers, ended: AbortSignal): unknown {
  const later =
    kept.size === 0
      ? ''
      : ` ${kept.size} answers are kept in ${kept.file}; the same command continues from there.`;
  if (ended.aborted) return new TraceFailed(`Interrupted.${later || ' Nothing was downloaded.'}`);
  if (error instanceof NotFound) {
    return new UsageError(
      `${sentence(error.message)} --project must be a project that the owner of the token may see, in the form that its settings in CircleCI show (gh/acme/app, bb/acme/app, circleci/ID/ID), got ${JSON.stringify(project)}.${later}`,
    );
  }
  if (error instanceof TokenRefused) {
    return new UsageError(
      `${sentence(error.message)} The token must be a personal API token, not a project token, of a user who may see ${project}.${later}`,
    );
  }
  return error instanceof CircleCiFailed ? new TraceFailed(error.message + later) : error;
}

/** Refuses to write a trace without jobs, because it cannot be replayed. */
function refuseNone(
  found: DownloadedJobs,
  { project, resourceClass, days }: Options,
  kept: KeptAnswers,
): void {
  if (found.jobs.length > 0) return;
  const ran = Object.keys(found.resourceClasses);
  if (resourceClass !== undefined && ran.length > 0) {
    throw new UsageError(
      `--resource-class must be one that jobs of ${project} used (${ran.join(', ')}), got ${resourceClass.join(', ')}. The answers are kept in ${kept.file}, so another class needs no download.`,
    );
  }
  kept.remove();
  throw new TraceFailed(
    [
      `No job of ${project} matches, in ${found.pipelines} pipelines of the ${days} days until ${kept.until}. Nothing was written. Try more --days, or leave out --branch, --workflow or --resource-class.`,
      ...notes(found),
    ].join('\n'),
  );
}

const tasks = (jobs: ProjectJob[]) => jobs.reduce((sum, { parallelism }) => sum + (parallelism ?? 1), 0);

function report(
  found: DownloadedJobs,
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
  terminal.printProse(
    `${terminal.colours.bold(out)}: ${jobs.length} jobs of ${project}, ${tasks(jobs)} tasks, since ${since}`,
  );
  for (const [name, count] of Object.entries(resourceClasses)) terminal.print(`  ${name}  ${count}`);
  terminal.printProse(`Replay them: npm run simulate -- --trace ${out}`);
  for (const each of notes(found)) terminal.note(each);
  if (Object.keys(resourceClasses).length > 1) {
    terminal.note('A replay treats all these classes as one. --resource-class selects classes.');
  }
}

const notes = ({ leftOut }: DownloadedJobs) =>
  leftOut.map(({ reason, count, first }) => `Left out: ${count} ${reason} (the first: ${first}).`);

export const trace: CliCommand = {
  define,
  usageErrors: [KeptAnswersUnusable],
  expectedErrors: [TraceFailed],
  promptClosed: 'Nothing was downloaded.',
  describeError: nameAndMessage,
};
