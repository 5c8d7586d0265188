import { describe, expect, it } from 'vitest';
import { circleciAccess, countTasks } from '../../functions/lib/circleci.ts';
import type { DeployedSettings } from '../../functions/lib/contracts.ts';
import { CircleCi, type CircleCiFault } from '../../sandbox/circleci.ts';
import { embeddedAws, newSecretName } from '../support/aws.ts';
import {
  deployedSettings,
  EXECUTION_START,
  firstPoll,
  type PollJson,
  parsedCountInput,
  secondsIn,
} from '../support/inputs.ts';
import { failure, said } from '../support/said.ts';
import { address, serve } from '../support/serve.ts';

const TOKEN = 'CCIPAT_wire_0123456789abcdef';
const NEW_TOKEN = 'CCIPAT_wire_fedcba9876543210';

const { aws, secrets } = await embeddedAws();

const access = { ...circleciAccess(), secrets, now: () => EXECUTION_START };

/** A deadline passes in a fraction of its time. */
const hasty: typeof access = {
  ...access,
  timeout: (milliseconds) => AbortSignal.timeout(milliseconds / 50),
};

/** A CircleCI that is served over HTTP, with the secret that lets its fleet in. */
async function fleet(changes: Partial<DeployedSettings> = {}, pollChanges: Partial<PollJson> = {}) {
  const circleci = new CircleCi();
  circleci.tokens.add(TOKEN);
  const settings = deployedSettings({
    circleciUrl: await serve(circleci),
    scalerSecretName: newSecretName(),
    ...changes,
  });
  const { poll } = parsedCountInput({ poll: firstPoll(pollChanges) });
  circleci.classes.set(settings.resourceClass, { unclaimed: 3, running: 2 });
  const setToken = (token: string) =>
    aws.secrets.set(
      settings.scalerSecretName,
      JSON.stringify({
        resource_class: settings.resourceClass,
        circleci_url: settings.circleciUrl,
        circle_token: token,
      }),
    );
  setToken(TOKEN);
  return { circleci, settings, poll, setToken };
}

async function failureOf(
  fault: CircleCiFault,
  pollChanges: Partial<PollJson> = {},
  through = access,
): Promise<Error> {
  const { circleci, settings, poll } = await fleet({}, pollChanges);
  circleci.fault = () => fault;
  return failure(countTasks(through, settings, poll, 'unclaimed'));
}

describe('countTasks', () => {
  it.each([
    { question: 'unclaimed', counts: { unclaimed: 3, running: 2 }, count: 3 },
    { question: 'running', counts: { unclaimed: 3, running: 2 }, count: 2 },
    { question: 'unclaimed', counts: { unclaimed: 0, running: 2 }, count: 0 },
    { question: 'running', counts: { unclaimed: 3, running: 0 }, count: 0 },
    { question: 'unclaimed', counts: { unclaimed: 1_000_000, running: 0 }, count: 1_000_000 },
  ] as const)('counts $count $question', async ({ question, counts, count }) => {
    const { circleci, settings, poll } = await fleet();
    circleci.classes.set(settings.resourceClass, counts);
    expect(await countTasks(access, settings, poll, question)).toEqual({ count });
    expect(circleci.requests).toBe(1);
  });

  it.each(['acme/c++', 'acme/linux:large', 'acme/arm-64_v2+gpu:1', 'a_b-9/x'])(
    'asks for the class %s by its whole name',
    async (resourceClass) => {
      const { circleci, settings, poll } = await fleet({ resourceClass });
      const asked: string[] = [];
      circleci.fault = (request) => {
        asked.push(request.resourceClass);
        return undefined;
      };
      expect(await countTasks(access, settings, poll, 'unclaimed')).toEqual({ count: 3 });
      expect(asked).toEqual([resourceClass]);
    },
  );

  it.each(['', '/', '//'])('does not mind that the address ends in "%s"', async (ending) => {
    const { settings, poll } = await fleet();
    expect(
      await countTasks(access, { ...settings, circleciUrl: settings.circleciUrl + ending }, poll, 'running'),
    ).toEqual({
      count: 2,
    });
  });

  it('does not ask with a token that cannot be a header: fetch would quote it in its error', async () => {
    const { circleci, settings, poll, setToken } = await fleet();
    setToken(`${TOKEN}\nmore`);
    const thrown = await failure(countTasks(access, settings, poll, 'unclaimed'));
    expect(thrown.name).toBe('SecretMalformed');
    expect(said(thrown)).not.toContain(TOKEN);
    expect(circleci.requests).toBe(0);
  });

  it('asks Secrets Manager once for many counts', async () => {
    const { settings, poll } = await fleet();
    for (const question of ['unclaimed', 'running', 'unclaimed'] as const)
      await countTasks(access, settings, poll, question);
    expect(aws.calls.get('GetSecretValue')).toBe(1);
  });
});

