import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { GENERATORS, USAGE } from '../../tools/generate.ts';

const TESTED = Object.entries(GENERATORS).flatMap(([name, { files, test }]) =>
  files.flatMap((file) => (test === undefined ? [] : [{ name, file, test }])),
);

it.each(TESTED)('$test reads $file, which is generated, to compare it', ({ file, test }) => {
  expect(readFileSync(test, 'utf8')).toContain(`readFileSync('${file}', 'utf8')`);
});

it('a run of .ci compares the generated files that no test compares', () => {
  const untested = Object.values(GENERATORS).filter(({ test }) => test === undefined);
  expect(untested.length).toBeGreaterThan(0);
  expect(readFileSync('.ci/run', 'utf8')).toMatch(
    /^ *npm run generate -- --untested\n *git diff --exit-code$/m,
  );
});

it('its help text has all names and fits into a terminal of 80 columns', () => {
  for (const name of Object.keys(GENERATORS)) expect(USAGE).toContain(`  ${name} `);
  for (const line of USAGE.split('\n')) expect(line.length).toBeLessThanOrEqual(80);
});
