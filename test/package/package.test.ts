import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { COMMANDS } from '../../cli/commands.ts';
import { withPackageCommands } from '../../tools/build-package.ts';
import { libraryExample, NPM, PACKAGE, type Packed, pack } from '../support/package.ts';

const run = promisify(execFile);

const MANIFEST = z
  .object({
    dependencies: z.record(z.string(), z.string()),
    peerDependencies: z.record(z.string(), z.string()),
    scripts: z.record(z.string(), z.string()),
  })
  .parse(JSON.parse(readFileSync('package.json', 'utf8')));

const MB = 1_000_000;

let folder: string;
let packed: Packed;
/** A folder in which nothing is installed but the package. */
let adopter: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'package-test-'));
  packed = await pack('.', folder);
  adopter = join(folder, 'adopter');
  mkdirSync(adopter);
  writeFileSync(join(adopter, 'package.json'), JSON.stringify({ private: true, type: 'module' }));
  await run('npm', ['install', '--no-audit', '--prefer-offline', join(folder, packed.filename)], {
    cwd: adopter,
    env: NPM,
  });
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Runs a program in the adopter's folder, which has no TypeScript loader. */
const inAdopter = (program: string, words: string[], cwd = adopter) =>
  run(program, words, { cwd, env: { ...NPM, NODE_OPTIONS: '', AWS_EC2_METADATA_DISABLED: 'true' } });

