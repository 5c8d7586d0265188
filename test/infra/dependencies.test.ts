import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';

const { engines, dependencies, devDependencies } = z
  .object({
    engines: z.object({ node: z.string() }),
    dependencies: z.record(z.string(), z.string()),
    devDependencies: z.record(z.string(), z.string()),
  })
  .parse(JSON.parse(readFileSync('package.json', 'utf8')));

/** The folders that `cdk deploy` loads. */
const DEPLOYED = ['fleets', 'functions', 'infra', 'statemachine', 'userdata'];

/** `cdk` runs the app with tsx, and the app bundles the functions with esbuild. */
const STARTED = ['aws-cdk', 'esbuild', 'tsx'];

/** The packages that the files of some folders import. */
function importedBy(folders: string[]): string[] {
  const sources = folders.flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts'))
      .map((file) => readFileSync(`${folder}/${file}`, 'utf8')),
  );
  const names = sources.flatMap((source) =>
    [...source.matchAll(/from '(?!node:)((?:@[\w-]+\/)?\w[\w.-]*)/g)].map(([, name = '']) => name),
  );
  return [...new Set(names)].toSorted();
}

describe('package.json', () => {
  it('has in dependencies what a deployment needs, and nothing else', () => {
    const needed = [...importedBy(DEPLOYED), ...STARTED].toSorted();
    expect(Object.keys(dependencies).toSorted()).toEqual(needed);
  });

  it('has no package in both, and each that commands, tests and generators import', () => {
    const known = [...Object.keys(dependencies), ...Object.keys(devDependencies)];
    expect(new Set(known).size).toBe(known.length);
    const folders = ['bench', 'cli', 'sandbox', 'simulator', 'test', 'tools'];
    expect(importedBy(folders).filter((name) => !known.includes(name))).toEqual([]);
  });

  it('requires the Node.js that the README requires, and the tests run on at least that', () => {
    const [, least] = /^>=(\d+)$/.exec(engines.node) ?? [];
    const required = [...readFileSync('README.md', 'utf8').matchAll(/Node(?:\.js)? (\d+) or newer/g)];
    expect(required.length).toBeGreaterThan(0);
    for (const [, version] of required) expect(version).toBe(least);
    expect(Number(process.versions.node.split('.')[0])).toBeGreaterThanOrEqual(Number(least));
  });
});