const html = '<!DOCTYPE html><title>Sign in to the proxy</title>';
const ok = (body: string) => ({ status: 200, body });

describe('an answer that goes on and on', () => {
  it('is CircleCiTooLong after 1 MB, and is read no further', async () => {
    let sent = 0;
    const endless = new ReadableStream({
      pull(controller) {
        sent += 1;
        controller.enqueue(new Uint8Array(100_000));
      },
    });
    const { settings, poll } = await fleet();
    const fetching = { ...access, fetch: async () => new Response(endless) };
    const thrown = await failure(countTasks(fetching, settings, poll, 'unclaimed'));
    expect(thrown.name).toBe('CircleCiTooLong');
    expect(thrown.message).toContain('more than 1000 KB');
    expect(sent).toBeLessThan(20);
  });
});

describe('an answer that is no count', () => {
  it.each<{ case: string; fault: CircleCiFault; error: string; says: string }>([
    {
      case: '401',
      fault: { status: 401, body: '{"message":"Unauthorized"}' },
      error: 'CircleCiUnauthorized',
      says: 'answered 401: {"message":"Unauthorized"}',
    },
    {
      case: '403',
      fault: { status: 403, body: '{"message":"Forbidden"}' },
      error: 'CircleCiUnauthorized',
      says: 'answered 403: {"message":"Forbidden"}',
    },
    {
      case: '404',
      fault: { status: 404, body: '{"message":"Not found"}' },
      error: 'CircleCiNotFound',
      says: 'answered 404: {"message":"Not found"}',
    },
    {
      case: '400',
      fault: { status: 400, body: '{"message":"bad class"}' },
      error: 'CircleCiRejected',
      says: 'answered 400: {"message":"bad class"}',
    },
    { case: '418', fault: { status: 418, body: '' }, error: 'CircleCiRejected', says: 'answered 418.' },
    { case: '204', fault: { status: 204, body: '' }, error: 'CircleCiRejected', says: 'answered 204.' },
    {
      case: '500',
      fault: { status: 500, body: 'oops' },
      error: 'CircleCiUnavailable',
      says: 'answered 500: oops',
    },
    {
      case: '503 with a page',
      fault: { status: 503, body: html },
      error: 'CircleCiUnavailable',
      says: 'answered 503: <!DOCTYPE html>',
    },
    {
      case: '200 with a page',
      fault: ok(html),
      error: 'CircleCiNotJson',
      says: 'something else than JSON: <!DOCTYPE html>',
    },
    { case: '200 with nothing', fault: ok(''), error: 'CircleCiNotJson', says: 'something else than JSON.' },
    {
      case: '200 with JSON cut short',
      fault: ok('{"unclaimed_task_count": 3'),
      error: 'CircleCiNotJson',
      says: '{"unclaimed_task_count": 3',
    },
    {
      case: 'a negative count',
      fault: ok('{"unclaimed_task_count":-1}'),
      error: 'CircleCiInvalidCount',
      says: '"unclaimed_task_count":-1',
    },
    {
      case: 'a fraction',
      fault: ok('{"unclaimed_task_count":1.5}'),
      error: 'CircleCiInvalidCount',
      says: '"unclaimed_task_count":1.5',
    },
    {
      case: 'a count beyond reason',
      fault: ok('{"unclaimed_task_count":1000001}'),
      error: 'CircleCiInvalidCount',
      says: '1000001',
    },
    {
      case: 'a count beyond numbers',
      fault: ok('{"unclaimed_task_count":1e400}'),
      error: 'CircleCiInvalidCount',
      says: '1e400',
    },
    { case: 'a text', fault: ok('{"unclaimed_task_count":"3"}'), error: 'CircleCiInvalidCount', says: '"3"' },
    {
      case: 'null for the count',
      fault: ok('{"unclaimed_task_count":null}'),
      error: 'CircleCiInvalidCount',
      says: 'null',
    },
    {
      case: 'another key',
      fault: ok('{"running_runner_tasks":3}'),
      error: 'CircleCiInvalidCount',
      says: 'in "unclaimed_task_count"',
    },
    { case: 'null', fault: ok('null'), error: 'CircleCiInvalidCount', says: 'null' },
    { case: 'a list', fault: ok('[3]'), error: 'CircleCiInvalidCount', says: '[3]' },
    { case: 'a bare number', fault: ok('3'), error: 'CircleCiInvalidCount', says: ': 3.' },
    {
      case: 'a connection that breaks',
      fault: 'reset',
      error: 'CircleCiUnreachable',
      says: 'cannot be reached',
    },
  ])('$case is $error', async ({ fault, error, says }) => {
    const thrown = await failureOf(fault);
    expect(thrown.name).toBe(error);
    expect(thrown.message).toContain(says);
    expect(thrown.message).toContain('/api/v3/runner/tasks?resource-class=acme%2Flinux');
    expect(thrown.message).toContain('Capacity is held');
    expect(said(thrown)).not.toContain(TOKEN);
  });

  it('none at all is CircleCiTimeout', async () => {
    const thrown = await failureOf('hang', {}, hasty);
    expect(thrown.name).toBe('CircleCiTimeout');
    expect(thrown.message).toContain('gave no whole answer in time');
  });

  it('one that stops half way is CircleCiTimeout', async () => {
    const fault = { status: 200, headers: { 'content-length': '100' }, body: '{"unclaimed_task' };
    expect(await failureOf(fault, {}, hasty)).toMatchObject({ name: 'CircleCiTimeout' });
  });

  it('nobody listening is CircleCiUnreachable', async () => {
    const server = await new CircleCi().listen();
    const circleciUrl = address(server);
    const { settings, poll } = await fleet({ circleciUrl });
    await new Promise((closed) => server.close(closed));
    const thrown = await failure(countTasks(access, settings, poll, 'unclaimed'));
    expect(thrown.name).toBe('CircleCiUnreachable');
    expect(thrown.message).toContain('ECONNREFUSED');
  });

  it("is asked for once: retries are the workflow's", async () => {
    const { circleci, settings, poll } = await fleet();
    circleci.fault = () => ({ status: 500, body: '' });
    await failure(countTasks(access, settings, poll, 'unclaimed'));
    expect(circleci.requests).toBe(1);
  });

  it('is quoted on one line, and not at length', async () => {
    const { message } = await failureOf({ status: 500, body: `<p>\n\n${'very '.repeat(500)}sorry</p>` });
    expect(message).not.toContain('\n');
    expect(message.length).toBeLessThan(400);
  });

  it.each([200, 400, 401, 404, 429, 500])(
    'never brings the token back, not even if status %i echoes it',
    async (status) => {
      const body = `{"headers":{"Circle-Token":"${TOKEN}"},"again":"${TOKEN}"}`;
      const thrown = await failureOf({ status, headers: { 'retry-after': '3600' }, body });
      expect(said(thrown)).not.toContain(TOKEN);
    },
  );
});

