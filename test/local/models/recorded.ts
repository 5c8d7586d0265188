/** A request over HTTP, or the input of an operation. */
export type Recorded =
  | { method: string; url: string; headers: Record<string, string>; body: string }
  | { service: string; operation: string; input: unknown };

/** Others may be of a test's own words, or carry the same thing again. */
const HEADERS = ['authorization', 'x-amz-target', 'content-type', 'smithy-protocol'];

/** The headers of a request that say what it asks, and the scope for which it is signed. */
export function keptHeaders(headers: Record<string, unknown>): Record<string, string> {
  const given = HEADERS.flatMap((name) =>
    headers[name] === undefined ? [] : [[name, String(headers[name])]],
  );
  const { authorization, ...others } = Object.fromEntries(given);
  // Only the scope: the rest differs in each request.
  const scope = /Credential=[^/]+(\/[^,]+)/.exec(authorization ?? '')?.[1];
  return scope === undefined ? others : { ...others, scope: scope.split('/')[3] ?? '' };
}

/** A request as it is written down; `undefined` if it is not signed, and so not for AWS. */
export function recordedRequest(
  {
    method = '',
    url = '',
    headers,
  }: { method?: string | undefined; url?: string | undefined; headers: Record<string, unknown> },
  body: Buffer,
): Recorded | undefined {
  const kept = keptHeaders(headers);
  if (kept.scope === undefined) return undefined;
  const encoding = kept['content-type'] === 'application/cbor' ? 'base64' : 'utf8';
  return { method, url, headers: kept, body: body.toString(encoding) };
}
