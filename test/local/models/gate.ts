import { once } from 'node:events';
import { createServer, type IncomingMessage, request as passOn, type Server } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { expect } from 'vitest';
import { pythonEnvironment } from '../../../cli/local-aws/python.ts';
import { address } from '../../support/serve.ts';
import { EMULATED } from './emulated.ts';
import { type Judgement, judge } from './judge.ts';
import { modelsOf } from './model.ts';
import { type Recorded, recordedRequest } from './recorded.ts';
import { isFile } from './wire.ts';

/**
 * Stands before an emulator and writes down what anybody sends to it: the commands of this project, the CDK CLI and the AWS
 * CLI are processes of their own, in which no recorder runs.
 */
export class Gate {
  readonly requests: Recorded[] = [];
  readonly #server: Server;
  #url = '';

  private constructor(server: Server) {
    this.#server = server;
  }

  /** @param endpoint Of the emulator. */
  static async before(endpoint: string): Promise<Gate> {
    const { hostname, port } = new URL(endpoint);
    const written = new Set<string>();
    const server = createServer(async (request, response) => {
      const body = await buffer(request);
      const recorded = recordedRequest(request, body);
      const line = JSON.stringify(recorded);
      if (recorded !== undefined && !written.has(line)) gate.requests.push(recorded);
      written.add(line);
      const { method, url: path, headers } = request;
      const sent = passOn({ hostname, port, method, path, headers }, (answer: IncomingMessage) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(response);
      });
      sent.on('error', () => response.destroy());
      sent.end(body);
    });
    const gate = new Gate(server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    gate.#url = address(server).replace('127.0.0.1', 'localhost');
    return gate;
  }

  get url(): string {
    return this.#url;
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  /** What the models of AWS say about the requests so far. A file in S3 is its path, and in no model. */
  async #judgements(): Promise<Judgement[]> {
    const modelOf = modelsOf(await pythonEnvironment('test/local/moto.txt', () => undefined));
    return this.requests.filter((request) => !isFile(request)).map((request) => judge(request, modelOf));
  }

  /**
   * The last test of a file: all that was sent is what AWS takes, and the operations that the table promises were sent.
   *
   * @param file As in `EMULATED`.
   */
  async expectSound(file: keyof typeof EMULATED): Promise<void> {
    const judged = await this.#judgements();
    const faults = judged.flatMap(({ operation, faults }) => faults.map((fault) => `${operation}: ${fault}`));
    expect([...new Set(faults)]).toEqual([]);
    const operations = new Set(judged.map(({ operation }) => operation));
    expect(EMULATED[file]?.filter((operation) => !operations.has(operation))).toEqual([]);
  }
}
