import { SSMClient } from '@aws-sdk/client-ssm';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { settingsParameter } from '../../functions/lib/fleet-names.ts';
import { settingsReader } from '../../functions/lib/settings.ts';
import { SANDBOX_STACK } from '../../sandbox/aws.ts';
import { embeddedAws } from '../support/aws.ts';
import { deployedSettings } from '../support/inputs.ts';
import { failure } from '../support/said.ts';

const { aws, settings } = await embeddedAws();

let fleetNumber = 0;
let fleet = '';
let versions: string[] = [];

beforeEach(() => {
  fleet = `linux-${++fleetNumber}`;
  versions = [JSON.stringify(deployedSettings())];
  aws.parameters.set(settingsParameter(SANDBOX_STACK, fleet), versions);
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllEnvs();
});

const ofVersion = (version: number) => settings.of({ fleet, settings: { version } });
const deploy = (changes: object) => versions.push(JSON.stringify({ ...deployedSettings(), ...changes }));

describe('the settings of a fleet', () => {
  it('are what was deployed last, with the version', async () => {
    expect(await settings.latest(fleet)).toEqual({ ...deployedSettings(), version: 1 });
    deploy({ pollIntervalSeconds: 15 });
    expect(await settings.latest(fleet)).toEqual({
      ...deployedSettings(),
      pollIntervalSeconds: 15,
      version: 2,
    });
  });

  it('stay those of the version that an execution began with', async () => {
    deploy({ pollIntervalSeconds: 15 });
    expect((await ofVersion(1)).pollIntervalSeconds).toBe(5);
    expect((await ofVersion(2)).pollIntervalSeconds).toBe(15);
  });

  it('are read once for each version', async () => {
    deploy({});
    for (const version of [1, 2, 1, 2, 1]) await ofVersion(version);
    expect(aws.calls.get('GetParameter')).toBe(2);
  });

  it('are parsed once for each version', async () => {
    deploy({});
    const first = await ofVersion(1);
    expect(await ofVersion(1)).toBe(first);
    expect(await ofVersion(2)).not.toBe(first);
  });

  it.each([
    { seconds: 299, requests: 1 },
    { seconds: 301, requests: 2 },
  ])('are read $requests times within $seconds s', async ({ seconds, requests }) => {
    vi.useFakeTimers({ toFake: ['Date'] });
    await ofVersion(1);
    vi.setSystemTime(Date.now() + seconds * 1_000);
    await ofVersion(1);
    expect(aws.calls.get('GetParameter')).toBe(requests);
  });

  it('are those of the stack that deployed the function', async () => {
    const client = new SSMClient({ region: 'eu-west-1' });
    const send = vi.spyOn(client, 'send');
    send.mockImplementation(async () => ({ Parameter: { Value: versions[0], Version: 1 } }));
    vi.stubEnv('STACK_NAME', 'runners-of-mine');
    expect(await settingsReader(undefined, client).latest(fleet)).toMatchObject({ version: 1 });
    expect(send).toHaveBeenCalledWith(
      expect.objectContaining({ input: { Name: `/runners-of-mine/fleets/${fleet}` } }),
    );
  });

  it('are those of the fleet that is deployed, if it was removed and deployed again', async () => {
    expect((await settings.latest(fleet)).pollIntervalSeconds).toBe(5);
    versions.length = 0;
    deploy({ pollIntervalSeconds: 15 });
    expect(await settings.latest(fleet)).toMatchObject({ version: 1, pollIntervalSeconds: 15 });
  });

  it('may hold what a newer deployment adds', async () => {
    deploy({ tomorrow: true });
    expect(await ofVersion(2)).toEqual(deployedSettings());
  });
});

const capacity = (changes: object) => ({ capacity: { minReplicas: 0, maxReplicas: 10, ...changes } });

