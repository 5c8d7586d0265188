import { createServer } from 'node:http';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { learnedParameter } from '../../functions/lib/fleet-names.ts';
import type { Learned } from '../../functions/lib/learned.ts';
import { learnedStore } from '../../functions/lib/learned-store.ts';
import { SANDBOX_STACK } from '../../sandbox/aws.ts';
import { embeddedAws } from '../support/aws.ts';
import { address } from '../support/serve.ts';

const { aws, learned: store } = await embeddedAws();

const peak = (demand: number): Learned => ({ version: 1, peaks: [[20_832, demand]] });

let fleetNumber = 0;
let fleet = '';

/** The parameter with one version for each content. */
const put = (...versions: (Learned | string)[]) =>
  aws.parameters.set(
    learnedParameter(SANDBOX_STACK, fleet),
    versions.map((content) => (typeof content === 'string' ? content : JSON.stringify(content))),
  );

beforeEach(() => {
  fleet = `linux-${++fleetNumber}`;
});
afterEach(() => {
  vi.unstubAllEnvs();
});

/** A client that takes any request, and a store that uses it. */
function stubbed(answer: () => unknown) {
  const send = vi.fn(async (_request: object) => answer());
  return { send, store: learnedStore(undefined, { send } as never) };
}

describe('what a fleet has learned', () => {
  it.each<{ case: string; versions: (Learned | string)[]; version?: number; read: object }>([
    {
      case: 'what was written last, with its version',
      versions: [peak(1), peak(2)],
      read: { version: 2, learned: peak(2) },
    },
    {
      case: 'what the execution began with',
      versions: [peak(1), peak(2)],
      version: 1,
      read: { version: 1, learned: peak(1) },
    },
    { case: 'nothing, if none has learned', versions: [], read: { version: 0, learned: undefined } },
    { case: 'nothing, if it is none of ours', versions: ['{}'], read: { version: 1, learned: undefined } },
    { case: 'nothing, if it is empty', versions: [''], read: { version: 1, learned: undefined } },
  ])('is $case', async ({ versions, version, read }) => {
    if (versions.length > 0) put(...versions);
    expect(await store.read(fleet, version)).toStrictEqual(read);
  });

  it('is read once for each version, and each time that the newest is asked for', async () => {
    put(peak(1), peak(2));
    const requests = async (version?: number) => {
      const before = aws.calls.get('GetParameter') ?? 0;
      await store.read(fleet, version);
      return (aws.calls.get('GetParameter') ?? 0) - before;
    };
    expect(await requests(2)).toBe(1);
    expect(await requests(2)).toBe(0);
    expect(await requests(1)).toBe(1);
    expect(await requests()).toBe(1);
    expect(await requests()).toBe(1);
    // The newest is version 2, and that is known now.
    expect(await requests(2)).toBe(0);
  });

  it('is not what another fleet has learned', async () => {
    put(peak(1));
    await store.read(fleet, 1);
    fleet = `linux-${++fleetNumber}`;
    put(peak(2));
    expect(await store.read(fleet, 1)).toStrictEqual({ version: 1, learned: peak(2) });
  });

  it('is an error, without a request, if no fleet can have the name', async () => {
    const read = await store.read('../linux');
    expect(read).toStrictEqual(new Error('No fleet can have this name.'));
    expect(aws.calls.has('GetParameter')).toBe(false);
  });

  it('is the error of AWS if it cannot be read or written', async () => {
    put(peak(1));
    aws.fault = () => ({ status: 400, code: 'ThrottlingException', message: 'not now' });
    const error = { name: 'ThrottlingException', message: 'not now' };
    expect(await store.read(fleet)).toMatchObject(error);
    expect(await store.write(fleet, peak(2))).toMatchObject(error);
    aws.fault = () => undefined;
    expect(await store.read(fleet)).toStrictEqual({ version: 1, learned: peak(1) });
  });

  it('is an error if something other than an error was thrown', async () => {
    const { store: failing } = stubbed(() => Promise.reject('no answer'));
    expect(await failing.read('linux')).toStrictEqual(new Error('no answer'));
    expect(await failing.write('linux', peak(1))).toStrictEqual(new Error('no answer'));
  });

  it('is not waited for if Systems Manager takes a second, and is asked for once', async () => {
    let requests = 0;
    const server = createServer((_, response) => {
      requests += 1;
      setTimeout(() => response.end('{}'), 1_000);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => {
      server.close();
      server.closeAllConnections();
    });
    vi.stubEnv('AWS_ENDPOINT_URL', address(server));
    vi.stubEnv('AWS_REGION', 'eu-west-1');
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'test');
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'test');
    expect(await learnedStore(SANDBOX_STACK).read(fleet)).toMatchObject({ name: 'TimeoutError' });
    // On a busy machine, none connects in time.
    expect(requests).toBeLessThan(2);
  });

  it('is nothing if the answer has no parameter', async () => {
    expect(await stubbed(() => ({})).store.read('linux')).toStrictEqual({ version: 0, learned: undefined });
  });

  it('is written over what was there', async () => {
    expect(await store.write(fleet, peak(1))).toBeUndefined();
    expect(await store.write(fleet, peak(2))).toBeUndefined();
    expect(await store.read(fleet)).toStrictEqual({ version: 2, learned: peak(2) });
  });

  it('is in a standard parameter of the stack that deployed the function', async () => {
    vi.stubEnv('STACK_NAME', 'runners-of-mine');
    const { send, store: mine } = stubbed(() => ({}));
    const Name = '/runners-of-mine/learned/linux';
    await mine.read('linux', 3);
    expect(send).toHaveBeenLastCalledWith(expect.objectContaining({ input: { Name: `${Name}:3` } }));
    await mine.write('linux', peak(1));
    const input = { Name, Value: JSON.stringify(peak(1)), Type: 'String', Tier: 'Standard', Overwrite: true };
    expect(send).toHaveBeenLastCalledWith(expect.objectContaining({ input }));
  });
});
