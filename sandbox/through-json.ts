/**
 * What JSON makes of a value: the same as `JSON.parse(JSON.stringify(value))`, without the text in between. Each call of
 * a function in the sandbox does it twice.
 */
export function throughJson(value: unknown): unknown {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return value;
    case 'number':
      // JSON has no -0 either.
      return Number.isFinite(value) ? value + 0 : null;
    case 'object':
      if (value === null) return null;
      if (Array.isArray(value)) return value.map((item) => throughJson(item) ?? null);
      return Object.getPrototypeOf(value) === Object.prototype && !Object.hasOwn(value, '__proto__')
        ? ofPlain(value)
        : JSON.parse(JSON.stringify(value));
    default:
      return undefined;
  }
}

function ofPlain(value: object): object {
  const copy: Record<string, unknown> = {};
  for (const [key, item] of Object.entries(value)) {
    const converted = throughJson(item);
    if (converted !== undefined) copy[key] = converted;
  }
  return copy;
}
