import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Terminal } from '../../cli/terminal/terminal.ts';
import { foldable, folded, wrapped } from '../../functions/lib/fold.ts';

describe('a line ends', () => {
  it.each([
    {
      text: 'Deploy it first: npx cdk deploy --all',
      parts: ['Deploy', 'it', 'first:', 'npx cdk deploy --all'],
    },
    {
      text: 'Sign in (aws sso login --profile x), or correct the profile in ~/.aws/config.',
      parts: [
        'Sign',
        'in',
        '(aws sso login --profile x),',
        'or',
        'correct',
        'the',
        'profile',
        'in',
        '~/.aws/config.',
      ],
    },
    {
      text: 'set it: aws configure set region eu-west-1',
      parts: ['set', 'it:', 'aws configure set region eu-west-1'],
    },
    {
      text: 'npm run explain -- linux --stack a says why',
      parts: ['npm run explain -- linux --stack a', 'says', 'why'],
    },
    {
      text: 'npm run simulate -- --set headroom=3 --policies ours. Then npm run doctor again',
      parts: ['npm run simulate -- --set headroom=3 --policies ours.', 'Then', 'npm run doctor', 'again'],
    },
    {
      text: 'one of: "no such file", npm run secrets -- FLEET',
      parts: ['one', 'of:', '"no such file",', 'npm run secrets -- FLEET'],
    },
    {
      text: 'aws autoscaling resume-processes --auto-scaling-group-name a-b --scaling-processes Launch',
      parts: ['aws autoscaling resume-processes --auto-scaling-group-name a-b --scaling-processes Launch'],
    },
    {
      text: 'Store them: npm run secrets -- --fleets b.yaml --stack b linux. See npm run doctor.',
      parts: [
        'Store',
        'them:',
        'npm run secrets -- --fleets b.yaml --stack b linux.',
        'See',
        'npm run doctor.',
      ],
    },
    {
      text: "See npm run doctor -- --fleets 'my fleets.yaml' linux, or npx cdk diff -c fleets='my fleets.yaml'.",
      parts: [
        'See',
        "npm run doctor -- --fleets 'my fleets.yaml' linux,",
        'or',
        "npx cdk diff -c fleets='my fleets.yaml'.",
      ],
    },
    {
      text: 'write one with npm run --silent simulate -- --json > before.json, and compare',
      parts: ['write', 'one', 'with', 'npm run --silent simulate -- --json > before.json,', 'and', 'compare'],
    },
    { text: '  each AWS service; laws hold', parts: ['  each', 'AWS', 'service;', 'laws', 'hold'] },
  ])('not within a command or a quoted value: $text', ({ text, parts }) => {
    expect(foldable(text)).toEqual(parts);
  });
});

describe('a long text', () => {
  it('is folded at its words, with the indentation of each line, and keeps a mark in a file', () => {
    const text = [
      'The fleets file is wrong:',
      '  linux.maxReplicas must be a whole number of at least one, got "many"',
      `  12 | maxReplicas: many ${'#'.repeat(40)}`,
      `     | ${' '.repeat(13)}^`,
    ].join('\n');
    expect(folded(text, 40)).toBe(
      [
        'The fleets file is wrong:',
        '  linux.maxReplicas must be a whole',
        '    number of at least one, got "many"',
        `  12 | maxReplicas: many ${'#'.repeat(40)}`,
        `     | ${' '.repeat(13)}^`,
      ].join('\n'),
    );
  });

  it('leaves a command whole that is longer than a line, and a screen breaks it', () => {
    const command = 'aws autoscaling resume-processes --auto-scaling-group-name a --scaling-processes Launch';
    expect(folded(`Resume it, for example with: ${command}`, 60)).toBe(
      `Resume it, for example with:\n${command}`,
    );
    expect(wrapped(`To do: ${command}`, 60, 5).filter((line) => line.length > 60)).toEqual([]);
  });

  it('does not count colours', () => {
    expect(folded('\x1b[2mone two\x1b[22m', 7)).toBe('\x1b[2mone two\x1b[22m');
  });

  it('keeps every word, and every line that fits', () => {
    const word = fc.stringMatching(/^[a-zA-Z/"-]{1,12}$/);
    const text = fc.array(fc.array(word, { minLength: 1, maxLength: 30 }), { maxLength: 4 });
    fc.assert(
      fc.property(text, fc.integer({ min: 20, max: 120 }), (lines, columns) => {
        const given = lines.map((words) => words.join(' ')).join('\n');
        const made = folded(given, columns);
        expect(made.split(/\s+/)).toEqual(given.split(/\s+/));
        for (const line of given.split('\n').filter((each) => each.length <= columns))
          expect(made.split('\n')).toContain(line);
      }),
    );
  });
});

describe('a terminal', () => {
  const written = (isTTY: boolean, write: (terminal: Terminal) => void) => {
    let text = '';
    const output = { isTTY, columns: 20, write: (more: string) => (text += more) };
    write(new Terminal({ stdout: output, stderr: output }));
    return text;
  };
  const LONG = 'There is no such fleet: npm run status';

  it('folds complaints, and a pipe gets them whole', () => {
    expect(written(true, (terminal) => terminal.note(LONG))).toBe(
      'There is no such\nfleet:\nnpm run status\n',
    );
    expect(written(false, (terminal) => terminal.note(LONG))).toBe(`${LONG}\n`);
  });

  it('folds sentences of a result, and a pipe gets them whole', () => {
    expect(written(true, (terminal) => terminal.printProse(LONG))).toBe(
      'There is no such\nfleet:\nnpm run status\n',
    );
    expect(written(false, (terminal) => terminal.printProse(LONG))).toBe(`${LONG}\n`);
  });

  it('shows lines of a file as they are', () => {
    expect(written(true, (terminal) => terminal.quote(LONG))).toBe(`${LONG}\n`);
  });
});
