import fc from 'fast-check';
import { expect, it } from 'vitest';
import { throughJson } from '../../sandbox/through-json.ts';

it('makes of any value what JSON makes of it', () => {
  const values = fc.anything({
    withDate: true,
    withNullPrototype: true,
    key: fc.constantFrom('a', '__proto__', 'b'),
  });
  fc.assert(
    fc.property(values, (value) => {
      // A text at the top has no JSON if it is no value of JSON.
      const text = JSON.stringify(value);
      expect(throughJson(value)).toEqual(text === undefined ? undefined : JSON.parse(text));
    }),
  );
});

it.each([
  {
    case: 'a number that JSON lacks',
    value: { a: Number.NaN, b: [undefined] },
    becomes: { a: null, b: [null] },
  },
  { case: 'a negative zero', value: { a: -0 }, becomes: { a: 0 } },
  { case: 'a date', value: { at: new Date(0) }, becomes: { at: '1970-01-01T00:00:00.000Z' } },
  { case: 'a key without a value', value: { a: undefined, b: 1 }, becomes: { b: 1 } },
])('$case', ({ value, becomes }) => {
  expect(throughJson(value)).toStrictEqual(becomes);
});
