import { subscribe } from 'node:diagnostics_channel';
import { appendFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { SANDBOX_REQUESTS } from '../../../sandbox/aws.ts';
import { WORKFLOW_REQUESTS } from '../../../sandbox/workflow.ts';
import { keptHeaders, type Recorded, recordedRequest } from './recorded.ts';

/**
 * A set-up file of Vitest that writes each request to AWS into the file `REQUESTS`: what any stand-in of this process
 * receives over HTTP, what the sandbox answers in-process, and what states of the workflow ask of AWS themselves.
 */

const FILE = process.env.REQUESTS;

const written = new Set<string>();

function record(request: Recorded): void {
  const line = JSON.stringify(request);
  if (FILE === undefined || written.has(line)) return;
  written.add(line);
  appendFileSync(FILE, `${line}\n`);
}

subscribe('http.server.request.start', (message) => {
  const { request } = message as { request: IncomingMessage };
  if (keptHeaders(request.headers).scope === undefined) return;
  const chunks: Buffer[] = [];
  const push = request.push.bind(request);
  // Listening would change the mode of the stream for the stand-in.
  request.push = (chunk: unknown, encoding?: BufferEncoding) => {
    if (chunk instanceof Buffer) chunks.push(chunk);
    if (chunk === null) {
      const recorded = recordedRequest(request, Buffer.concat(chunks));
      if (recorded !== undefined) record(recorded);
    }
    return push(chunk, encoding);
  };
});

subscribe(SANDBOX_REQUESTS, (message) => {
  const { headers, body } = message as { headers: Record<string, string>; body: string };
  record({ method: 'POST', url: '/', headers: keptHeaders(headers), body });
});

subscribe(WORKFLOW_REQUESTS, (message) => record(message as Recorded));
