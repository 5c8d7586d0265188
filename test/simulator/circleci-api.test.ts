import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import * as z from 'zod';
import { CircleCiApi } from '../../simulator/circleci-api.ts';
import { type Fault, ProjectApi } from '../support/circleci-api.ts';
import { failure } from '../support/said.ts';
import { address } from '../support/serve.ts';

const JOB = '/project/gh/acme/app/job/1';
const Job = z.object({ number: z.number() });

let stub: ProjectApi;
/** The planned waits between attempts, in seconds. The tests do not wait. */
let waits: number[];
let notes: string[];
let end: AbortController;
let options: ConstructorParameters<typeof CircleCiApi>[0];
let api: CircleCiApi;

beforeEach(async () => {
  const jobs = [1, 2, 3].map((number) => ({ number }));
  const workflows = [{ id: 'w', name: 'build', jobs }];
  stub = new ProjectApi([{ id: 'p', created: '2026-11-02T08:00:00Z', workflows }]);
  const server = await stub.listen();
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  waits = [];
  notes = [];
  end = new AbortController();
  options = {
    url: `${address(server)}/api/v2`,
    token: stub.token,
    signal: end.signal,
    deadlineSeconds: 0.2,
    note: (what) => notes.push(what),
    wait: async (seconds) => waits.push(seconds),
  };
  api = new CircleCiApi(options);
});

describe('the client of the CircleCI API', () => {
  it('reads all pages of a list', async () => {
    const jobs = await api.all('/workflow/w/job', z.object({ job_number: z.number() }));
    expect(jobs).toEqual([{ job_number: 1 }, { job_number: 2 }, { job_number: 3 }]);
    expect(api.requests).toBe(2);
  });

  it('retries with doubled waits, and gives up after the last attempt', async () => {
    stub.fault = () => ({ status: 503, body: 'down' });
    const error = await failure(api.ask(JOB, Job));
    expect(error.name).toBe('CircleCiFailed');
    expect(error.message).toMatch(/job\/1 answered 503: down, after 6 attempts\.$/);
    expect(waits).toEqual([1, 2, 4, 8, 16]);
    // Shorter waits are not worth a word.
    expect(notes.map((what) => what.slice(what.indexOf('Waiting')))).toEqual([
      'Waiting for 8 s.',
      'Waiting for 16 s.',
    ]);
  });

  it.each<{ case: string; fault: Fault; waited: number }>([
    { case: 'none in time', fault: 'hang', waited: 1 },
    { case: 'one that is cut off', fault: 'cut off', waited: 1 },
    { case: 'a connection that breaks', fault: 'reset', waited: 1 },
    { case: 'a 429', fault: { status: 429 }, waited: 10 },
    { case: 'a 429 with a time', fault: { status: 429, headers: { 'retry-after': '7' } }, waited: 7 },
    { case: 'a 503 with a time', fault: { status: 503, headers: { 'retry-after': '3' } }, waited: 3 },
  ])('again after an answer that passes: $case', async ({ fault, waited }) => {
    stub.fault = (_, times) => (times === 1 ? fault : undefined);
    expect(await api.ask(JOB, Job)).toEqual({ number: 1 });
    expect(waits).toEqual([waited]);
  });

  it('waits until the date in a 429', async () => {
    const date = new Date(Date.now() + 90_000).toUTCString();
    stub.fault = (_, times) => (times === 1 ? { status: 429, headers: { 'retry-after': date } } : undefined);
    await api.ask(JOB, Job);
    expect(waits[0]).toBeGreaterThanOrEqual(88);
    expect(waits[0]).toBeLessThanOrEqual(90);
  });

  it.each([
    { status: 400, name: 'CircleCiFailed' },
    { status: 401, name: 'TokenRefused' },
    { status: 403, name: 'TokenRefused' },
    { status: 404, name: 'NotFound' },
    { status: 302, name: 'CircleCiFailed' },
  ])('once if it answers $status', async ({ status, name }) => {
    stub.fault = () => ({
      status,
      headers: { location: 'https://elsewhere.invalid/' },
      body: `not ${stub.token}`,
    });
    const error = await failure(api.ask(JOB, Job));
    expect(error.name).toBe(name);
    expect(error.message).toContain(`answered ${status}: not ***`);
    expect(api.requests).toBe(1);
  });

  it.each([
    { form: 'as a URL has it', encoded: (token: string) => encodeURIComponent(`${token}/`) },
    { form: 'in Base64', encoded: (token: string) => Buffer.from(`u:${token}`).toString('base64') },
  ])('shows no token that an answer repeats $form', async ({ encoded }) => {
    const token = `${stub.token}+/=`;
    stub.fault = () => ({ status: 400, body: encoded(token) });
    const error = await failure(new CircleCiApi({ ...options, token }).ask(JOB, Job));
    expect(error.message).toContain('***');
    expect(error.message).not.toContain(encoded(token));
  });

  it('sends no other request while a 429 delays all', async () => {
    let release = () => {};
    const limited = new CircleCiApi({
      ...options,
      wait: () => new Promise<void>((resolve) => (release = resolve)),
    });
    stub.fault = (path, times) => (path.endsWith('/job/1') && times === 1 ? { status: 429 } : undefined);
    const first = limited.ask(JOB, Job);
    await expect.poll(() => notes, { timeout: 60_000 }).toHaveLength(1);
    const second = limited.ask('/project/gh/acme/app/job/2', Job);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(stub.asked).toHaveLength(1);
    release();
    expect(await Promise.all([first, second])).toEqual([{ number: 1 }, { number: 2 }]);
  });

  it('reports a wait once for several requests', async () => {
    stub.fault = (_, times) => (times === 1 ? { status: 429, headers: { 'retry-after': '60' } } : undefined);
    await Promise.all([1, 2, 3].map((number) => api.ask(`/project/gh/acme/app/job/${number}`, Job)));
    expect(notes).toEqual(['CircleCI allows no more requests (429). Waiting for 60 s.']);
  });

  it('sends nothing after the signal has aborted', async () => {
    stub.fault = () => {
      end.abort();
      return 'hang';
    };
    expect((await failure(api.ask(JOB, Job))).name).toBe('AbortError');
    expect((await failure(api.ask(JOB, Job))).name).toBe('AbortError');
    expect(api.requests).toBe(1);
  });
});
