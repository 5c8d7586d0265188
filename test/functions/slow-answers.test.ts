import { createServer, type ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import { circleciAccess, countTasks } from '../../functions/lib/circleci.ts';
import { embeddedAws, newSecretName } from '../support/aws.ts';
import { deployedSettings, EXECUTION_START, firstPoll, parsedCountInput } from '../support/inputs.ts';
import { failure } from '../support/said.ts';
import { address } from '../support/serve.ts';

const { aws, secrets } = await embeddedAws();
const access = { ...circleciAccess(), secrets, now: () => EXECUTION_START };

const GIGABYTE = 1_000_000_000;

/** What counting tasks fails with if CircleCI answers with a gigabyte in chunks, and how much of it was sent. */
async function answeredWithGigabyte(chunkBytes: number, everyMilliseconds: number) {
  let sent = 0;
  const send = async (response: ServerResponse) => {
    const chunk = Buffer.alloc(chunkBytes, ' ');
    while (sent < GIGABYTE && !response.destroyed) {
      sent += chunkBytes;
      if (!response.write(chunk) || everyMilliseconds > 0) await sleep(everyMilliseconds);
    }
  };
  const server = createServer((_, response) => void send(response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  const settings = deployedSettings({ circleciUrl: address(server), scalerSecretName: newSecretName() });
  const secret = {
    resource_class: settings.resourceClass,
    circleci_url: settings.circleciUrl,
    circle_token: 'CCIPAT_slow_0123456789abcdef',
  };
  aws.secrets.set(settings.scalerSecretName, JSON.stringify(secret));
  const { poll } = parsedCountInput({ poll: firstPoll({ timeoutSeconds: 1 }) });
  const startedAt = performance.now();
  const thrown = await failure(countTasks(access, settings, poll, 'unclaimed'));
  return { error: thrown.name, seconds: (performance.now() - startedAt) / 1_000, sent };
}

describe('an answer of a gigabyte', () => {
  it('that comes fast is refused after a megabyte, with an error of its own', async () => {
    const { error, sent } = await answeredWithGigabyte(64_000, 0);
    expect(error).toBe('CircleCiTooLong');
    // What the sockets hold comes on top.
    expect(sent).toBeLessThan(20_000_000);
  });

  it('that comes slowly ends at the deadline of the attempt', async () => {
    const { error, seconds, sent } = await answeredWithGigabyte(1_000, 10);
    expect(error).toBe('CircleCiTimeout');
    // The attempt has 0.75 s, and the machine of a test may be busy.
    expect(seconds).toBeLessThan(3);
    expect(sent).toBeLessThan(1_000_000);
  });
});
