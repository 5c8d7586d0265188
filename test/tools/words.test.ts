import { describe, expect, it } from 'vitest';
import { complaints, isChecked, type Rule, readRules } from '../../tools/words.ts';

const rule = (given: Partial<Rule>): Rule => ({
  find: ['unless told'],
  write: 'the default',
  except: [],
  ...given,
});

const check = (text: string, ...rules: Rule[]) => complaints(new Map([['docs/page.md', text]]), rules);

describe('the check of words', () => {
  it('finds a planted word, with its line and with what to write', () => {
    expect(check('One.\nIt takes 5 minutes unless told.\n', rule({}))).toEqual([
      'docs/page.md:2: "unless told". Write the default.',
    ]);
  });

  it.each([
    { where: 'at the start of a sentence', text: 'Unless told, it waits.' },
    { where: 'over two lines', text: 'It waits unless\ntold.' },
    { where: 'over two lines of a block comment', text: '/**\n * It waits unless\n * told.\n */' },
    { where: 'over two line comments', text: '  // It waits unless\n  // told.' },
    { where: 'over two lines of a script', text: '# It waits unless\n# told.' },
  ])('finds a word $where', ({ text }) => {
    expect(check(text, rule({}))).toHaveLength(1);
  });

  it.each(['sunless told', 'unless tolded', 'quiet-unless told'])('takes no part of a word: %s', (text) => {
    expect(check(text, rule({}))).toEqual([]);
  });

  it.each(readRules().flatMap((each) => each.find.map((word) => ({ word, ...each }))))(
    'finds "$word"',
    ({ word, ...each }) => {
      const file = (each.in?.[0] ?? 'docs/').replace(/\/$/, '/page.md');
      const text = `The word ${word} is planted.`;
      expect(complaints(new Map([[file, text]]), [{ ...each, except: [] }])).toEqual([
        `${file}:1: "${word}". Write ${each.write}.`,
      ]);
    },
  );

  it('leaves out the files of an exception, and complains of an exception that is not needed', () => {
    const except = [{ file: 'docs/page.md', because: 'it quotes it' }];
    expect(check('unless told', rule({ except }))).toEqual([]);
    expect(check('by default', rule({ except }))).toEqual([
      'tools/words.yaml: the exception of "unless told" for docs/page.md is not needed. Delete it.',
    ]);
  });

  it('checks only the places of a rule that has some', () => {
    expect(check('unless told', rule({ in: ['cli/', 'README.md'] }))).toEqual([]);
    expect(check('unless told', rule({ in: ['docs/'] }))).toHaveLength(1);
  });

  it.each([
    { file: 'README.md', checked: true },
    { file: 'userdata/boot.sh', checked: true },
    { file: 'fleets.schema.json', checked: true },
    { file: 'package-lock.json', checked: false },
    { file: 'test/infra/__snapshots__/template.json', checked: false },
    { file: 'docs/policies.svg', checked: false },
  ])('checks $file: $checked', ({ file, checked }) => {
    expect(isChecked(file)).toBe(checked);
  });
});
