import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';

const { engines, dependencies, peerDependencies, devDependencies } = z
  .object({
    engines: z.object({ node: z.string() }),
    dependencies: z.record(z.string(), z.string()),
    peerDependencies: z.record(z.string(), z.string()),
    devDependencies: z.record(z.string(), z.string()),
  })
  .parse(JSON.parse(readFileSync('package.json', 'utf8')));

/** The packages that sources import. */
function packagesOf(sources: readonly string[]): string[] {
  const names = sources.flatMap((source) =>
    [...source.matchAll(/from '(?!node:)((?:@[\w-]+\/)?\w[\w.-]*)/g)].map(([, name = '']) => name),
  );
  return [...new Set(names)].toSorted();
}

/** The packages that the files of some folders import. */
const importedBy = (folders: string[]): string[] =>
  packagesOf(
    folders.flatMap((folder) =>
      readdirSync(folder, { recursive: true, encoding: 'utf8' })
        .filter((file) => file.endsWith('.ts'))
        .map((file) => readFileSync(`${folder}/${file}`, 'utf8')),
    ),
  );

/** The sources that a file imports, directly or not, and its own. Types are gone when the library runs. */
function sourcesFrom(file: string, found = new Map<string, string>()): Map<string, string> {
  const source = readFileSync(file, 'utf8');
  found.set(file, source);
  for (const [, path = ''] of source.matchAll(
    /^(?:import(?! type)|export(?! type)|\}) ?.*from '(\.[^']+)'/gm,
  )) {
    const imported = posix.join(posix.dirname(file), path);
    if (!found.has(imported)) sourcesFrom(imported, found);
  }
  return found;
}

describe('package.json', () => {
  it('has in dependencies and peers what the library imports, and nothing else', () => {
    const library = [...sourcesFrom('infra/library.ts')];
    expect(Object.keys({ ...dependencies, ...peerDependencies }).toSorted()).toEqual(
      packagesOf(library.map(([, source]) => source)),
    );
  });

  it('takes peers from those who install it, and tests with the oldest that it allows', () => {
    expect(Object.keys(peerDependencies)).toEqual(['aws-cdk-lib', 'constructs']);
    expect(peerDependencies['aws-cdk-lib']).toBe(`^${devDependencies['aws-cdk-lib']}`);
  });

  it('has no package in both, and each that functions, commands, tests and generators import', () => {
    const known = [...Object.keys(dependencies), ...Object.keys(devDependencies)];
    expect(new Set(known).size).toBe(known.length);
    const folders = ['bench', 'cli', 'functions', 'infra', 'sandbox', 'simulator', 'test', 'tools'];
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

describe('npm run sbom', () => {
  const Component = z.object({
    name: z.string(),
    version: z.string(),
    scope: z.enum(['required', 'optional']),
    hashes: z.array(z.object({ alg: z.literal('SHA-512'), content: z.string().length(128) })).optional(),
  });
  const { bomFormat, components } = z.object({ bomFormat: z.string(), components: z.array(Component) }).parse(
    JSON.parse(
      execFileSync('npm', ['run', '--silent', 'sbom'], {
        encoding: 'utf8',
        maxBuffer: 2 ** 26,
        env: { ...process.env, npm_config_update_notifier: 'false' },
      }),
    ),
  );
  /** Names of the packages that have this scope. */
  const named = (wanted: string) =>
    new Set(components.flatMap(({ name, scope }) => (scope === wanted ? [name] : [])));

  it('lists in CycloneDX, with version and checksum, what a deployment loads', () => {
    expect(bomFormat).toBe('CycloneDX');
    const needed = Object.keys({ ...dependencies, ...peerDependencies });
    const inFunctions = ['@aws-sdk/client-auto-scaling', '@aws-lambda-powertools/logger'];
    for (const name of [...needed, ...inFunctions]) {
      const version = dependencies[name] ?? devDependencies[name];
      const [component] = components.filter((each) => each.name === name && each.version === version);
      expect(component).toMatchObject({ scope: 'required', hashes: [{ alg: 'SHA-512' }] });
    }
    // What those load in turn: of the registry, and what aws-cdk-lib brings along.
    for (const name of ['@aws-sdk/core', '@aws-lambda-powertools/commons', 'fs-extra']) {
      expect(named('required')).toContain(name);
    }
  });

  it('marks what only tests and commands load as optional', () => {
    for (const name of ['vitest', 'typescript', 'esbuild', 'playwright-core', '@aws-sdk/client-sfn']) {
      expect(Object.keys(devDependencies)).toContain(name);
      expect(named('optional')).toContain(name);
      expect(named('required')).not.toContain(name);
    }
  });
});

describe('Python packages of the emulators', () => {
  it.each(['cli/local-aws/ministack.txt', 'test/local/moto.txt'])(
    '%s pins each package and its checksums',
    (file) => {
      const packages = readFileSync(file, 'utf8').replaceAll('\\\n', ' ').trim().split('\n');
      expect(packages.length).toBeGreaterThan(10);
      for (const line of packages) {
        expect(line).toMatch(/^[\w.-]+==[\w.]+( ; [^\\#]+?)?( +--hash=sha256:[0-9a-f]{64})+$/);
      }
    },
  );

  it('are installed only if the checksums match, and without running their code', () => {
    const source = readFileSync('cli/local-aws/python.ts', 'utf8');
    expect(source).toContain("'--require-hashes'");
    expect(source).toContain("'--only-binary=:all:'");
  });
});
