import { createSocket } from 'node:dgram';
import { once } from 'node:events';

const [DISCOVER, OFFER, REQUEST, ACKNOWLEDGE] = [1, 2, 3, 5];
const LEASE_SECONDS = 3_600;

const bytes = (address: string) => address.split('.').map(Number);
const seconds = (count: number) => [count >>> 24, (count >>> 16) & 255, (count >>> 8) & 255, count & 255];

/** Gives each known network interface its one address, as a VPC does. https://www.rfc-editor.org/rfc/rfc2131 */
export class Dhcp {
  readonly #socket = createSocket({ type: 'udp4', reuseAddr: true });
  readonly #host: string;
  readonly #addressOf: (mac: string) => string | undefined;

  /** @param host The address of the server, which is router and name server as well. */
  constructor(host: string, addressOf: (mac: string) => string | undefined) {
    this.#host = host;
    this.#addressOf = addressOf;
    this.#socket.on('message', (message) => this.#answer(message));
  }

  async listen(): Promise<void> {
    this.#socket.bind(67, () => this.#socket.setBroadcast(true));
    await once(this.#socket, 'listening');
  }

  close(): void {
    this.#socket.close();
  }

  #answer(message: Buffer): void {
    const mac = message.toString('hex', 28, 34).replaceAll(/(..)(?!$)/g, '$1:');
    const address = this.#addressOf(mac);
    const kind = optionOf(message, 53);
    if (address === undefined || (kind !== DISCOVER && kind !== REQUEST)) return;
    const host = bytes(this.#host);
    const reply = Buffer.alloc(240);
    message.copy(reply, 0, 0, 44);
    reply[0] = 2;
    reply.set(bytes(address), 16);
    reply.set(host, 20);
    reply.set([0x63, 0x82, 0x53, 0x63], 236);
    const options = Buffer.from([
      ...[53, 1, kind === DISCOVER ? OFFER : ACKNOWLEDGE],
      ...[54, 4, ...host],
      ...[51, 4, ...seconds(LEASE_SECONDS)],
      ...[1, 4, 255, 255, 0, 0],
      ...[3, 4, ...host],
      ...[6, 4, ...host],
      255,
    ] as number[]);
    this.#socket.send(Buffer.concat([reply, options]), 68, '255.255.255.255');
  }
}

/** The first byte of an option, if the message has it. */
function optionOf(message: Buffer, wanted: number): number | undefined {
  for (let at = 240; at < message.length && message[at] !== 255; at += 2 + (message[at + 1] ?? 0)) {
    if (message[at] === wanted) return message[at + 2];
  }
  return undefined;
}