describe('a connection that was lost while the function was frozen', () => {
  it.each([1, 2])('costs one more request: the one that fails is number %i', async (lost) => {
    const { circleci, settings, poll } = await fleet();
    circleci.fault = () => (circleci.requests === lost ? 'reset' : undefined);
    expect(await countTasks(access, settings, poll, 'unclaimed')).toEqual({ count: 3 });
    expect(await countTasks(access, settings, poll, 'running')).toEqual({ count: 2 });
    expect(circleci.requests).toBe(3);
  });

  it('is not tried a third time', async () => {
    const { circleci, settings, poll } = await fleet();
    circleci.fault = () => 'reset';
    await failure(countTasks(access, settings, poll, 'unclaimed'));
    expect(circleci.requests).toBe(2);
  });

  it('leaves the second request no more than what is left of the deadline', async () => {
    const { circleci, settings, poll } = await fleet();
    circleci.fault = () => (circleci.requests === 1 ? 'reset' : 'hang');
    const thrown = await failure(countTasks(hasty, settings, poll, 'unclaimed'));
    expect(thrown.name).toBe('CircleCiTimeout');
    expect(circleci.requests).toBe(2);
  });

  it.each(['ECONNREFUSED', 'ENOTFOUND', 'CERT_HAS_EXPIRED'])('is not %s', async (code) => {
    const { settings, poll } = await fleet();
    let requests = 0;
    const broken = async () => {
      requests += 1;
      throw new TypeError('fetch failed', { cause: Object.assign(new Error(code), { code }) });
    };
    const thrown = await failure(countTasks({ ...access, fetch: broken }, settings, poll, 'unclaimed'));
    expect(thrown.name).toBe('CircleCiUnreachable');
    expect(requests).toBe(1);
  });
});

