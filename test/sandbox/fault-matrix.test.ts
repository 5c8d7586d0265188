import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { FAULTS } from '../../sandbox/faults/faults.ts';
import { matrixPage } from '../../tools/fault-matrix.ts';
import { checkFaults } from '../support/fault-matrix.ts';

/** One fault of each kind that `checkFaults` tells apart. `npm run test:matrix` plays all. */
const SAMPLE = [
  'CircleCI answers JSON cut short',
  'CircleCI answers 429, Retry-After 1 h, to every third request',
  'the secret is malformed',
  'SetDesiredCapacity is denied',
  'EC2 has no capacity',
  'EC2 takes Spot Instances back, after 10 minutes on average',
  '60 tasks of the class run on runners of somebody else',
  'a person pauses the fleet',
  'the workflow is not started',
].map((name) => {
  const fault = FAULTS.find((candidate) => candidate.name === name);
  if (fault === undefined) throw new Error(`There is no fault "${name}"`);
  return fault;
});

checkFaults(SAMPLE);

it('docs/fault-matrix.md has a row for each fault, in order, below what `npm run generate` writes', () => {
  const page = readFileSync('docs/fault-matrix.md', 'utf8');
  const rows = page.split('\n').filter((line) => line.startsWith('| '));
  expect(page).toBe(matrixPage(rows.slice(2)));
  expect(rows.slice(2).map((row) => row.split(' | ')[0])).toEqual(FAULTS.map(({ name }) => `| ${name}`));
});
