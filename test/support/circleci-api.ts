import { createServer, type Server } from 'node:http';

/** A job as a test tells it; the rest of what CircleCI says of it is made up. */
export interface GivenJob {
  number: number | null;
  name?: string;
  type?: string;
  status?: string;
  queued?: string;
  started?: string | null;
  stopped?: string | null;
  parallelism?: number;
  resourceClass?: string;
}

export interface GivenPipeline {
  id: string;
  created: string;
  branch?: string;
  workflows: { id: string; name: string; jobs: GivenJob[] }[];
}

/** Instead of the true answer: another one, one that is cut off, a connection that breaks, or nothing. */
export type Fault =
  | { status: number; headers?: Record<string, string>; body?: string }
  | 'cut off'
  | 'reset'
  | 'hang';

/** Says what no trace may hold. */
export const PRIVATE = 'a private word';

/**
 * CircleCI's API, version 2, as far as it tells of jobs: the real paths, header, pages, status codes and JSON
 * (https://circleci.com/docs/api/v2/), with faults on demand.
 */
export class ProjectApi {
  readonly token = 'CCIPAT_test_0123456789';
  readonly pipelines: GivenPipeline[];
  /** Path and query of each request so far. */
  readonly asked: string[] = [];
  /** Asked before each answer; `undefined` means no fault. */
  fault: (path: string, times: number) => Fault | undefined = () => undefined;

  constructor(
    pipelines: GivenPipeline[],
    readonly slug = 'gh/acme/app',
    readonly pageSize = 2,
  ) {
    // Newest first, as CircleCI lists them.
    this.pipelines = pipelines.toSorted((a, b) => Date.parse(b.created) - Date.parse(a.created));
  }

  listen(): Promise<Server> {
    const server = createServer((request, response) => {
      const target = request.url ?? '/';
      const url = new URL(target, 'http://circleci.invalid');
      const path = decodeURIComponent(url.pathname);
      this.asked.push(target);
      const times = this.asked.filter((each) => each === target).length;
      const fault = this.fault(path, times);
      const isKnown = request.headers['circle-token'] === this.token;
      const { status, body } = isKnown ? this.#answer(path, url.searchParams) : UNAUTHORIZED;
      const text = JSON.stringify(body);
      const json = { 'content-type': 'application/json;charset=utf-8' };
      if (fault === 'hang') return;
      if (fault === 'reset') request.socket.destroy();
      else if (fault === 'cut off') response.writeHead(200, json).end(text.slice(0, -5));
      else if (fault !== undefined) response.writeHead(fault.status, fault.headers).end(fault.body ?? '{}');
      else response.writeHead(status, json).end(text);
    });
    return new Promise((resolve) => {
      server.listen(0, '127.0.0.1', () => resolve(server));
    });
  }

  #answer(path: string, query: URLSearchParams): { status: number; body: unknown } {
    const project = `/api/v2/project/${this.slug}`;
    if (path === `${project}/pipeline`) {
      const branch = query.get('branch');
      const of = this.pipelines.filter((each) => branch === null || (each.branch ?? 'main') === branch);
      return this.#page(of.map(pipelineAnswer), query.get('page-token'));
    }
    const workflows = this.pipelines.flatMap((pipeline) =>
      pipeline.workflows.map((workflow) => ({ ...workflow, pipeline })),
    );
    const [, pipelineId] = /^\/api\/v2\/pipeline\/([^/]+)\/workflow$/.exec(path) ?? [];
    const pipeline = this.pipelines.find(({ id }) => id === pipelineId);
    if (pipeline !== undefined) {
      const of = pipeline.workflows.map(({ id, name }) => ({
        pipeline_id: pipeline.id,
        id,
        name,
        project_slug: this.slug,
        status: 'success',
        started_by: PRIVATE,
        pipeline_number: 1,
        created_at: pipeline.created,
        stopped_at: pipeline.created,
      }));
      return this.#page(of, query.get('page-token'));
    }
    const [, workflowId] = /^\/api\/v2\/workflow\/([^/]+)\/job$/.exec(path) ?? [];
    const workflow = workflows.find(({ id }) => id === workflowId);
    if (workflow !== undefined) return this.#page(workflow.jobs.map(listedAnswer), query.get('page-token'));
    const number = Number(path.startsWith(`${project}/job/`) ? path.slice(project.length + 5) : Number.NaN);
    for (const { id, name, jobs } of workflows) {
      const job = jobs.find((each) => each.number === number);
      if (job !== undefined) return { status: 200, body: jobAnswer(job, { id, name }, this.slug) };
    }
    return {
      status: 404,
      body: { message: path.startsWith(project) ? 'Job not found' : 'Project not found' },
    };
  }

  #page(items: object[], token: string | null): { status: number; body: unknown } {
    const start = token === null ? 0 : Number(Buffer.from(token, 'base64url').toString());
    const end = start + this.pageSize;
    const next = end < items.length ? Buffer.from(`${end}`).toString('base64url') : null;
    return { status: 200, body: { items: items.slice(start, end), next_page_token: next } };
  }
}

const UNAUTHORIZED = { status: 401, body: { message: 'You must log in first.' } };

const pipelineAnswer = ({ id, created, branch = 'main' }: GivenPipeline) => ({
  id,
  number: 1,
  project_slug: 'gh/acme/app',
  state: 'created',
  created_at: created,
  updated_at: created,
  errors: [],
  trigger: { type: 'webhook', received_at: created, actor: { login: PRIVATE, avatar_url: null } },
  vcs: { provider_name: 'GitHub', revision: 'abc', branch, commit: { subject: PRIVATE, body: '' } },
});

const startOf = ({ started }: GivenJob) => (started === undefined ? '2026-11-02T08:01:00Z' : started);
const stopOf = ({ stopped }: GivenJob) => (stopped === undefined ? '2026-11-02T08:03:00Z' : stopped);

const listedAnswer = (job: GivenJob) => ({
  dependencies: [],
  id: `id-of-${job.number}`,
  name: job.name ?? 'test',
  type: job.type ?? 'build',
  project_slug: 'gh/acme/app',
  status: job.status ?? 'success',
  job_number: job.number,
  started_at: startOf(job),
  ...(stopOf(job) !== null && { stopped_at: stopOf(job) }),
});

const jobAnswer = (job: GivenJob, latest_workflow: { id: string; name: string }, slug: string) => ({
  web_url: `https://circleci.com/${slug}/${job.number}`,
  project: { id: 'p', slug, name: 'app', external_url: 'https://github.com/acme/app' },
  parallel_runs: Array.from({ length: job.parallelism ?? 1 }, (_, index) => ({ index, status: 'success' })),
  started_at: startOf(job),
  latest_workflow,
  name: job.name ?? 'test',
  executor: { type: 'machine', resource_class: job.resourceClass ?? 'acme/linux' },
  parallelism: job.parallelism ?? 1,
  status: job.status ?? 'success',
  number: job.number,
  pipeline: { id: 'pipeline' },
  duration: 120_000,
  created_at: job.queued ?? '2026-11-02T08:00:00.000Z',
  messages: [{ type: 'error', message: PRIVATE, reason: 'reason' }],
  contexts: [{ name: PRIVATE }],
  organization: { name: 'acme' },
  queued_at: job.queued ?? '2026-11-02T08:00:00.000Z',
  stopped_at: stopOf(job),
});
