import type { Server } from 'node:http';
import { onTestFinished } from 'vitest';
import * as z from 'zod';
import type { CircleCi } from '../../sandbox/circleci.ts';

const Address = z.object({ port: z.number() });

export const address = (server: Server) => `http://127.0.0.1:${Address.parse(server.address()).port}`;

/** Serves an embedded CircleCI over HTTP until the test ends, and returns its address. */
export async function serve(circleci: CircleCi): Promise<string> {
  const server = await circleci.listen();
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return address(server);
}
