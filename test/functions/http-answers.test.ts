import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { boundedText, excerpt, masked, retryAfterSeconds } from '../../functions/lib/http-answers.ts';

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

  it('is hidden in the Base64 of URLs with both characters that only this has', () => {
    const token = '~~~???~~~???';
    expect(Buffer.from(token).toString('base64url')).toMatch(/-.*_/);
    expect(masked(Buffer.from(token).toString('base64url'), token)).toBe('***');
  });

  it('stays as it is otherwise', () => {
    fc.assert(
      fc.property(others, (text) => {
        expect(masked(text, TOKEN)).toBe(text);
      }),
    );
  });
});

describe('the wait that Retry-After asks for', () => {
  const now = Date.parse('2026-01-05T08:00:00Z');

  it.each([
    ['10', 10],
    [' 10 ', 10],
    ['0', 1],
    ['86401', 86_400],
    ['Mon, 05 Jan 2026 08:00:10 GMT', 10],
    ['Mon, 05 Jan 2026 08:00:10 +0000', 10],
    ['2026-01-05T08:00:10Z', 10],
    ['2026-01-05T08:00:10+00:00', 10],
    ['Mon, 05 Jan 2026 07:00:00 GMT', 1],
  ])('is, for %s, %i s', (header, seconds) => {
    expect(retryAfterSeconds(header, now)).toBe(seconds);
  });

  it.each([null, '', ' ', 'soon', '1e3'])('is unknown for %s', (header) => {
    expect(retryAfterSeconds(header, now)).toBeUndefined();
  });
});

describe('the text of an answer', () => {
  it('is all of it, up to the limit', async () => {
    expect(await boundedText(new Response('x'.repeat(100)), 100)).toBe('x'.repeat(100));
    expect(await boundedText(new Response('x'.repeat(101)), 100)).toBeUndefined();
  });
});

describe('an excerpt', () => {
  it('has no character that controls a terminal', () => {
    expect(excerpt('\u001b[2Jall is well\u0007\u009b31m\r\nnext')).toBe(': [2Jall is well 31m next');
  });

  it('has no character that changes the direction of the text', () => {
    expect(excerpt('allowed\u202edesufer')).toBe(': allowed\ufffddesufer');
  });

  it('is short', () => {
    expect(excerpt('x'.repeat(121))).toBe(`: ${'x'.repeat(120)}...`);
    expect(excerpt('x'.repeat(120))).toBe(`: ${'x'.repeat(120)}`);
    expect(excerpt(' \n ')).toBe('');
  });
});
