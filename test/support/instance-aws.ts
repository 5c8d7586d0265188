import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { INSTANCE_CREDENTIALS } from './metadata-service.ts';
import { signatureFault } from './signature.ts';

/** A call that an instance made, and whose answer it took. */
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

/** How far a request's time may be from AWS's, in milliseconds. */
const TOLERANCE = 300_000;

/**
 * What AWS answers to a request that was signed by a clock that is wrong, in the words of each protocol.
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/signature-v4-troubleshooting.html,
 * https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
 */
function clockFault({ method, headers }: IncomingMessage, now: number): Answer | undefined {
  const signed = String(headers['x-amz-date']);
  const at = Date.parse(signed.replace(/^(....)(..)(..)T(..)(..)(..)Z$/, '$1-$2-$3T$4:$5:$6Z'));
  if (Math.abs(now - at) <= TOLERANCE) return undefined;
  const written = (time: number) => `${new Date(time).toISOString().slice(0, 19).replaceAll(/[-:]/g, '')}Z`;
  const [words, sign, limit] =
    at < now
      ? ['Signature expired', 'is now earlier than', now - TOLERANCE]
      : ['Signature not yet current', 'is still later than', now + TOLERANCE];
  const message = `${words}: ${signed} ${sign} ${written(Number(limit))} (${written(now)} ${at < now ? '-' : '+'} 5 min.)`;
  if (headers['x-amz-target'] !== undefined) {
    return { status: 400, body: JSON.stringify({ __type: 'InvalidSignatureException', message }) };
  }
  if (method === 'GET') {
    return {
      status: 403,
      body: '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>RequestTimeTooSkewed</Code><Message>The difference between the request time and the current time is too large.</Message></Error>',
    };
  }
  return refusal('SignatureDoesNotMatch', message, 403);
}

/**
 * The AWS that instances talk to. It checks each request's signature and its time, keeps what was called, and asks
 * `answer`; it may pass a request on to an emulator.
 */
export class InstanceAws {
  readonly calls: InstanceCall[] = [];
  readonly #server: Server;
  url = '';

  /** @param clockOf What time it is for AWS while a client at an address asks, in milliseconds. */
  constructor(
    answer: (call: InstanceCall, request: IncomingMessage, body: string) => Promise<Answer> | Answer,
    clockOf: (address: string) => number = Date.now,
  ) {
    this.#server = createServer(async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk);
      const body = Buffer.concat(chunks).toString();
      const { method = '', url = '', headers } = request;
      const fault = signatureFault({ method, url, headers, body }, INSTANCE_CREDENTIALS);
      const call = callOf(request, body);
      this.calls.push(call);
      response.on('close', () => {
        // On a busy machine a caller may have stopped waiting; it calls again.
        if (!response.writableFinished) this.calls.splice(this.calls.indexOf(call), 1);
      });
      const refused =
        fault === undefined
          ? clockFault(request, clockOf(request.socket.remoteAddress ?? ''))
          : refusal(fault, fault, 403);
      const { status, body: text } = refused ?? (await answer(call, request, body));
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
