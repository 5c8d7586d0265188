import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fits, matches } from '../../fleets/patterns.ts';

describe('a pattern of guardrails.yaml', () => {
  it.each([
    { pattern: 'm7i.*', fitting: ['m7i.large', 'm7i.'], others: ['m7i', 'm7ixlarge', 'am7i.large'] },
    { pattern: '*', fitting: ['', 'anything', '*'], others: [] },
    { pattern: 'a*a', fitting: ['aa', 'aba'], others: ['a', 'ab'] },
    { pattern: 'a*b*b', fitting: ['abb', 'aXbXb'], others: ['ab', 'abXa'] },
    { pattern: 'a.c', fitting: ['a.c'], others: ['abc', 'a.cd', ''] },
    { pattern: 'a+', fitting: ['a+'], others: ['aa'] },
  ])('$pattern fits $fitting, and not $others', ({ pattern, fitting, others }) => {
    expect(fitting.filter((text) => !fits(text, [pattern]))).toEqual([]);
    expect(others.filter((text) => fits(text, ['no', pattern]))).toEqual([]);
  });

  it('fits as a regular expression does', () => {
    const some = fc.stringMatching(/^[ab*]{0,8}$/);
    fc.assert(
      fc.property(some, some, (text, pattern) => {
        const expression = new RegExp(`^${pattern.replaceAll('*', '.*')}$`);
        expect(matches(text, pattern)).toBe(expression.test(text));
      }),
    );
  });

  it('takes no time, however many * it has', () => {
    expect(matches('a'.repeat(1_000), `${'*a'.repeat(450)}b`)).toBe(false);
  });
});
