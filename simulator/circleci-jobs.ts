import pMap from 'p-map';
import * as z from 'zod';
import { type CircleCiApi, NotFound } from './circleci-api.ts';
import type { KeptAnswers } from './kept-answers.ts';
import { NEVER_ENDED, NEVER_STARTED } from './traces/forms.ts';
import { LeftOutCounts, type Trace } from './traces/trace.ts';

/** Which jobs of a project to download. Default: all. */
export interface Wanted {
  /** As in CircleCI's project settings, such as `gh/acme/app`. */
  project: string;
  branch?: string;
  workflow?: string;
  resourceClasses?: string[];
}

/** The keys of CircleCI's answers that are kept. Nothing else is, so no commit message and no name of a person. */
const Pipeline = z.object({ id: z.string(), created_at: z.iso.datetime({ offset: true }) });
const Workflow = z.object({ id: z.string(), name: z.string() });
const ListedJob = z.object({
  name: z.string(),
  type: z.string().nullish(),
  job_number: z.number().nullish(),
  started_at: z.string().nullish(),
  stopped_at: z.string().nullish(),
});
const ProjectJob = z.object({
  number: z.number(),
  name: z.string(),
  status: z.string().nullish(),
  latest_workflow: z.object({ name: z.string().nullish() }).nullish(),
  queued_at: z.string().nullish(),
  started_at: z.string().nullish(),
  stopped_at: z.string().nullish(),
  parallelism: z.number().nullish(),
  executor: z.object({ resource_class: z.string().nullish() }).nullish(),
});
export type ProjectJob = z.infer<typeof ProjectJob>;

/** The jobs that a project ran. */
export interface DownloadedJobs {
  /** In the order in which they were queued. */
  jobs: ProjectJob[];
  /** The number of jobs on each resource class of the project. */
  resourceClasses: Record<string, number>;
  leftOut: Trace['leftOut'];
  pipelines: number;
}

/** Reports the progress of a part of the work, whose total is known at its start. */
export type StartProgress = (total: number, unit: string) => { to: (done: number) => void; stop: () => void };

/**
 * Downloads the jobs of the pipelines that were created in the period of `kept`.
 *
 * Only a job's details have the time at which it was queued and its number of tasks. So each job takes a request, and
 * so do each workflow and each pipeline; a page of pipelines has about 20. `queued_at` is the time at which CircleCI
 * put the job in a queue, after the jobs that it requires and after its approval.
 *
 * @throws CircleCiFailed, TokenRefused, NotFound (the project), KeptAnswersUnusable
 */
