/**
 * How a connection fails that was kept open while Lambda had the function frozen, and that the server has closed
 * meanwhile. undici has a code of its own if the server ends the connection in order:
 * https://github.com/nodejs/undici/blob/main/docs/docs/api/Errors.md
 */
const LOST = new Set(['ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET']);

/**
 * Reads something, and once more if the connection was lost. This is the only retry outside the workflow: the first
 * request after a thaw would fail otherwise, as an ERROR line and a second of delay. The next request opens a new
 * connection. It is for requests that change nothing, and for those that end at a deadline of their own.
 */
export async function onceMoreIfLost<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (!isLost(error)) throw error;
    return read();
  }
}

/** `fetch` throws a TypeError whose cause has the code. */
function isLost(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return ('code' in error && LOST.has(String(error.code))) || isLost(error.cause);
}
