import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

const page = readFileSync('docs/security.md', 'utf8');

/** The parts of the page behind headings of a level, up to the next heading of this or a higher level. */
const sectionsOf = (level: number) => {
  const [, ...parts] = page.split(new RegExp(`^#{${level}} `, 'm'));
  return parts.map((part) => {
    const [own = ''] = part.split(new RegExp(`^#{2,${level}} `, 'm'));
    return { heading: own.split('\n')[0] ?? '', text: own.replaceAll(/\s+/g, ' ') };
  });
};

/** Says what is not shown. */
const LIMITS = 'What nothing prevents yet';

const testsIn = (text: string) => [...text.matchAll(/`(test\/[\w/.-]+)`/g)].map(([, file = '']) => file);

describe('docs/security.md', () => {
  const sections = [...sectionsOf(2), ...sectionsOf(3)].filter(({ heading }) => heading !== LIMITS);

  it('has a section for each attacker, and parts of some', () => {
    expect(sectionsOf(2).length).toBeGreaterThan(12);
    expect(sectionsOf(3).map(({ heading }) => heading)).toContain('Rotate a token');
  });

  it.each(sections)('names in each section and part the tests that show it: $heading', ({ text }) => {
    expect(testsIn(text)).not.toEqual([]);
  });

  it('names only tests, and cases of them, that are there', () => {
    expect(testsIn(page).filter((file) => !existsSync(file))).toEqual([]);
    const cases = sectionsOf(2).flatMap(({ text }) => [
      ...text.matchAll(/`(test\/[\w/.-]+\.ts)`(?: \(|, )"([^"]+)"/g),
    ]);
    expect(cases.length).toBeGreaterThan(12);
    const missing = cases.filter(([, file = '', name = '']) => !readFileSync(file, 'utf8').includes(name));
    expect(missing.map(([found]) => found)).toEqual([]);
  });
});

describe('what an attacker cannot do', () => {
  const sentences = page.split(/^(?=- )|^$/m).filter((part) => part.startsWith('- **Cannot**'));

  it('is in sentences of its own', () => {
    expect(sentences.length).toBeGreaterThan(15);
  });

  it.each(sentences.map((sentence) => ({ sentence })))('is shown by a test: $sentence', ({ sentence }) => {
    expect(testsIn(sentence)).not.toEqual([]);
  });
});
