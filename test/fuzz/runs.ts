import fc from 'fast-check';

/** 500 runs of each property in `npm test`, and 10,000 in `npm run fuzz`, which `.ci/nightly` runs. */
export const FUZZED = { numRuns: Number(process.env.FUZZ_RUNS ?? 500) };

/** Texts that attack: other addresses, other names, paths, commands, control characters. */
const HOSTILE = [
  'https://attacker.example',
  'http://169.254.169.254/latest/meta-data',
  'https://runner.circleci.com@attacker.example/',
  'https://runner.circleci.com?',
  'production-web',
  'circleci-runner-autoscaler-other',
  'core-banking/db-master-password',
  '../../etc/passwd',
  '*',
  '$(reboot)',
  '__proto__',
  'constructor',
  '\u001b[2J',
  '\u009b2J',
  '\u202egnp',
  '999999999',
  '1e9',
];

/** Any value that JSON can have, and some that it cannot. */
export const anyValue: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom(...HOSTILE),
  fc.constantFrom<unknown>(
    null,
    undefined,
    -1,
    0,
    1.5,
    1_000_000,
    1e308,
    Number.NaN,
    true,
    false,
    '',
    [],
    {},
  ),
  fc.integer(),
  fc.string({ maxLength: 20 }),
  fc.jsonValue({ maxDepth: 2 }),
);

/** Keys by which an attacker may hope to be heard. */
const KEYS = [
  'circleciUrl',
  'scalerSecretName',
  'groupName',
  'capacity',
  'maxReplicas',
  'warmPoolSize',
  'settings',
  '__proto__',
  'max\u001b[2JReplicas',
  'linux\u009b31m',
];

/** One change: what is at a path of a value becomes something else, or a key is added there. */
interface Change {
  path: number[];
  key: string | undefined;
  value: unknown;
}

const change: fc.Arbitrary<Change> = fc.record({
  path: fc.array(fc.nat({ max: 7 }), { maxLength: 4 }),
  key: fc.option(fc.constantFrom(...KEYS), { nil: undefined }),
  value: anyValue,
});

/** One of these values with up to four changes anywhere in it, or something else altogether. */
export const changed = <T>(values: readonly T[]): fc.Arbitrary<unknown> =>
  fc
    .oneof(
      { weight: 9, arbitrary: fc.tuple(fc.constantFrom(...values), fc.array(change, { maxLength: 4 })) },
      { weight: 1, arbitrary: anyValue.map((value): [unknown, Change[]] => [value, []]) },
    )
    .map(([value, changes]) => changes.reduce<unknown>(apply, structuredClone(value)));

function apply(value: unknown, { path, key, value: new_ }: Change): unknown {
  const [index = 0, ...rest] = path;
  if (typeof value !== 'object' || value === null) return new_;
  const names = Object.keys(value);
  const name = names[index % Math.max(names.length, 1)];
  if (path.length === 0 || name === undefined) {
    return key === undefined ? new_ : { ...value, ...Object.fromEntries([[key, new_]]) };
  }
  const inner = apply(Reflect.get(value, name), { path: rest, key, value: new_ });
  return Array.isArray(value)
    ? value.map((item, at) => (String(at) === name ? inner : item))
    : { ...value, [name]: inner };
}

/** How a token looks in what a log or a person may see: as it is, and within Base64. */
export const formsOf = (token: string): string[] => [
  token,
  ...[0, 1, 2].map((before) =>
    Buffer.concat([Buffer.alloc(before), Buffer.from(token)])
      .toString('base64')
      .slice(4, 32),
  ),
];
