/** A day. A longer wait must be a mistake. */
const LONGEST_WAIT_SECONDS = 86_400;

/**
 * What `Retry-After` says, in seconds from `now`, at least 1; `undefined` if it says nothing of use. It is a number
 * of seconds or a date: https://www.rfc-editor.org/rfc/rfc9110#field.retry-after
 */
export function retryAfterSeconds(header: string | null, now: number): number | undefined {
  if (header === null || header.trim() === '') return undefined;
  const seconds = /^\s*\d+\s*$/.test(header) ? Number(header) : (Date.parse(header) - now) / 1_000;
  if (!Number.isFinite(seconds)) return undefined;
  return Math.min(Math.max(Math.ceil(seconds), 1), LONGEST_WAIT_SECONDS);
}

/** The start of what was answered, on one line, as a message goes on with it. */
export function excerpt(body: string): string {
  const text = body.replace(/\s+/g, ' ').trim();
  return text === '' ? '' : `: ${text.length > 120 ? `${text.slice(0, 120)}...` : text}`;
}
