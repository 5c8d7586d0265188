import { printable } from './printable.ts';

/** A day. A longer wait must be a mistake. */
const LONGEST_WAIT_SECONDS = 86_400;

/**
 * What `Retry-After` says, in seconds from `now`, at least 1; `undefined` if it says nothing of use. It is a number
 * of seconds or a date: https://www.rfc-editor.org/rfc/rfc9110#field.retry-after
 */
export function retryAfterSeconds(header: string | null, now: number): number | undefined {
  if (header === null) return undefined;
  const seconds = /^\s*\d+\s*$/.test(header) ? Number(header) : (Date.parse(header) - now) / 1_000;
  if (!Number.isFinite(seconds)) return undefined;
  return Math.min(Math.max(Math.ceil(seconds), 1), LONGEST_WAIT_SECONDS);
}

/**
 * The text of an answer, or `undefined` if it is longer than that. It stops reading there, so a server that never stops
 * cannot fill the memory.
 */
export async function boundedText(response: Response, mostBytes: number): Promise<string | undefined> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > mostBytes) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

const MASK = '***';

/** The text without the secret: as it is, as a URL encodes it, and within any Base64. */
export function masked(text: string, secret: string): string {
  const written = [secret, encodeURIComponent(secret), ...withinBase64(secret)];
  return written.reduce((rest, form) => rest.replaceAll(form, MASK), text);
}

/**
 * How the secret looks within the Base64 of a longer text. Three bytes make four characters, so there are three forms,
 * by how many bytes come before it. The characters at both ends belong to the neighbours too, and are left out, as is
 * the padding.
 */
function withinBase64(secret: string): string[] {
  const bytes = Buffer.from(secret);
  const forms = [0, 1, 2].map((before) => {
    const encoded = Buffer.concat([Buffer.alloc(before), bytes]).toString('base64');
    const from = Math.ceil((before * 8) / 6);
    const to = Math.floor(((before + bytes.length) * 8) / 6);
    return encoded.slice(from, to);
  });
  return [...forms, ...forms.map((form) => form.replaceAll('+', '-').replaceAll('/', '_'))];
}

/** The start of an answer as part of a message: on one line, and without characters that control a terminal. */
export function excerpt(body: string): string {
  const text = printable(body.replace(/[\s\p{Cc}]+/gu, ' ').trim());
  return text === '' ? '' : `: ${text.length > 120 ? `${text.slice(0, 120)}...` : text}`;
}
