import { createSocket, type RemoteInfo } from 'node:dgram';
import { once } from 'node:events';

const TYPE_A = 1;
const NO_SUCH_NAME = 3;

/** Answers for A records of known names; other types of theirs are empty, and other names do not exist. */
export class Dns {
  readonly #socket = createSocket('udp4');
  readonly #addresses: ReadonlyMap<string, string>;
  readonly #silent: (client: string) => boolean;
  /** The names that each client has asked for, by its address. */
  readonly asked = new Map<string, Set<string>>();

  /** @param silent Whether the service leaves a client without an answer at this moment. */
  constructor(addresses: ReadonlyMap<string, string>, silent: (client: string) => boolean) {
    this.#addresses = addresses;
    this.#silent = silent;
    this.#socket.on('message', (query, client) => this.#answer(query, client));
  }

  async listen(host: string): Promise<void> {
    this.#socket.bind(53, host);
    await once(this.#socket, 'listening');
  }

  close(): void {
    this.#socket.close();
  }

  /** https://www.rfc-editor.org/rfc/rfc1035#section-4 */
  #answer(query: Buffer, { address, port }: RemoteInfo): void {
    if (this.#silent(address)) return;
    let at = 12;
    const labels: string[] = [];
    for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
      labels.push(query.toString('ascii', at + 1, at + 1 + length));
      at += 1 + length;
    }
    const question = query.subarray(12, at + 5);
    const name = labels.join('.').toLowerCase();
    this.asked.set(address, (this.asked.get(address) ?? new Set()).add(name));
    const found = this.#addresses.get(name);
    const record =
      found !== undefined && query.readUInt16BE(at + 1) === TYPE_A
        ? Buffer.from([0xc0, 12, 0, TYPE_A, 0, 1, 0, 0, 0, 60, 0, 4, ...found.split('.').map(Number)])
        : Buffer.alloc(0);
    const header = Buffer.alloc(12);
    query.copy(header, 0, 0, 2);
    header.writeUInt16BE(0x8180 | (found === undefined ? NO_SUCH_NAME : 0), 2);
    header.writeUInt16BE(1, 4);
    header.writeUInt16BE(record.length > 0 ? 1 : 0, 6);
    this.#socket.send(Buffer.concat([header, question, record]), port, address);
  }
}