describe('settings that cannot be read', () => {
  it.each([
    '',
    '__proto__/x',
    '../linux',
    'linux:1',
    'linux/../../production/password',
    'x'.repeat(33),
    'a b',
    'a\u001b[2J',
  ])('fail with SettingsNotFound, without a request, if no fleet can have the name %j', async (name) => {
    for (const reading of [settings.latest(name), settings.of({ fleet: name, settings: { version: 1 } })]) {
      const thrown = await failure(reading);
      expect(thrown.name).toBe('SettingsNotFound');
      // biome-ignore lint/suspicious/noControlCharactersInRegex: that none reaches a terminal is the point
      expect(thrown.message).not.toMatch(/[\u0000-\u001f]/);
    }
    expect(aws.calls.get('GetParameter')).toBeUndefined();
  });

  it('name the fleet that cannot be, and no more than 64 letters of it', async () => {
    const { message } = await failure(settings.latest('x'.repeat(65)));
    expect(message).toBe(`No fleet can be named "${'x'.repeat(64)}".`);
  });

  it('tell all faults of the parameter', async () => {
    deploy({ groupName: '', breakerFailures: 0 });
    const { message } = await failure(settings.latest(fleet));
    expect(message).toMatch(/ writes: [^;]+: .+; [^;]+: .+\. Deploy again: /);
    versions.push('[]');
    expect((await failure(settings.latest(fleet))).message).toContain(' writes: Invalid input');
  });

  it('fail with SettingsNotFound if the fleet is not deployed, or the version is unknown', async () => {
    const unknown = await failure(settings.latest('windows'));
    expect(unknown.name).toBe('SettingsNotFound');
    expect(unknown.message).toContain(`/${SANDBOX_STACK}/fleets/windows`);
    expect(await failure(ofVersion(7))).toMatchObject({ name: 'SettingsNotFound' });
  });

  it.each([
    { case: 'no JSON', value: '{"fleet"', says: 'is not JSON' },
    { case: 'a list', value: '[]', says: 'is not what a deployment writes' },
    {
      case: 'another address',
      value: { circleciUrl: 'http://evil.example' },
      says: 'must begin with https://',
    },
    {
      case: 'an address with a query',
      value: { circleciUrl: 'https://evil.example/?' },
      says: 'circleciUrl',
    },
    { case: 'a breaker of nothing', value: { breakerFailures: 0 }, says: 'breakerFailures' },
    { case: 'a breaker of no time', value: { breakerWindowSeconds: 0 }, says: 'breakerWindowSeconds' },
    { case: 'a share of more than 4 digits', value: capacity({ headroom: '12345%' }), says: 'headroom' },
    { case: 'a share of nothing', value: capacity({ headroom: '%' }), says: 'headroom' },
    { case: 'a surge of nothing', value: capacity({ maxSurge: 0 }), says: 'maxSurge' },
    {
      case: 'a schedule without an end',
      value: capacity({ schedules: [{ start: '0 8 * * *', timezone: 'UTC' }] }),
      says: 'capacity.schedule 1.end: ',
    },
    { case: 'no group', value: { groupName: '' }, says: 'groupName' },
    {
      case: 'a negative maximum',
      value: { capacity: { minReplicas: 0, maxReplicas: -1 } },
      says: 'maxReplicas',
    },
  ])('that are $case are SettingsMalformed', async ({ value, says }) => {
    if (typeof value === 'string') versions.push(value);
    else deploy(value);
    for (const reading of [settings.latest(fleet), ofVersion(2)]) {
      const thrown = await failure(reading);
      expect(thrown.name).toBe('SettingsMalformed');
      expect(thrown.message).toContain(says);
      expect(thrown.message).toContain('npx cdk deploy --all');
    }
  });

  it.each([
    {
      code: 'AccessDeniedException',
      status: 400,
      name: 'SettingsDenied',
      says: ["may not be read: because. Allow the function's role ssm:GetParameter."],
    },
    {
      code: 'ThrottlingException',
      status: 400,
      name: 'SettingsUnavailable',
      says: ['Systems Manager did not give', 'ThrottlingException: because'],
    },
    {
      code: 'InternalServerError',
      status: 500,
      name: 'SettingsUnavailable',
      says: ['InternalServerError: because'],
    },
    { code: 'ParameterNotFound', status: 400, name: 'SettingsNotFound', says: ['no such fleet is deployed'] },
  ])('because of $code are $name, and tell the cause', async ({ code, status, name, says }) => {
    aws.fault = () => ({ status, code, message: 'because' });
    for (const reading of [settings.latest(fleet), ofVersion(1)]) {
      const thrown = await failure(reading);
      expect(thrown).toMatchObject({ name, cause: { name: code, message: 'because' } });
      for (const said of [...says, settingsParameter(SANDBOX_STACK, fleet)])
        expect(thrown.message).toContain(said);
    }
    expect(aws.calls.get('GetParameter')).toBe(2);
  });
});
