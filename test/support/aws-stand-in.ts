import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { text } from 'node:stream/consumers';
import * as z from 'zod';

/** What a call asks for: the fields of a form, or those of a JSON object. */
export type Asked = Record<string, unknown>;

const Body = z.record(z.string(), z.unknown());

/**
 * A stand-in of the AWS that a command reads, on the wire: services of the query protocol as XML, the others as JSON.
 * A call that it has no answer for is refused, as for a person without the right.
 */
export abstract class AwsStandIn {
  /** The operations that were called, in order. */
  readonly called: string[] = [];
  readonly server: Server = createServer(async (request, response) => {
    const target = `${request.headers['x-amz-target'] ?? ''}`;
    const body = await text(request);
    const sent = request.headers['content-type'];
    const isJson = target !== '' || sent === undefined || sent.includes('json');
    const form = isJson ? undefined : Object.fromEntries(new URLSearchParams(body));
    const path = decodeURIComponent(request.url ?? '');
    const operation = target.split('.')[1] ?? form?.Action ?? `${request.method} ${path}`;
    this.called.push(operation);
    const asked = form ?? (body === '' ? {} : Body.parse(JSON.parse(body)));
    const answer = this.answer(operation, asked);
    if (answer === 'silence') return;
    const type = isJson ? 'application/x-amz-json-1.1' : 'text/xml';
    const { status = 200, body: said } = answer ?? refusal(form?.Version);
    response.writeHead(status, { 'content-type': type }).end(said);
  });

  /** What is answered; `undefined` refuses the call. */
  protected abstract answer(operation: string, asked: Asked): Answer | 'silence' | undefined;

  async listen(): Promise<this> {
    this.server.listen(0, '127.0.0.1');
    await once(this.server, 'listening');
    return this;
  }

  close(): void {
    this.server.close();
    this.server.closeAllConnections();
  }

  /** How often an operation was called. */
  calls(operation: string): number {
    return this.called.filter((each) => each === operation).length;
  }
}

export interface Answer {
  status?: number;
  body: string;
}

/** What a service says to a person without the right, by the version of its query protocol. */
function refusal(version: string | undefined): Answer {
  if (version === undefined) return json({ __type: 'AccessDeniedException', message: 'You may not.' }, 400);
  const error = (code: string) => `<Error><Code>${code}</Code><Message>You may not.</Message></Error>`;
  return {
    status: 403,
    body:
      version === EC2_VERSION
        ? `<Response><Errors>${error('UnauthorizedOperation')}</Errors></Response>`
        : `<ErrorResponse>${error('AccessDenied')}</ErrorResponse>`,
  };
}

const EC2_VERSION = '2016-11-15';

/** The result of an operation as services of the query protocol say it. */
export const resultXml = (operation: string, result: string): Answer => ({
  body: `<${operation}Response><${operation}Result>${result}</${operation}Result></${operation}Response>`,
});

/** The result of an operation of EC2. */
export const ec2Xml = (operation: string, result: string): Answer => ({
  body: `<${operation}Response xmlns="http://ec2.amazonaws.com/doc/${EC2_VERSION}/">${result}</${operation}Response>`,
});

export const json = (value: unknown, status = 200): Answer => ({ status, body: JSON.stringify(value) });
