import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { remediesOf } from './remedies.ts';
import { COMMANDS, TRIED, type Tried } from './remedy-table.ts';

const REMEDIES = remediesOf(readFileSync('docs/operations.md', 'utf8'));
const named = ({ heading, key }: { heading: string; key: string }) => `${heading}: ${key}`;
const ROWS = Object.entries(TRIED).flatMap(([heading, rows]) =>
  Object.entries(rows).map(([key, tried]) => ({ heading, key, tried })),
);

describe('each remedy of the runbook', () => {
  it('is tried by a test, or has a reason why it is not', () => {
    expect(REMEDIES.length).toBeGreaterThan(100);
    expect(ROWS.map(named).toSorted()).toEqual(REMEDIES.map(named).toSorted());
  });

  it('is tried by a test that there is', () => {
    expect(ROWS.flatMap(({ tried, ...row }) => missing(named(row), tried))).toEqual([]);
  });
});

describe('each command that a message names', () => {
  it('is run by a test, or has a reason why it is not', () => {
    const sources = ['functions', 'infra', 'fleets', 'cli', 'statemachine'].flatMap(sourcesIn);
    const said = new Set(sources.flatMap(commandsIn));
    expect([...said].toSorted()).toEqual(Object.keys(COMMANDS).toSorted());
  });

  it('is run by a test that there is', () => {
    expect(Object.entries(COMMANDS).flatMap(([command, tried]) => missing(command, tried))).toEqual([]);
  });
});

/** Says that a test is missing. */
function missing(what: string, tried: Tried): string[] {
  return 'file' in tried && !titlesIn(tried.file).some((line) => line.includes(tried.title))
    ? [`${what}: ${tried.file} has no test "${tried.title}"`]
    : [];
}

/** The lines that begin a test, or end its table. */
const titlesIn = (file: string): string[] =>
  readFileSync(file, 'utf8').match(/(^ *it\(|^ *it\.each|^ *\]|^ *\)\(|^ +['"`]|^ *it<).*/gm) ?? [];

function sourcesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.(ts|json)$/.test(name))
    .map((name) => readFileSync(join(folder, name), 'utf8'));
}

const commandsIn = (source: string): string[] =>
  [
    ...source.matchAll(
      /(npx cdk (?:bootstrap|deploy|destroy|diff|synth)|npm run [a-z]+)(?: --all)?( --revert-drift)?/g,
    ),
  ].map(([, command = '', drift = '']) => command + drift);
