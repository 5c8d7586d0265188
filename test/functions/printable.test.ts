import { describe, expect, it } from 'vitest';
import { printable, printableName } from '../../functions/lib/printable.ts';

describe('a text from outside', () => {
  it.each([
    { case: 'that controls a terminal', text: 'a\u001b[2Jb\u009b2Jc\u007f' },
    { case: 'with a direction of its own', text: 'a\u202ab\u202bc\u202cd\u202de\u202ef' },
    { case: 'with an isolated direction', text: 'a\u2066b\u2067c\u2068d\u2069e' },
    { case: 'with marks of a direction', text: 'a\u200eb\u200fc\u061cd' },
    { case: 'with what has no width', text: 'a\u200bb\u200cc\u200dd\u2060e\ufefff\u00adg' },
    { case: 'with separators of lines and paragraphs', text: 'a\u2028b\u2029c' },
    { case: 'with fillers that are letters and show nothing', text: 'a\u115fb\u3164c' },
    { case: 'with tags of a language', text: 'a\u{e0061}b' },
    { case: 'with half of a character', text: 'a\ud800b' },
  ])('$case shows a sign in the place of each', ({ text }) => {
    expect(printable(text)).toMatch(/^[a-g2J[\ufffd]+$/);
    expect(printable(text)).toContain('\ufffd');
  });

  it('keeps letters of any language, tabs and line ends', () => {
    const text = 'Prüfung\tлинукс\n日本語 שלום é €';
    expect(printable(text)).toBe(text);
    expect(printable('a\r\nb')).toBe('a\nb');
  });

  it('has no line end as a part of a line, and not more than its length', () => {
    expect(printableName('a\nb\tc\r\nd', 20)).toBe('a\ufffdb\ufffdc\ufffdd');
    expect(printableName('x'.repeat(21), 20)).toBe(`${'x'.repeat(20)}...`);
    expect(printableName('x'.repeat(20), 20)).toBe('x'.repeat(20));
  });
});
