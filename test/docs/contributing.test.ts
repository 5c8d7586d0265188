import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { describe, expect, it } from 'vitest';
import { COMMANDS } from '../../cli/commands.ts';

const read = (file: string) => readFileSync(file, 'utf8');

/** All that a pattern's group finds. */
const found = (text: string, pattern: RegExp) => [...text.matchAll(pattern)].map(([, match = '']) => match);

/** The path of a file of ours that another one imports. */
const IMPORTED = /(?:from|import\(?) ?'(\.[^']+)'/g;

/** The text below a heading of a document. */
function section(document: string, heading: string): string {
  const [, ...parts] = read(document).split(/^## /m);
  return parts.find((part) => part.startsWith(`${heading}\n`)) ?? '';
}

const versioned = execFileSync('git', ['ls-files'], { encoding: 'utf8' }).trim().split('\n');

describe('CONTRIBUTING', () => {
  const SOURCES = ['cli', 'fleets', 'functions', 'infra', 'sandbox', 'simulator', 'statemachine'];
  /** CircleCI's orchestrator has a setting of that name, too. */
  const OF_A_PEER = 'simulator/policies/mro.ts';

  it('lists the source files that name maxSurge, as an example of a setting of the capacity policy', () => {
    const listed = found(section('CONTRIBUTING.md', 'A new setting'), /^- `([^`]+)`:/gm);
    const naming = SOURCES.flatMap((folder) =>
      readdirSync(folder, { recursive: true, encoding: 'utf8' })
        .map((file) => `${folder}/${file}`)
        .filter((file) => file.endsWith('.ts') && file !== OF_A_PEER)
        .filter((file) => read(file).includes('maxSurge')),
    );
    expect(listed.toSorted()).toEqual(naming.toSorted());
  });

  it('says of each file of more than 400 lines why it is one thing', () => {
    const listed = section('CONTRIBUTING.md', 'Long files')
      .split(/^- /m)
      .slice(1)
      .flatMap((item) => found(item.slice(0, item.indexOf('`: ') + 1), /`([^`]+)`/g));
    const long = versioned
      .filter((file) => /\.(ts|sh|css|asl\.json)$/.test(file))
      .filter((file) => read(file).trimEnd().split('\n').length > 400);
    expect(listed.toSorted()).toEqual(long.toSorted());
  });
});

describe('a suite of tests that npm test does not run', () => {
  const folders = found(read('vitest.config.ts'), /'test\/([a-z]+)\/\*\*'/g);

  it('is of a folder with tests', () => {
    expect(folders.length).toBeGreaterThan(5);
    for (const folder of folders) {
      expect(readdirSync(`test/${folder}`).filter((file) => file.endsWith('.test.ts'))).not.toEqual([]);
    }
  });

  it.each(folders)('test:%s is run by .ci/run, and CONTRIBUTING says what it tests', (folder) => {
    const command = `npm run test:${folder}`;
    expect(Object.keys(JSON.parse(read('package.json')).scripts)).toContain(`test:${folder}`);
    expect(read('.ci/run')).toMatch(new RegExp(`^ *(nice -n 5 )?${command}( |$)`, 'm'));
    expect(read('CONTRIBUTING.md')).toContain(`| \`${command}\` |`);
  });
});

/** Its machines have a temporary folder of their own, in a namespace that goes with them. */
const ISOLATED = 'test/instance/vitest.config.ts';

it('every suite of tests has one temporary folder, which is deleted after the run', () => {
  const folder = 'test/support/temporary-folder.ts';
  const configs = versioned.filter((file) => file.endsWith('vitest.config.ts') && file !== ISOLATED);
  expect(configs.length).toBeGreaterThan(5);
  const without = configs.filter((file) => !/temporary-folder\.ts'|\.\.\.base\.test/.test(read(file)));
  expect(without).toEqual([]);
  expect(read('vitest.config.ts')).toContain(folder);
});

describe('the architecture', () => {
  const rows = found(section('docs/architecture.md', 'Folders'), /^\| (`.+) \|$/gm).map((row) => {
    const [folder = '', , imports = ''] = row.split(' | ');
    return { folder: folder.replace(/`(.+)\/`/, '$1'), imports: found(imports, /`([a-z]+)\/`/g) };
  });

  it('has a row for each folder of the product', () => {
    const others = ['bench', 'docs', 'examples', 'test', 'tools'];
    const folders = new Set(
      versioned.filter((file) => file.endsWith('.ts')).map((file) => file.split('/')[0] ?? ''),
    );
    const expected = [...folders].filter((folder) => !others.includes(folder) && !folder.endsWith('.ts'));
    expect(rows.map(({ folder }) => folder).toSorted()).toEqual(expected.toSorted());
  });

  it.each(rows)('shows what $folder imports', ({ folder, imports }) => {
    const files = versioned.filter((file) => file.startsWith(`${folder}/`) && file.endsWith('.ts'));
    const imported = files.flatMap((file) =>
      found(read(file), IMPORTED)
        .map((path) => posix.join(posix.dirname(file), path).split('/')[0] ?? '')
        .filter((other) => other !== folder),
    );
    expect([...new Set(imported)].filter((other) => !imports.includes(other))).toEqual([]);
  });

  it('has one file for each command', () => {
    const files = readdirSync('cli').filter((file) => file.endsWith('.ts'));
    const commands = Object.keys(COMMANDS).map((name) => `${name}.ts`);
    expect(files.toSorted()).toEqual([...commands, 'commands.ts', 'main.ts'].toSorted());
    for (const name of Object.keys(COMMANDS))
      expect(read('cli/commands.ts')).toContain(`import('./${name}.ts')`);
  });

  it('has no circle of imports', () => {
    const imports = new Map(
      versioned
        .filter((file) => file.endsWith('.ts'))
        .map((file) => [
          file,
          found(read(file), IMPORTED).map((path) => posix.join(posix.dirname(file), path)),
        ]),
    );
    expect([...imports.values()].flat().length).toBeGreaterThan(500);
    const done = new Set<string>();
    const circleFrom = (file: string, path: readonly string[]): string[] | undefined => {
      if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
      if (done.has(file)) return undefined;
      for (const next of imports.get(file) ?? []) {
        const circle = circleFrom(next, [...path, file]);
        if (circle !== undefined) return circle;
      }
      done.add(file);
      return undefined;
    };
    const circles = [...imports.keys()].map((file) => circleFrom(file, [])).filter(Boolean);
    expect(circles).toEqual([]);
  });
});

it('a type that a file exports shares its name with no type of another file', () => {
  const declared = new Map<string, { file: string; isExported: boolean }[]>();
  for (const file of versioned.filter((name) => /^(?!test\/|examples\/).*\/.*\.ts$/.test(name)))
    for (const [, exported, name = ''] of read(file).matchAll(
      /^(export )?(?:abstract )?(?:class|interface|type) (\w+)/gm,
    ))
      declared.set(name, [...(declared.get(name) ?? []), { file, isExported: exported !== undefined }]);
  expect(declared.size).toBeGreaterThan(500);
  const shared = [...declared].filter(
    ([, places]) => places.length > 1 && places.some(({ isExported }) => isExported),
  );
  expect(shared).toEqual([]);
});
