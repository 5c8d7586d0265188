import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { INSTANCE_CREDENTIALS } from './metadata-service.ts';
import { signatureFault } from './signature.ts';

/** A call that an instance made. */
export interface InstanceCall {
  action: string;
  parameters: Record<string, string>;
}

export interface Answer {
  status: number;
  body: string;
}

/** An error as EC2 Auto Scaling words it. */
export function refusal(code: string, message: string, status = 400): Answer {
  return {
    status,
    body: `<ErrorResponse xmlns="http://autoscaling.amazonaws.com/doc/2011-01-01/"><Error><Type>Sender</Type><Code>${code}</Code><Message>${message}</Message></Error></ErrorResponse>`,
  };
}

export const success = (action: string): Answer => ({
  status: 200,
  body: `<${action}Response xmlns="http://autoscaling.amazonaws.com/doc/2011-01-01/"><${action}Result/></${action}Response>`,
});

/**
 * The AWS that instances talk to. It checks each request's signature, keeps what was called, and asks `answer`;
 * it may pass a request on to an emulator.
 */
export class InstanceAws {
  readonly calls: InstanceCall[] = [];
  readonly #server: Server;
  url = '';

  constructor(
    answer: (call: InstanceCall, request: IncomingMessage, body: string) => Promise<Answer> | Answer,
  ) {
    this.#server = createServer(async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk);
      const body = Buffer.concat(chunks).toString();
      const { method = '', url = '', headers } = request;
      const fault = signatureFault({ method, url, headers, body }, INSTANCE_CREDENTIALS);
      const call = callOf(request, body);
      this.calls.push(call);
      const { status, body: text } =
        fault === undefined ? await answer(call, request, body) : refusal(fault, fault, 403);
      response.writeHead(status).end(text);
    });
  }

  async listen(host: string, port: number): Promise<void> {
    this.#server.listen(port, host);
    await once(this.#server, 'listening');
    this.url = `http://${host}:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

function callOf({ method, url, headers }: IncomingMessage, body: string): InstanceCall {
  const target = headers['x-amz-target'];
  if (typeof target === 'string')
    return { action: target.split('.').at(-1) ?? '', parameters: JSON.parse(body) };
  if (method === 'GET') return { action: 'GetObject', parameters: { Path: String(url) } };
  const { Action = '', Version: _, ...parameters } = Object.fromEntries(new URLSearchParams(body));
  return { action: Action, parameters };
}