describe('a redirect', () => {
  it.each([301, 302, 303, 307, 308])(
    'with status %i is refused, and the token does not go there',
    async (status) => {
      const elsewhere = new CircleCi();
      elsewhere.tokens.add(TOKEN);
      const location = `${await serve(elsewhere)}/api/v3/runner/tasks?resource-class=acme%2Flinux`;
      const thrown = await failureOf({ status, headers: { location }, body: '' });
      expect(thrown).toMatchObject({ name: 'CircleCiRejected' });
      expect(thrown.message).toContain(`answered ${status}`);
      expect(elsewhere.requests).toBe(0);
    },
  );
});

describe('a rate limit', () => {
  const date = (seconds: number) => new Date(EXECUTION_START + seconds * 1_000).toUTCString();

  it.each<{ case: string; retryAfter?: string; seconds: number }>([
    { case: 'in seconds', retryAfter: '7', seconds: 7 },
    { case: 'as a date', retryAfter: date(9), seconds: 9 },
    { case: 'not given', seconds: 5 },
    { case: 'given as nonsense', retryAfter: 'soon', seconds: 5 },
    { case: 'of 0 seconds', retryAfter: '0', seconds: 1 },
    { case: 'as a date that has passed', retryAfter: date(-30), seconds: 1 },
    { case: 'that just fits', retryAfter: '50', seconds: 50 },
  ])('with a wait $case is an answer: $seconds s', async ({ retryAfter, seconds }) => {
    const { circleci, settings, poll } = await fleet();
    circleci.fault = () => ({
      status: 429,
      headers: retryAfter ? { 'retry-after': retryAfter } : {},
      body: '',
    });
    expect(await countTasks(access, settings, poll, 'unclaimed')).toEqual({ retryAfterSeconds: seconds });
  });

  it.each([
    { case: 'in seconds', elapsed: 0, retryAfter: '120', seconds: 120 },
    { case: 'as a date', elapsed: 0, retryAfter: date(300), seconds: 300 },
    { case: 'of days, which is said as one', elapsed: 0, retryAfter: '9999999', seconds: 86_400 },
    { case: 'that would end after the last poll', elapsed: 45, retryAfter: '6', seconds: 6 },
  ])(
    'with a wait $case that does not fit is CircleCiRateLimited',
    async ({ elapsed, retryAfter, seconds }) => {
      const executionStartedAt = secondsIn(-elapsed);
      const headers = { 'retry-after': retryAfter };
      const thrown = await failureOf({ status: 429, headers, body: '' }, { executionStartedAt });
      expect(thrown.name).toBe('CircleCiRateLimited');
      expect(thrown.message).toContain(`${seconds} s (status 429)`);
    },
  );

  it('after the first poll is an answer even if its wait does not fit: an earlier poll may have got counts', async () => {
    const { circleci, settings, poll } = await fleet({}, { number: 10, executionStartedAt: secondsIn(-45) });
    circleci.fault = () => ({ status: 429, headers: { 'retry-after': '6' }, body: '' });
    expect(await countTasks(access, settings, poll, 'unclaimed')).toEqual({ retryAfterSeconds: 6 });
  });
});

