/**
 * How a connection fails that was kept open while Lambda had the function frozen, and that the server has closed
 * meanwhile. undici has a code of its own if the server ends the connection in order:
 * https://github.com/nodejs/undici/blob/main/docs/docs/api/Errors.md
 */
const LOST = new Set(['ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET']);

/**
 * Sends a request, and once more if its connection was lost. The first request after a thaw would fail otherwise, as an
 * ERROR line and a second of delay. The next request opens a new connection. It is for requests that may be sent twice.
 */
export async function onceMoreIfLost<T>(send: () => Promise<T>): Promise<T> {
  try {
    return await send();
  } catch (error) {
    if (!isLost(error)) throw error;
    return send();
  }
}

/** Whether a request failed because its connection was lost. `fetch` throws a TypeError whose cause has the code. */
export function isLost(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return ('code' in error && LOST.has(String(error.code))) || isLost(error.cause);
}
