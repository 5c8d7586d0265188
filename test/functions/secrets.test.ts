import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { readCircleToken } from '../../functions/lib/secrets.ts';
import { embeddedAws, newSecretName } from '../support/aws.ts';
import { failure, said } from '../support/said.ts';

const TOKEN = 'CCIPAT_secrets_0123456789abcdef';
const VALUE = { resource_class: 'acme/linux', circle_token: TOKEN };

const { aws, secrets } = await embeddedAws();
let fleet = { scalerSecretName: '', resourceClass: 'acme/linux', circleciUrl: 'https://runner.circleci.com' };

beforeEach(() => {
  fleet = { ...fleet, scalerSecretName: newSecretName() };
  aws.secrets.set(fleet.scalerSecretName, JSON.stringify(VALUE));
});

const read = (fresh = true) => readCircleToken(secrets, fleet, { fresh });

describe('readCircleToken', () => {
  it('returns the token', async () => {
    expect(await read()).toBe(TOKEN);
  });

  it('does not mind keys that it does not know', async () => {
    aws.secrets.set(fleet.scalerSecretName, JSON.stringify({ ...VALUE, owner: 'somebody' }));
    expect(await read()).toBe(TOKEN);
  });

  it('returns the token of fleets that share a secret', async () => {
    const shared = { ...VALUE, resource_class: ['acme/arm', 'acme/linux'] };
    aws.secrets.set(fleet.scalerSecretName, JSON.stringify(shared));
    expect(await read()).toBe(TOKEN);
  });

  it('reads once and caches the value, except for a fresh read', async () => {
    await read(false);
    await read(false);
    expect(aws.calls.get('GetSecretValue')).toBe(1);
    await read(true);
    expect(aws.calls.get('GetSecretValue')).toBe(2);
  });

  it('remembers for five minutes', async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    onTestFinished(() => {
      vi.useRealTimers();
    });
    await read(false);
    vi.setSystemTime(Date.now() + 299_000);
    await read(false);
    expect(aws.calls.get('GetSecretValue')).toBe(1);
    vi.setSystemTime(Date.now() + 2_000);
    await read(false);
    expect(aws.calls.get('GetSecretValue')).toBe(2);
  });

  it('reads again if the cached value is of another class, as after the fleet got a new one', async () => {
    await read(false);
    const resourceClass = 'acme/renamed';
    aws.secrets.set(fleet.scalerSecretName, JSON.stringify({ ...VALUE, resource_class: resourceClass }));
    expect(await readCircleToken(secrets, { ...fleet, resourceClass }, { fresh: false })).toBe(TOKEN);
    expect(aws.calls.get('GetSecretValue')).toBe(2);
  });

  it('caches the value of a fresh read', async () => {
    await read(false);
    aws.secrets.set(fleet.scalerSecretName, JSON.stringify({ ...VALUE, circle_token: 'rotated' }));
    expect(await read(false)).toBe(TOKEN);
    expect(await read(true)).toBe('rotated');
    expect(await read(false)).toBe('rotated');
  });
});

describe('where a token may be sent', () => {
  const server = { ...VALUE, circleci_url: 'https://circleci.acme.example' };

  it('is where its secret says', async () => {
    aws.secrets.set(fleet.scalerSecretName, JSON.stringify(server));
    const circleciUrl = 'https://circleci.acme.example/';
    expect(await readCircleToken(secrets, { ...fleet, circleciUrl }, { fresh: true })).toBe(TOKEN);
  });

  it.each([
    { case: 'an address that the secret does not name', value: VALUE, circleciUrl: 'https://evil.example' },
    { case: 'the cloud, if the secret is of a server', value: server, circleciUrl: fleet.circleciUrl },
    {
      case: 'a server that is called alike',
      value: server,
      circleciUrl: 'https://circleci.acme.example.evil',
    },
  ])('is not $case', async ({ value, circleciUrl }) => {
    aws.secrets.set(fleet.scalerSecretName, JSON.stringify(value));
    const thrown = await failure(readCircleToken(secrets, { ...fleet, circleciUrl }, { fresh: true }));
    expect(thrown.name).toBe('SecretMismatch');
    expect(thrown.message).toContain(circleciUrl);
    expect(said(thrown)).not.toContain(TOKEN);
  });

  it('is in no error, because the field can hold a token by mistake', async () => {
    const pasted = `https://${TOKEN.toLowerCase().replaceAll('_', '-')}`;
    aws.secrets.set(fleet.scalerSecretName, JSON.stringify({ ...VALUE, circleci_url: pasted }));
    const thrown = await failure(read());
    expect(thrown.name).toBe('SecretMismatch');
    expect(thrown.message).toContain(`"circleci_url" is not the fleet's circleciUrl, ${fleet.circleciUrl}`);
    expect(thrown.message).not.toContain(pasted);
  });

  it.each(['http://circleci.acme.example', 'https://x@evil.example', 'https://evil.example/?'])(
    'is not %s, although the secret says so',
    async (circleci_url) => {
      aws.secrets.set(fleet.scalerSecretName, JSON.stringify({ ...VALUE, circleci_url }));
      expect(await failure(read())).toMatchObject({ name: 'SecretMalformed' });
    },
  );
});