describe('a rotated token', () => {
  it.each([401, 403])(
    'is noticed when CircleCI refuses the old one with %i: one fresh read, one more request',
    async (status) => {
      const { circleci, settings, poll, setToken } = await fleet();
      await countTasks(access, settings, poll, 'unclaimed');
      setToken(NEW_TOKEN);
      circleci.fault = () => (circleci.requests === 2 ? { status, body: '' } : undefined);
      circleci.tokens.add(NEW_TOKEN);

      expect(await countTasks(access, settings, poll, 'unclaimed')).toEqual({ count: 3 });
      expect(circleci.requests).toBe(3);
      expect(aws.calls.get('GetSecretValue')).toBe(2);
    },
  );

  it('is used from then on', async () => {
    const { circleci, settings, poll, setToken } = await fleet();
    await countTasks(access, settings, poll, 'unclaimed');
    setToken(NEW_TOKEN);
    circleci.tokens.clear();
    circleci.tokens.add(NEW_TOKEN);
    for (let again = 0; again < 3; again += 1) await countTasks(access, settings, poll, 'unclaimed');

    expect(circleci.requests).toBe(5);
    expect(aws.calls.get('GetSecretValue')).toBe(2);
  });

  it('that is refused as well is CircleCiUnauthorized', async () => {
    const { circleci, settings, poll, setToken } = await fleet();
    await countTasks(access, settings, poll, 'unclaimed');
    setToken(NEW_TOKEN);
    circleci.tokens.clear();

    const thrown = await failure(countTasks(access, settings, poll, 'unclaimed'));
    expect(thrown.name).toBe('CircleCiUnauthorized');
    expect(circleci.requests).toBe(3);
    expect(said(thrown)).not.toContain(TOKEN);
    expect(said(thrown)).not.toContain(NEW_TOKEN);
  });

  it('is looked for once when the secret still holds the old one, which is not tried again', async () => {
    const { circleci, settings, poll } = await fleet();
    circleci.tokens.clear();

    const thrown = await failure(countTasks(access, settings, poll, 'unclaimed'));
    expect(thrown.name).toBe('CircleCiUnauthorized');
    expect(thrown.message).toContain(settings.scalerSecretName);
    expect(circleci.requests).toBe(1);
    expect(aws.calls.get('GetSecretValue')).toBe(2);
  });

  it('that cannot be read is the failure of Secrets Manager', async () => {
    const { circleci, settings, poll } = await fleet();
    await countTasks(access, settings, poll, 'unclaimed');
    circleci.tokens.clear();
    aws.fault = () => ({ status: 503, code: 'InternalServiceError', message: 'try again' });

    expect(await failure(countTasks(access, settings, poll, 'unclaimed'))).toMatchObject({
      name: 'SecretsManagerUnavailable',
    });
  });
});
