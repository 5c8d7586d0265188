/**
 * A path in a message: keys with dots between them, and an entry of a list by its name and its place. Places count from
 * 1, as in the reasons of decisions and in `npm run schedules`: `linux.schedule 2.timezone`.
 */
export function keyPath(path: readonly PropertyKey[]): string {
  return path.reduce<string>((before, key) => {
    if (typeof key === 'number')
      return `${before.replace(/ies$/, 'y').replace(/(?<=x)es$|s$/, '')} ${key + 1}`;
    return before === '' ? String(key) : `${before}.${String(key)}`;
  }, '');
}