export async function downloadJobs(
  api: CircleCiApi,
  kept: KeptAnswers,
  wanted: Wanted,
  { concurrency, signal, watch }: { concurrency: number; signal: AbortSignal; watch: StartProgress },
): Promise<DownloadedJobs> {
  const leftOut = new LeftOutCounts();
  const project = `/project/${wanted.project.split('/').map(encodeURIComponent).join('/')}`;

  /** Processes all items, a few at a time. */
  async function each<Item, Result>(items: Item[], unit: string, work: (item: Item) => Promise<Result>) {
    const watched = watch(items.length, unit);
    let done = 0;
    const counted = async (item: Item) => {
      const result = await work(item);
      done += 1;
      watched.to(done);
      return result;
    };
    return pMap(items, counted, { concurrency, signal }).finally(watched.stop);
  }

  /** The whole list, or `null` if it no longer exists. */
  const listOf = <T>(path: string, item: z.ZodType<T>) =>
    kept.answer(path, z.array(item).nullable(), () => orNull(() => api.all(path, item)));

  const pipelines = await listPipelines(api, `${project}/pipeline`, kept, wanted.branch);

  const workflows = await each(pipelines, 'pipelines', async (id) => ({
    pipeline: id,
    found: await listOf(`/pipeline/${id}/workflow`, Workflow),
  }));
  const wantedWorkflows = workflows.flatMap(({ pipeline, found }) => {
    if (found === null) leftOut.add('pipelines that CircleCI does not find any more', pipeline);
    return (found ?? []).filter(({ id, name }) => {
      const wants = wanted.workflow === undefined || wanted.workflow === name;
      if (!wants) leftOut.add(`workflows other than ${wanted.workflow}`, `${name} ${id}`);
      return wants;
    });
  });

  const listed = await each(wantedWorkflows, 'workflows', async ({ id, name }) => ({
    workflow: `${name} ${id}`,
    found: await listOf(`/workflow/${id}/job`, ListedJob),
  }));
  const numbers = new Set<number>();
  for (const { workflow, found } of listed) {
    if (found === null) leftOut.add('workflows that CircleCI does not find any more', workflow);
    for (const job of found ?? []) {
      const reason = whyNotAsked(job, numbers);
      if (reason !== undefined) leftOut.add(reason, `${job.name} of workflow ${workflow}`);
      else if (job.job_number) numbers.add(job.job_number);
    }
  }

  const details = await each([...numbers], 'jobs', async (number) => {
    const path = `${project}/job/${number}`;
    const found = await kept.answer(path, ProjectJob.nullable(), () =>
      orNull(() => api.ask(path, ProjectJob)),
    );
    return { number, found };
  });
  const resourceClasses: Record<string, number> = {};
  const jobs = details.flatMap(({ number, found: job }) => {
    const place = `job ${number}`;
    if (job === null) return leftOut.add('that CircleCI does not find any more', place);
    if (!job.queued_at) return leftOut.add('without a time at which they were queued', place);
    if (!job.started_at) return leftOut.add(NEVER_STARTED, place);
    if (!job.stopped_at) return leftOut.add(NEVER_ENDED, place);
    const resourceClass = job.executor?.resource_class ?? 'unknown';
    resourceClasses[resourceClass] = (resourceClasses[resourceClass] ?? 0) + 1;
    const { resourceClasses: wants } = wanted;
    if (wants !== undefined && !wants.includes(resourceClass)) {
      return leftOut.add('of other resource classes', `${place}, ${resourceClass}`);
    }
    return [job];
  });
  return {
    jobs: jobs.sort((a, b) => at(a) - at(b) || a.number - b.number),
    resourceClasses,
    leftOut: leftOut.reasons(),
    pipelines: pipelines.length,
  };
}

const at = ({ queued_at }: ProjectJob) => Date.parse(queued_at ?? '');

/** The pipelines of the period. CircleCI lists the newest first. */
async function listPipelines(
  api: CircleCiApi,
  path: string,
  { since, until }: { since: string; until: string },
  branch: string | undefined,
): Promise<string[]> {
  const from = Date.parse(since);
  const to = Date.parse(until);
  // New pipelines can push others to the next page while pages are read.
  const found = new Set<string>();
  for await (const page of api.pages(path, Pipeline, branch === undefined ? {} : { branch })) {
    const created = page.map(({ id, created_at }) => ({ id, at: Date.parse(created_at) }));
    for (const { id, at } of created) if (at >= from && at <= to) found.add(id);
    if (created.length > 0 && created.every(({ at }) => at < from)) break;
  }
  return [...found];
}

/** Why a job in a workflow's list did not run on a runner; `undefined` if it may have. */
function whyNotAsked(job: z.infer<typeof ListedJob>, numbers: Set<number>): string | undefined {
  if (job.type === 'approval') return 'that are approvals';
  if (!job.job_number || !job.started_at) return NEVER_STARTED;
  if (!job.stopped_at) return NEVER_ENDED;
  if (numbers.has(job.job_number)) return 'that are listed again, by a workflow that was rerun from failed';
  return undefined;
}

/** Treats what was deleted during the download as missing. */
async function orNull<T>(ask: () => Promise<T>): Promise<T | null> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof NotFound) return null;
    throw error;
  }
}