describe('a secret that cannot be used', () => {
  it.each<{ case: string; value: string; error: string; says: string }>([
    { case: 'with no text', value: '', error: 'SecretUnset', says: 'has no value yet' },
    { case: 'that is not JSON', value: TOKEN, error: 'SecretMalformed', says: 'is not JSON' },
    { case: 'cut short', value: `{"circle_token":"${TOKEN}"`, error: 'SecretMalformed', says: 'is not JSON' },
    { case: 'that is a list', value: `["${TOKEN}"]`, error: 'SecretMalformed', says: 'is not a JSON object' },
    { case: 'that is a text', value: `"${TOKEN}"`, error: 'SecretMalformed', says: 'is not a JSON object' },
    { case: 'that is null', value: 'null', error: 'SecretMalformed', says: 'is not a JSON object' },
    {
      case: 'without the token',
      value: JSON.stringify({ resource_class: 'acme/linux', token: TOKEN }),
      error: 'SecretMalformed',
      says: ': "circle_token" must be a text that is not empty',
    },
    {
      case: 'without the class',
      value: JSON.stringify({ circle_token: TOKEN }),
      error: 'SecretMalformed',
      says: ': "resource_class" must be a text that is not empty',
    },
    {
      case: 'with neither',
      value: JSON.stringify({ token: TOKEN }),
      error: 'SecretMalformed',
      says: ': "resource_class" and "circle_token" must be a text that is not empty',
    },
    {
      case: 'with an empty token',
      value: JSON.stringify({ ...VALUE, circle_token: '' }),
      error: 'SecretMalformed',
      says: ': "circle_token" must be a text that is not empty',
    },
    {
      case: 'with a token that is no text',
      value: JSON.stringify({ ...VALUE, circle_token: [TOKEN] }),
      error: 'SecretMalformed',
      says: ': "circle_token" must be a text that is not empty',
    },
    ...[
      { case: 'with a token that ends in a line break', token: `${TOKEN}\n` },
      { case: 'with a token of two lines', token: `${TOKEN}\nmore` },
      { case: 'with a token after a space', token: ` ${TOKEN}` },
      { case: 'with a token of two words', token: `${TOKEN} more` },
      { case: 'with a token that is no ASCII', token: `${TOKEN}\u2026` },
    ].map(({ case: name, token }) => ({
      case: name,
      value: JSON.stringify({ ...VALUE, circle_token: token }),
      error: 'SecretMalformed',
      says: ': "circle_token" must be a text that is not empty and has no spaces or line breaks',
    })),
    {
      case: 'with no class',
      value: JSON.stringify({ ...VALUE, resource_class: [] }),
      error: 'SecretMalformed',
      says: ': "resource_class" must be a text that is not empty',
    },
    {
      case: 'of other fleets',
      value: JSON.stringify({ ...VALUE, resource_class: ['acme/macos', 'acme/linux-large'] }),
      error: 'SecretMismatch',
      says: '"resource_class" is not the fleet\'s, acme/linux, and does not list it',
    },
    {
      case: 'of another fleet',
      value: JSON.stringify({ ...VALUE, resource_class: 'acme/macos' }),
      error: 'SecretMismatch',
      says: '"resource_class" is not the fleet\'s, acme/linux',
    },
  ])('$case is $error', async ({ value, error, says }) => {
    aws.secrets.set(fleet.scalerSecretName, value);
    const thrown = await failure(read());
    expect(thrown.name).toBe(error);
    expect(thrown.message).toContain(`Secret ${fleet.scalerSecretName}`);
    expect(thrown.message).toContain(says);
    expect(said(thrown)).not.toContain(TOKEN);
    expect(said(thrown)).not.toContain('macos');
  });

  it('is SecretNotFound if there is none of that name', async () => {
    aws.secrets.delete(fleet.scalerSecretName);
    const thrown = await failure(read());
    expect(thrown.name).toBe('SecretNotFound');
    expect(thrown.message).toContain(`No secret is named ${fleet.scalerSecretName}`);
  });

  it('is SecretNotFound if it is marked for deletion, and the message says what to do', async () => {
    const message = "You can't perform this operation on the secret because it was marked for deletion.";
    aws.fault = () => ({ status: 400, code: 'InvalidRequestException', message });
    const thrown = await failure(read());
    expect(thrown.name).toBe('SecretNotFound');
    expect(thrown.message).toBe(
      `Secret ${fleet.scalerSecretName} is marked for deletion. Run npm run secrets, which restores it, or correct scalerSecretName.`,
    );
    expect(said(thrown)).toContain(message);
  });

  it('is SecretUnset if it never had a value, and the message says how to give it one', async () => {
    aws.secrets.set(fleet.scalerSecretName, undefined);
    const thrown = await failure(read());
    expect(thrown.name).toBe('SecretUnset');
    expect(thrown.message).toContain('Store the two tokens of the fleet: npm run secrets -- FLEET.');
    expect(thrown.message).toContain(`put-secret-value --secret-id ${fleet.scalerSecretName}`);
  });

  it('is SecretUnset if Secrets Manager answers without a text', async () => {
    aws.fault = () => ({ status: 200, code: '', message: '' });
    expect(await failure(read())).toMatchObject({ name: 'SecretUnset' });
  });

  it.each<{ code: string; status: number; error: string }>([
    { code: 'AccessDeniedException', status: 400, error: 'SecretDenied' },
    { code: 'DecryptionFailure', status: 400, error: 'SecretDenied' },
    { code: 'InvalidParameterException', status: 400, error: 'SecretNotFound' },
    { code: 'ValidationException', status: 400, error: 'SecretNotFound' },
    { code: 'ThrottlingException', status: 400, error: 'SecretsManagerUnavailable' },
    { code: 'InternalServiceError', status: 500, error: 'SecretsManagerUnavailable' },
    { code: 'ServiceUnavailable', status: 503, error: 'SecretsManagerUnavailable' },
  ])('is $error after $code, in one attempt', async ({ code, status, error }) => {
    aws.fault = () => ({ status, code, message: 'this is why' });
    const thrown = await failure(read());
    expect(thrown.name).toBe(error);
    expect(thrown.message).toContain(fleet.scalerSecretName);
    expect(thrown.message).toContain('this is why');
    expect(aws.calls.get('GetSecretValue')).toBe(1);
  });

  it.each([
    {
      code: 'AccessDeniedException',
      says: "Allow the function's role secretsmanager:GetSecretValue, and kms:Decrypt",
    },
    { code: 'ValidationException', says: 'does not take' },
    { code: 'ValidationException', says: 'Correct scalerSecretName.' },
    { code: 'ThrottlingException', says: 'ThrottlingException: this is why' },
  ])('after $code, the message says: $says', async ({ code, says }) => {
    aws.fault = () => ({ status: 400, code, message: 'this is why' });
    const thrown = await failure(read());
    expect(thrown.message).toContain(says);
    expect(thrown.cause).toMatchObject({ name: code });
  });

  it.each([
    { case: 'has no value', value: '' },
    { case: 'is not JSON', value: 'token' },
    { case: 'is no object', value: '[]' },
    { case: 'lacks a key', value: '{}' },
  ])('that $case: the message shows what a secret is', async ({ value }) => {
    aws.secrets.set(fleet.scalerSecretName, value);
    expect((await failure(read())).message).toContain(
      '{"resource_class": "<namespace>/<class>", "circle_token": "<personal API token>"}',
    );
  });

  it.each([
    { case: 'a secret without a value', name: 'SecretUnset', value: undefined },
    { case: 'no secret', name: 'SecretNotFound', value: null },
  ])('keeps what Secrets Manager said of $case as the cause', async ({ name, value }) => {
    if (value === null) aws.secrets.delete(fleet.scalerSecretName);
    else aws.secrets.set(fleet.scalerSecretName, value);
    expect(await failure(read())).toMatchObject({ name, cause: { name: 'ResourceNotFoundException' } });
  });

  it('keeps what Secrets Manager said of a secret that is marked for deletion as the cause', async () => {
    aws.fault = () => ({ status: 400, code: 'InvalidRequestException', message: 'marked for deletion' });
    expect((await failure(read())).cause).toMatchObject({ name: 'InvalidRequestException' });
  });

  it('is SecretsManagerUnavailable if the connection breaks', async () => {
    aws.fault = () => 'reset';
    const thrown = await failure(read());
    expect(thrown.name).toBe('SecretsManagerUnavailable');
    expect(thrown.message).toContain('ECONNRESET');
  });
});
