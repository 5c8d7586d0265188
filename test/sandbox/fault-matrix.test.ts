import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { FAULTS } from '../../sandbox/faults/faults.ts';
import { matrixPage } from '../../tools/fault-matrix.ts';
import { checkFaults, SAMPLE } from '../support/fault-matrix.ts';

checkFaults(SAMPLE);

it('docs/fault-matrix.md has a row for each fault, in order, below what `npm run generate` writes', () => {
  const page = readFileSync('docs/fault-matrix.md', 'utf8');
  const rows = page.split('\n').filter((line) => line.startsWith('| '));
  expect(page).toBe(matrixPage(rows.slice(2)));
  expect(rows.slice(2).map((row) => row.split(' | ')[0])).toEqual(FAULTS.map(({ name }) => `| ${name}`));
});
