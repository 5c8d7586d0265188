import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { excerpt, masked } from '../../functions/lib/http-answers.ts';

const TOKEN = 'CCIPAT_7f3kq+/Zb~x1_9dQw2Er5Ty';

describe('a text that repeats a token', () => {
  const others = fc.string({ unit: 'binary-ascii', maxLength: 40 });

  it.each<{ form: string; encode: (text: string) => string }>([
    { form: 'as it is', encode: (text) => text },
    { form: 'as a URL encodes it', encode: (text) => encodeURIComponent(text) },
    { form: 'in Base64', encode: (text) => Buffer.from(text).toString('base64') },
    { form: 'in the Base64 of URLs', encode: (text) => Buffer.from(text).toString('base64url') },
  ])('$form does not show it, whatever is around it', ({ encode }) => {
    fc.assert(
      fc.property(others, others, others, (before, after, around) => {
        const text = `${around}${encode(before + TOKEN + after)}${around}`;
        const hidden = masked(text, TOKEN);
        expect(hidden).toContain('***');
        expect(hidden).not.toContain(TOKEN);
        expect(Buffer.from(hidden.replaceAll('***', ''), 'base64').toString()).not.toContain(TOKEN);
      }),
      { numRuns: 500 },
    );
  });

  it('stays as it is otherwise', () => {
    fc.assert(
      fc.property(others, (text) => {
        expect(masked(text, TOKEN)).toBe(text);
      }),
    );
  });
});

describe('an excerpt', () => {
  it('has no character that controls a terminal', () => {
    expect(excerpt('\u001b[2Jall is well\u0007\u009b31m\r\nnext')).toBe(': [2Jall is well 31m next');
  });

  it('is short', () => {
    expect(excerpt('x'.repeat(1_000))).toHaveLength(2 + 120 + 3);
    expect(excerpt(' \n ')).toBe('');
  });
});
