import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

const [, ...sections] = readFileSync('docs/security.md', 'utf8')
  .split(/^## /m)
  .map((text) => ({ heading: text.split('\n')[0] ?? '', text: text.replaceAll(/\s+/g, ' ') }));

/** Says what is not shown. */
const LIMITS = 'What nothing prevents yet';

describe('each section of docs/security.md', () => {
  it.each(sections.filter(({ heading }) => heading !== LIMITS))(
    'names the tests that show it: $heading',
    ({ text }) => {
      const tests = [...text.matchAll(/`(test\/[\w/.-]+)`/g)].map(([, file = '']) => file);
      expect(tests).not.toEqual([]);
      expect(tests.filter((file) => !existsSync(file))).toEqual([]);
    },
  );

  it('names only cases that the tests have', () => {
    const cases = sections.flatMap(({ text }) => [...text.matchAll(/`(test\/[\w/.-]+\.ts)` \("([^"]+)"/g)]);
    expect(cases.length).toBeGreaterThan(8);
    const missing = cases.filter(([, file = '', name = '']) => !readFileSync(file, 'utf8').includes(name));
    expect(missing.map(([found]) => found)).toEqual([]);
  });
});