describe('the file list', () => {
  /** A path with its name left out where each source file has one like it. */
  const kindOf = (path: string) =>
    path
      .replace(
        /^(dist\/(?:fleets|functions|infra|statemachine|userdata)\/).*?(\.d\.ts|\.js|\.js\.map)$/,
        '$1**$2',
      )
      .replace(/^dist\/bundles\/[^/]+\//, 'dist/bundles/*/')
      .replace(/^(dist\/cli|docs)\/(?!main)[^/]*\.(js|md|svg)$/, '$1/*.$2')
      .replace(/^dist\/userdata\/[^/]*(\.sh|\.service|\.conf)$/, 'dist/userdata/*$1')
      .replace(/^examples\/.*/, 'examples/**');

  it('has the compiled library, bundles, data, documents and examples, and nothing else', () => {
    expect([...new Set(packed.files.map(({ path }) => kindOf(path)))].toSorted()).toEqual([
      'CHANGELOG.md',
      'LICENSE',
      'README.md',
      'SECURITY.md',
      'dist/THIRD-PARTY-NOTICES.txt',
      'dist/bundles/*/index.mjs',
      'dist/cdk.json',
      'dist/cli/*.js',
      'dist/cli/local-aws/ministack.txt',
      'dist/cli/main.js',
      'dist/fleets/**.d.ts',
      'dist/fleets/**.js',
      'dist/fleets/**.js.map',
      'dist/functions/**.d.ts',
      'dist/functions/**.js',
      'dist/functions/**.js.map',
      'dist/infra/**.d.ts',
      'dist/infra/**.js',
      'dist/infra/**.js.map',
      'dist/simulator/report/assets.json',
      'dist/simulator/worker.cjs',
      'dist/statemachine/**.d.ts',
      'dist/statemachine/**.js',
      'dist/statemachine/**.js.map',
      'dist/statemachine/autoscale.asl.json',
      'dist/statemachine/reconcile.asl.json',
      'dist/userdata/**.d.ts',
      'dist/userdata/**.js',
      'dist/userdata/**.js.map',
      'dist/userdata/*.conf',
      'dist/userdata/*.service',
      'dist/userdata/*.sh',
      'docs/*.md',
      'docs/*.svg',
      'examples/**',
      'fleets.schema.json',
      'fleets.yaml',
      'guardrails.schema.json',
      'package.json',
    ]);
  });

  it('has a bundle of each function', () => {
    const steps = readdirSync('functions').flatMap((file) =>
      file.endsWith('.ts') ? [file.slice(0, -3)] : [],
    );
    const bundles = packed.files.flatMap(
      ({ path }) => /^dist\/bundles\/(.+)\/index\.mjs$/.exec(path)?.[1] ?? [],
    );
    expect(bundles).toEqual(expect.arrayContaining(steps));
  });

  it('takes less than 4.3 MB to download, and less than 15 MB on disk', () => {
    expect(packed.size).toBeLessThan(4.3 * MB);
    expect(packed.unpackedSize).toBeLessThan(15 * MB);
  });

  it('names the licences of what the bundles contain', () => {
    const notices = readFileSync(
      join(adopter, `node_modules/${PACKAGE}/dist/THIRD-PARTY-NOTICES.txt`),
      'utf8',
    );
    for (const name of [
      '@aws-sdk/client-ssm',
      'commander',
      'echarts',
      'aws-local-stepfunctions',
      'p-limit',
    ]) {
      expect(notices).toMatch(new RegExp(`^${name} \\d`, 'm'));
    }
    expect(notices).toContain('Apache License');
  });
});

describe('the installation', () => {
  it('runs no script', () => {
    const atInstall = ['preinstall', 'install', 'postinstall', 'prepare', 'prepublish'];
    expect(Object.keys(MANIFEST.scripts).filter((name) => atInstall.includes(name))).toEqual([]);
  });

  it('installs its dependencies and peers, and nothing else', async () => {
    const { stdout } = await inAdopter('npm', ['ls', '--all', '--parseable']);
    const [root = '', ...paths] = stdout.trim().split('\n');
    const names = paths.map((path) => path.slice(`${root}/node_modules/`.length));
    // The others are parts of aws-cdk-lib, inside its folder or beside it.
    const own = names.filter((name) => !name.includes('/node_modules/') && !name.startsWith('@aws-cdk/'));
    const { dependencies, peerDependencies } = MANIFEST;
    const expected = [PACKAGE, ...Object.keys(dependencies), ...Object.keys(peerDependencies)];
    expect(own.toSorted()).toEqual(expected.toSorted());
  });
});

describe('publint and attw', () => {
  const tool = (name: string) => resolve('node_modules/.bin', name);

  it('publint finds nothing', async () => {
    const { stdout } = await run(tool('publint'), ['--strict', join(folder, packed.filename)], {
      env: { ...NPM, NO_COLOR: '1' },
    });
    expect(stdout).toContain('All good!');
  });

  it('attw finds that types and modules agree, except for CommonJS, which must import() or have Node 22', async () => {
    // The package is ESM only: https://github.com/arethetypeswrong/arethetypeswrong.github.io/blob/main/docs/problems/CJSResolvesToESM.md
    const { stdout } = await run(
      tool('attw'),
      ['--ignore-rules', 'cjs-resolves-to-esm', '--no-color', '--', join(folder, packed.filename)],
      { env: NPM },
    );
    expect(stdout).toContain('No problems found');
  });
});

/** What the examples of docs/library.md use that are of TypeScript alone. */
const PRELUDE = `
import { App, Stack } from 'aws-cdk-lib';
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
import type { IConnectable } from 'aws-cdk-lib/aws-ec2';
import type { IBucket } from 'aws-cdk-lib/aws-s3';
import type { ITopic } from 'aws-cdk-lib/aws-sns';
import { EmailSubscription } from 'aws-cdk-lib/aws-sns-subscriptions';
import { CircleCiRunners, type FleetProps } from '${PACKAGE}';
declare const app: App, stack: Stack, linux: FleetProps, arm: FleetProps, artifacts: IBucket, database: IConnectable, onCall: ITopic;
`;

/** These examples. */
function objectsExample(): string {
  const page = readFileSync('docs/library.md', 'utf8');
  const examples = [...page.matchAll(/```typescript\n([\s\S]*?)```/g)].map(([, code = '']) => code);
  expect(examples).toHaveLength(2);
  return PRELUDE + examples.join('\n');
}

/** All templates of a cloud assembly, by their file. */
const templatesIn = (assembly: string): Record<string, unknown> =>
  Object.fromEntries(
    readdirSync(assembly)
      .filter((file) => file.endsWith('.template.json'))
      .map((file) => [file, JSON.parse(readFileSync(join(assembly, file), 'utf8'))]),
  );

/** What the CDK's command line tells an app. */
const contextFor = (outdir: string) => ({
  CDK_OUTDIR: outdir,
  CDK_CONTEXT_JSON: JSON.stringify({ runner: 'current' }),
});

describe('the library', () => {
  const modules = ['commonjs', 'module'] as const;

  beforeAll(async () => {
    cpSync('fleets.yaml', join(adopter, 'fleets.yaml'));
    cpSync('examples/nodejs', join(adopter, 'examples/nodejs'), { recursive: true });
    // The fleet of docs/library.md, which has no install script.
    mkdirSync(join(adopter, 'bare'));
    writeFileSync(join(adopter, 'bare/fleets.yaml'), withoutInstall(readFileSync('fleets.yaml', 'utf8')));
    writeFileSync(join(adopter, 'app.js'), libraryExample());
    for (const type of modules) {
      mkdirSync(join(adopter, type));
      writeFileSync(join(adopter, type, 'package.json'), JSON.stringify({ type }));
      writeFileSync(join(adopter, type, 'app.ts'), libraryExample());
    }
  });

  const withoutInstall = (fleets: string) => fleets.replace(/^ {2}install: .*\n/m, '');

  /** The templates that an app synthesises. */
  async function synthesised(cwd: string, ...words: string[]): Promise<Record<string, unknown>> {
    const outdir = mkdtempSync(join(folder, 'out-'));
    await run(process.execPath, words, { cwd, env: { ...NPM, ...contextFor(outdir) } });
    return templatesIn(outdir);
  }

  it('has types, without skipLibCheck, and synthesises what the repository synthesises, with the same code of the functions', async () => {
    for (const name of ['@types/node', 'undici-types']) {
      cpSync(`node_modules/${name}`, join(adopter, 'node_modules', name), { recursive: true });
    }
    const compiler = resolve('node_modules/typescript/bin/tsc');
    const options = ['--strict', '--module', 'nodenext', '--target', 'es2023', '--types', 'node'];
    writeFileSync(join(adopter, 'module', 'objects.ts'), objectsExample());
    const sources = [
      ...modules.map((type) => join(adopter, type, 'app.ts')),
      join(adopter, 'module', 'objects.ts'),
    ];
    await run(process.execPath, [compiler, ...options, ...sources], { cwd: adopter }).catch((error) => {
      throw new Error(error.stdout);
    });
    const app = `node_modules/${PACKAGE}/dist/infra/app.js`;
    const [repository, ofThePackage, withoutScript, fromTypeScript, fromJavaScript] = await Promise.all([
      synthesised('.', '--import', 'tsx', 'infra/app.ts'),
      synthesised(adopter, app),
      synthesised(join(adopter, 'bare'), `../${app}`),
      synthesised(adopter, 'module/app.js'),
      synthesised(adopter, 'app.js'),
    ]);
    expect(Object.keys(repository)).toHaveLength(2);
    // Alarms say what to run, and the package calls that otherwise.
    const expected = JSON.parse(withPackageCommands(JSON.stringify(repository)));
    expect(expected).not.toEqual(repository);
    expect(ofThePackage).toEqual(expected);
    expect(withoutScript).not.toEqual(expected);
    expect(fromTypeScript).toEqual(withoutScript);
    expect(fromJavaScript).toEqual(withoutScript);
  });

  it('is synthesised in an empty folder by the commands of docs/library.md, without a warning', async () => {
    const own = join(folder, 'empty-folder');
    mkdirSync(own);
    const page = readFileSync('docs/library.md', 'utf8');
    const [installing = [], deploying = []] = [...page.matchAll(/```text\n([\s\S]*?)```/g)].map(
      ([, block = '']) => block.trim().split('\n'),
    );
    for (const line of installing)
      await run('bash', ['-c', line], { cwd: own, env: { ...NPM, npm_config_prefer_offline: 'true' } });
    writeFileSync(join(own, 'app.js'), libraryExample());
    expect(deploying[0]).toBe('npx circleci-runners pin');
    const { stdout, stderr } = await inAdopter(
      'npx',
      ['--no-install', 'cdk', 'synth', '--quiet', '-c', 'runner=current'],
      own,
    );
    expect(stdout + stderr).not.toMatch(/warn|feature flag|typeless/i);
    expect(Object.keys(templatesIn(join(own, 'cdk.out')))).toHaveLength(2);
  });

  it('is loaded by CommonJS where Node.js can', async () => {
    const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
    const canRequire = major > 22 || (major === 22 && minor >= 12) || (major === 20 && minor >= 19);
    const loading = inAdopter(process.execPath, [
      '--input-type=commonjs',
      '--eval',
      `console.log(typeof require('${PACKAGE}').CircleCiRunners)`,
    ]);
    if (canRequire) expect((await loading).stdout).toBe('function\n');
    else await expect(loading).rejects.toMatchObject({ stderr: expect.stringContaining('ERR_REQUIRE_ESM') });
  });
});

describe('npx circleci-runners', () => {
  const npx = (...words: string[]) => inAdopter('npx', ['--no-install', 'circleci-runners', ...words], empty);

  let empty: string;
  beforeAll(() => {
    // No fleets.yaml is here.
    empty = join(adopter, 'empty');
    mkdirSync(empty);
  });

  it('lists its commands', async () => {
    const { stdout } = await npx('--help');
    for (const name of Object.keys(COMMANDS)) expect(stdout).toMatch(new RegExp(`^  ${name} +\\S`, 'm'));
    expect(stdout).toContain('npx circleci-runners COMMAND');
  });

  it('exits with 2 if there is no such command', async () => {
    await expect(npx('nothing')).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringContaining('--help says what each does'),
    });
  });

  it('names itself, and not the scripts of the repository', async () => {
    const { stdout } = await npx('pause', '--help');
    expect(stdout).toContain('Usage: npx circleci-runners pause');
    const commands = join(adopter, `node_modules/${PACKAGE}/dist/cli`);
    const texts = readdirSync(commands).filter((file) => file.endsWith('.js'));
    const named = texts.flatMap((file) => [
      ...readFileSync(join(commands, file), 'utf8').matchAll(/npm (start|run \S+)/g),
    ]);
    // Those work in the repository alone.
    expect([...new Set(named.map(([command]) => command))].toSorted()).toEqual([]);
  });

  it('writes with init all that the next commands need', async () => {
    const project = join(adopter, 'project');
    mkdirSync(project);
    const words = ['--no-install', 'circleci-runners', 'init', '--class', 'acme/linux', '--yes'];
    const { stdout } = await inAdopter('npx', words, project);
    expect(stdout).toContain('cdk.json: written');
    expect(stdout).toMatch(/^ {2}npm install --save-dev aws-cdk@2\n {2}npx circleci-runners pin$/m);
    const { app } = JSON.parse(readFileSync(join(project, 'cdk.json'), 'utf8'));
    const outdir = mkdtempSync(join(folder, 'out-'));
    await run('bash', ['-c', app], { cwd: project, env: { ...NPM, ...contextFor(outdir) } });
    expect(Object.keys(templatesIn(outdir))).toHaveLength(2);
  });

  it('runs jobs through the workflow', async () => {
    const { stdout } = await npx('start', '--hours', '0.1');
    expect(stdout).toMatch(/^Jobs +\d+, .* of work, 0 killed$/m);
    expect(stdout).toMatch(/^Executions +\d+ succeeded, 0 failed$/m);
  });

  it('replays jobs, and writes a report, without a bundler', async () => {
    // Threads replay more than 50,000 jobs.
    const goal = ['--workload', 'working-day', '--optimise', '--max-wait-p95', '60'];
    const { stdout } = await npx('simulate', ...goal, '--report', 'report.html');
    expect(stdout).toMatch(/^USD a month: /m);
    const report = readFileSync(join(empty, 'report.html'), 'utf8');
    const own = /<script>[\s\S]{100000,}<\/script>/.test(report);
    expect(own).toBe(true);
  });

  it('exits with 2 where a command finds no fleets.yaml', async () => {
    await expect(npx('schedules')).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringContaining('fleets.yaml cannot be read'),
    });
  });
});
