import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { OF_GROUP, OF_SECRETS } from '../../sandbox/faults/aws.ts';
import { OF_CIRCLECI } from '../../sandbox/faults/circleci.ts';
import { FAULTS } from '../../sandbox/faults/faults.ts';
import { matrixPage } from '../../tools/fault-matrix.ts';
import { checkFaults } from '../support/fault-matrix.ts';

const OF_REQUESTS = [...OF_CIRCLECI, ...OF_SECRETS, ...OF_GROUP];

// The others are in fault-matrix-requests.test.ts.
checkFaults(FAULTS.filter((fault) => !OF_REQUESTS.includes(fault)));

it('docs/fault-matrix.md has a row for each fault, in order, below what `npm run generate` writes', () => {
  const page = readFileSync('docs/fault-matrix.md', 'utf8');
  const rows = page.split('\n').filter((line) => line.startsWith('| '));
  expect(page).toBe(matrixPage(rows.slice(2)));
  expect(rows.slice(2).map((row) => row.split(' | ')[0])).toEqual(FAULTS.map(({ name }) => `| ${name}`));
});
