import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { faultOfApiToken } from '../../cli/deployed/rotation.ts';
import { ownAuthority, serverOptions } from '../support/own-authority.ts';

const TOKEN = 'CCIPAT_never_0123456789abcdef';

it('says that a certificate is not trusted, and how to name its authority', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'api-token-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const server = createServer(serverOptions(ownAuthority(folder)), (_, response) => response.end('{}'));
  onTestFinished(() => void server.close());
  server.listen(0, 'localhost');
  await once(server, 'listening');
  const circleciUrl = `https://localhost:${Object(server.address()).port}`;
  expect(await faultOfApiToken(TOKEN, { circleciUrl, resourceClass: 'acme/linux' })).toEqual({
    says: expect.stringMatching(
      new RegExp(`^this machine does not trust the certificate of ${circleciUrl} \\([A-Z_]+\\)$`),
    ),
    remedy: expect.stringContaining('NODE_EXTRA_CA_CERTS=FILE'),
  });
});

it('says that an address does not answer, without the words of the error', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = Object(server.address());
  server.close();
  const circleciUrl = `http://127.0.0.1:${port}`;
  expect(await faultOfApiToken(TOKEN, { circleciUrl, resourceClass: 'acme/linux' })).toEqual({
    says: expect.stringMatching(
      /^http:\/\/127\.0\.0\.1:\d+ gives no answer to this machine \(ECONNREFUSED\)$/,
    ),
    remedy: expect.stringContaining('circleciUrl'),
  });
});
