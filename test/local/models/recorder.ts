import { subscribe } from 'node:diagnostics_channel';
import { appendFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { SANDBOX_REQUESTS } from '../../../sandbox/aws.ts';
import { WORKFLOW_REQUESTS } from '../../../sandbox/workflow.ts';

/**
 * A set-up file of Vitest that writes each request to AWS into the file `REQUESTS`: what any stand-in of this process
 * receives over HTTP, what the sandbox answers in-process, and what states of the workflow ask of AWS themselves.
 */

const FILE = process.env.REQUESTS;

/** A request over HTTP, or the input of an operation. */
export type Recorded =
  | { method: string; url: string; headers: Record<string, string>; body: string }
  | { service: string; operation: string; input: unknown };

/** Others may be of a test's own words, or carry the same thing again. */
const HEADERS = ['authorization', 'x-amz-target', 'content-type', 'smithy-protocol'];

const written = new Set<string>();

function record(request: Recorded): void {
  const line = JSON.stringify(request);
  if (FILE === undefined || written.has(line)) return;
  written.add(line);
  appendFileSync(FILE, `${line}\n`);
}

function kept(headers: Record<string, unknown>): Record<string, string> {
  const given = HEADERS.flatMap((name) =>
    headers[name] === undefined ? [] : [[name, String(headers[name])]],
  );
  const { authorization, ...others } = Object.fromEntries(given);
  // Only the scope: the rest differs in each request.
  const scope = /Credential=[^/]+(\/[^,]+)/.exec(authorization ?? '')?.[1];
  return scope === undefined ? others : { ...others, scope: scope.split('/')[3] ?? '' };
}

subscribe('http.server.request.start', (message) => {
  const { request } = message as { request: IncomingMessage };
  const headers = kept(request.headers);
  if (headers.scope === undefined) return;
  const chunks: Buffer[] = [];
  const push = request.push.bind(request);
  // Listening would change the mode of the stream for the stand-in.
  request.push = (chunk: unknown, encoding?: BufferEncoding) => {
    if (chunk instanceof Buffer) chunks.push(chunk);
    if (chunk === null) {
      const { method = '', url = '' } = request;
      const body = Buffer.concat(chunks).toString(
        headers['content-type'] === 'application/cbor' ? 'base64' : 'utf8',
      );
      record({ method, url, headers, body });
    }
    return push(chunk, encoding);
  };
});

subscribe(SANDBOX_REQUESTS, (message) => {
  const { headers, body } = message as { headers: Record<string, string>; body: string };
  record({ method: 'POST', url: '/', headers: kept(headers), body });
});

subscribe(WORKFLOW_REQUESTS, (message) => record(message as Recorded));
