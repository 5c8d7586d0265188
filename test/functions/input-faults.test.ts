import { describe, expect, it } from 'vitest';
import * as z from 'zod/mini';
import { faultsOfInput } from '../../functions/lib/input-faults.ts';

/** What the message says of an input that breaks a contract. */
function faultsOf(contract: z.ZodMiniType, input: unknown): string {
  const { error } = z.safeParse(contract, input, { reportInput: true });
  return error === undefined ? expect.fail('The input is valid') : faultsOfInput(error.issues);
}

const text = z.string().check(z.minLength(1), z.maxLength(3));
const many = z.string().check(z.minLength(2));
const number = z.number().check(z.minimum(0), z.maximum(10));
const even = z.number().check(z.refine((value) => value % 2 === 0, 'an even number'));

it.each<{ contract: z.ZodMiniType; input: unknown; says: string }>([
  { contract: text, input: 3, says: 'the input must be of type string, got 3' },
  { contract: text, input: '', says: 'the input must have at least 1 character, got ""' },
  { contract: many, input: 'a', says: 'the input must have at least 2 characters, got "a"' },
  { contract: text, input: 'abcd', says: 'the input must have at most 3 characters, got "abcd"' },
  { contract: number, input: -1, says: 'the input must be at least 0, got -1' },
  { contract: number, input: 11, says: 'the input must be at most 10, got 11' },
  { contract: z.literal(true), input: false, says: 'the input must be true, got false' },
  { contract: z.enum(['on', 'off']), input: 'of', says: 'the input must be "on" or "off", got "of"' },
  { contract: z.string().check(z.regex(/^i-/)), input: 'x', says: 'the input must match /^i-/, got "x"' },
  { contract: z.url(), input: 'x', says: 'the input must match url, got "x"' },
  {
    contract: even,
    input: 3,
    says: 'the input must be as its contract says (an even number), got 3',
  },
  {
    contract: z.strictObject({}),
    input: { once: true, groupName: 'production-web' },
    says: 'the input must not have once, groupName',
  },
  {
    contract: z.object({ poll: z.object({ number: z.number() }), fleet: z.string() }),
    input: { poll: { number: 'first' } },
    says: 'poll.number must be of type number, got "first"; fleet must be of type string, got nothing',
  },
])('of $input it says: $says', ({ contract, input, says }) => {
  expect(faultsOf(contract, input)).toBe(says);
});

describe('the value that was given', () => {
  const shown = (value: unknown) =>
    faultsOf(
      z.custom(() => false),
      value,
    ).replace(/^.*\), got /, '');

  it.each<[unknown, string]>([
    [undefined, 'nothing'],
    [null, 'null'],
    [[1, 2], 'a list'],
    [{ circle_token: 'CCIPAT_secret' }, 'a map'],
    [true, 'true'],
    ['a"b', String.raw`"a\"b"`],
    [Symbol.for('x'), 'Symbol(x)'],
    ['a\u202eb', '"a\ufffdb"'],
    ['x'.repeat(78), `"${'x'.repeat(78)}"`],
    ['x'.repeat(79), `"${'x'.repeat(79)}...`],
    ['x'.repeat(500), `"${'x'.repeat(79)}...`],
  ])('%j is shown as %s', (value, text) => {
    expect(shown(value)).toBe(text);
  });
});

describe('a message of many faults', () => {
  const messageOf = (key: string) => faultsOf(z.strictObject({}), { [key]: 1 });
  const prefix = 'the input must not have ';

  it('has at most 2000 characters, and says if it is cut', () => {
    const longest = 'k'.repeat(2_000 - prefix.length);
    expect(messageOf(longest)).toBe(`${prefix}${longest}`);
    expect(messageOf(`${longest}k`)).toBe(`${prefix}${longest}...`);
  });

  it('shows no characters that mislead, whatever the input names its keys', () => {
    expect(messageOf('a\u001b[2J\u202eb')).toBe(`${prefix}a\ufffd[2J\ufffdb`);
  });
});
