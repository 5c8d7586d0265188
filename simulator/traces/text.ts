import { createReadStream } from 'node:fs';
import { pipeline, Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { TraceInvalid } from './trace.ts';

/** How much of a file is read at once, in bytes. */
const CHUNK = 1 << 18;

/**
 * The text of a file or a pipe, piece by piece, so that it may be larger than the memory. Text that is compressed with
 * gzip is recognised by its first bytes, as are UTF-16 and a byte order mark.
 *
 * @throws TraceInvalid if it cannot be read.
 */
export async function* readText(file: string): AsyncGenerator<string> {
  try {
    yield* decoded(uncompressed(createReadStream(file, { highWaterMark: CHUNK })));
  } catch (error) {
    throw new TraceInvalid(`${file} cannot be read: ${(error as Error).message}`);
  }
}

async function* decoded(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  let decode: ((bytes?: Uint8Array) => string) | undefined;
  for await (const bytes of chunks) {
    decode ??= decoderOf(bytes);
    yield decode(bytes);
  }
  yield decode?.() ?? '';
}

async function* uncompressed(stream: Readable): AsyncGenerator<Uint8Array> {
  const chunks = stream[Symbol.asyncIterator]();
  const first = await chunks.next();
  if (first.done) return;
  const all = async function* (): AsyncGenerator<Uint8Array> {
    yield first.value;
    for (let next = await chunks.next(); !next.done; next = await chunks.next()) yield next.value;
  };
  if (!isGzip(first.value)) {
    yield* all();
    return;
  }
  // Errors come out of the last stream.
  yield* pipeline(Readable.from(all()), createGunzip({ chunkSize: CHUNK }), () => undefined);
}

/** https://www.rfc-editor.org/rfc/rfc1952#page-6 */
const isGzip = ([first, second]: Uint8Array) => first === 0x1f && second === 0x8b;

/** Of a text that begins with these bytes. Without an argument, it gives what is left at the end. */
function decoderOf(bytes: Uint8Array): (bytes?: Uint8Array) => string {
  const decoder = new TextDecoder(encodingOf(bytes));
  return (more) => decoder.decode(more, { stream: more !== undefined });
}

const encodingOf = ([first, second]: Uint8Array) =>
  first === 0xff && second === 0xfe ? 'utf-16le' : first === 0xfe && second === 0xff ? 'utf-16be' : 'utf-8';
