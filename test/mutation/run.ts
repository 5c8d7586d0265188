import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { relative } from 'node:path';
import { Stryker } from '@stryker-mutator/core';
import { Command } from 'commander';
import { parse } from 'yaml';
import * as z from 'zod';
import { numberOption } from '../../cli/command-line/arguments.ts';

/**
 * Mutation testing of functions/ with test/functions. It fails if fewer mutants are detected than the thresholds
 * demand, or if one survives in the decision core that equivalents.yaml does not list.
 */

const EQUIVALENTS = 'test/mutation/equivalents.yaml';

/** The files that decide, or that check what a decision is made of. */
const CORE = [
  'poll',
  'poll-metrics',
  'capacity',
  'breaker',
  'decision',
  'pacing',
  'spot',
  'warm-pool',
  'claims',
  'outside',
  'withheld',
  'idleness',
  'zero',
  'zero-check',
  'concurrency',
  'kept-runners',
  'runnable-tasks',
  'at-maximum',
  'arrivals',
  'paused',
  'spare-runners',
  'spare-memory',
  'learned',
  'learned-contexts',
].map((name) => `functions/lib/${name}.ts`);

const GROUPS = [
  { name: 'the decision core', of: (file: string) => CORE.includes(file), percent: 97 },
  { name: 'the rest of functions/', of: (file: string) => !CORE.includes(file), percent: 85 },
];

type MutantResult = Awaited<ReturnType<Stryker['runMutationTest']>>[number];

/** A mutant by its source line, and by what the line becomes: edits elsewhere in the file do not matter. */
interface Place {
  file: string;
  line: string;
  becomes: string;
}

const Equivalents = z.array(
  z.strictObject({ file: z.enum(CORE), line: z.string(), becomes: z.string(), because: z.string().min(10) }),
);

const command = new Command('npm run mutate --')
  .description('Changes functions/ in many small ways, and checks for each of them that a test fails.')
  .argument('[files...]', 'change only these files of functions/')
  .option('--core', 'the decision core only')
  .option(
    '--concurrency <n>',
    'how many mutants to test at once (default: one for each core)',
    numberOption(1, 64),
  )
  .parse();
const { core, concurrency } = command.opts<{ core?: boolean; concurrency?: number }>();
const chosen = command.args.length > 0 ? command.args : ['functions/**/*.ts'];

const mutants = await new Stryker({
  testRunner: 'vitest',
  plugins: ['@stryker-mutator/vitest-runner'],
  vitest: { configFile: 'test/mutation/vitest.config.ts', related: false },
  mutate: core === true ? CORE : chosen,
  // Stryker would rewrite tsconfig.json, which takes the API of TypeScript before 7. The tests do not read it.
  tsconfigFile: 'none',
  disableTypeChecks: false,
  // What test:instance keeps of its machines has links that lead nowhere here.
  ignorePatterns: ['.local'],
  coverageAnalysis: 'perTest',
  concurrency: concurrency ?? availableParallelism(),
  timeoutMS: 20_000,
  reporters: ['progress-append-only'],
  cleanTempDir: 'always',
}).runMutationTest();

const fileOf = ({ fileName }: MutantResult) => relative('.', fileName);

const sources = new Map(
  [...new Set(mutants.map(fileOf))].map((file) => [file, readFileSync(file, 'utf8').split('\n')]),
);

/** Lines and columns are counted from 1. */
function placeOf(mutant: MutantResult): Place {
  const { start, end } = mutant.location;
  const file = fileOf(mutant);
  const lines = sources.get(file) ?? [];
  const [first = '', last = ''] = [lines[start.line - 1], lines[end.line - 1]];
  const becomes = first.slice(0, start.column - 1) + mutant.replacement + last.slice(end.column - 1);
  return { file, line: first.trim(), becomes: becomes.replace(/\s+/g, ' ').trim() };
}

const isDetected = ({ status }: MutantResult) => status === 'Killed' || status === 'Timeout';
const isMissed = ({ status }: MutantResult) => status === 'Survived' || status === 'NoCoverage';
const isSame = (a: Place, b: Place) => a.file === b.file && a.line === b.line && a.becomes === b.becomes;
const show = ({ file, line, becomes }: Place) => `  ${file}\n    ${line}\n    ${becomes}`;

const complaints: string[] = [];
for (const { name, of, percent } of GROUPS) {
  const inGroup = mutants.filter((mutant) => of(fileOf(mutant)));
  if (inGroup.length === 0) continue;
  const detected = inGroup.filter(isDetected).length;
  const missed = inGroup.filter(isMissed).length;
  const score = (100 * detected) / (detected + missed);
  console.log(
    `${name}: ${score.toFixed(1)} % of ${detected + missed} mutants are detected, ${missed} are not`,
  );
  if (score < percent) complaints.push(`${name}: at least ${percent} % must be detected`);
}

const equivalents = Equivalents.parse(parse(readFileSync(EQUIVALENTS, 'utf8')));
const survivors = mutants.filter(isMissed).map(placeOf);
const inCore = survivors.filter(({ file }) => CORE.includes(file));
const unlisted = inCore.filter((place) => !equivalents.some((equivalent) => isSame(equivalent, place)));
const stale = equivalents.filter(
  (equivalent) => sources.has(equivalent.file) && !inCore.some((place) => isSame(equivalent, place)),
);
const rest = survivors.filter(({ file }) => !CORE.includes(file));
if (rest.length > 0) console.log(`Not detected in the rest of functions/:\n${rest.map(show).join('\n')}`);
if (unlisted.length > 0)
  complaints.push(`No test fails, and ${EQUIVALENTS} does not list:\n${unlisted.map(show).join('\n')}`);
if (stale.length > 0)
  complaints.push(`${EQUIVALENTS} lists what does not survive:\n${stale.map(show).join('\n')}`);
for (const complaint of complaints) console.error(complaint);
process.exitCode = complaints.length === 0 ? 0 : 1;
