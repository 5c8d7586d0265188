import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type BuildOptions, build, type Metafile, type Plugin } from 'esbuild';
import { COMMANDS } from '../cli/commands.ts';
import { functionBundles } from '../infra/function-bundles.ts';
import { bundleAssets } from '../simulator/report/assets.ts';
import { bundleWorker } from '../simulator/threads.ts';
import { packageFolders } from './package-folders.ts';

/**
 * Builds `dist/`, which `npm pack` puts into the package. `npm pack` calls it (`prepack`). An argument names another folder.
 *
 * - The library is compiled file by file, so that its modules find each other and their data where the sources do.
 * - The functions are bundled as a deployment from the repository bundles them, so that both deploy the same code.
 * - The commands are bundled with what they import, so that the package depends on nothing but what the library needs.
 */

const ROOT = fileURLToPath(new URL('../', import.meta.url));

/** Files that modules read by their own path. They are at the same path in `dist/`. */
const DATA = [
  'statemachine/autoscale.asl.json',
  'statemachine/reconcile.asl.json',
  'cli/local-aws/ministack.txt',
  'cdk.json',
];
const USER_DATA = 'userdata';

/** Compiles the library and the app to modules with types and source maps. */
function compileLibrary(dist: string): void {
  execFileSync(
    process.execPath,
    [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', 'tsconfig.package.json', '--outDir', dist],
    {
      cwd: ROOT,
      stdio: 'inherit',
    },
  );
  for (const file of readdirSync(dist, { recursive: true, encoding: 'utf8' })) {
    if (!/\.(js|d\.ts)$/.test(file)) continue;
    writeFileSync(join(dist, file), withPackageCommands(readFileSync(join(dist, file), 'utf8')));
  }
}

function copyData(dist: string): void {
  const scripts = readdirSync(join(ROOT, USER_DATA)).filter((file) => !file.endsWith('.ts'));
  for (const file of [...DATA, ...scripts.map((script) => `${USER_DATA}/${script}`)]) {
    cpSync(join(ROOT, file), join(dist, file));
  }
}

/** Bundles, and remembers what it has bundled. */
async function bundle(options: BuildOptions): Promise<Metafile> {
  const { metafile } = await build({
    ...options,
    absWorkingDir: ROOT,
    bundle: true,
    metafile: true,
    logLevel: 'warning',
  });
  return metafile;
}

/** What the package calls a command that the repository calls `npm run NAME -- ...`. */
export function withPackageCommands(source: string): string {
  const names = [...Object.keys(COMMANDS), 'COMMAND', String.raw`\$\{\w+\}`].join('|');
  return source
    .replaceAll(
      new RegExp(String.raw`\bnpm run (?:--silent )?(${names})(?![\w:-])( --(?= ))?( --(?=['"\`]))?`, 'g'),
      'npx circleci-runners $1',
    )
    .replaceAll(/\bnpm start\b( --(?= ))?( --(?=['"`]))?/g, 'npx circleci-runners start');
}

/** The modules of the project, with the names of the package's commands, and the paths that they have in `dist/`. */
const ourModules: Plugin = {
  name: 'our-modules',
  setup: ({ onLoad }) => {
    onLoad({ filter: /\.ts$/ }, ({ path }) => {
      if (path.includes('node_modules')) return undefined;
      const inDist = JSON.stringify(`../${relative(ROOT, path)}`);
      const contents = withPackageCommands(readFileSync(path, 'utf8')).replaceAll(
        'import.meta.url',
        `new URL(${inDist}, import.meta.url).href`,
      );
      return { loader: 'ts', contents };
    });
  },
};

/** The text of the workflow's engine and what it imports, in place of its files; see sandbox/engine.ts. */
const engineInside: Plugin = {
  name: 'engine-inside',
  setup: ({ onLoad, onResolve }) => {
    const file = createRequire(import.meta.url).resolve('aws-local-stepfunctions');
    onResolve({ filter: /^text:/ }, ({ path }) => ({ path: path.slice('text:'.length), namespace: 'text' }));
    onLoad({ filter: /.*/, namespace: 'text' }, ({ path }) => ({
      loader: 'text',
      contents: readFileSync(path, 'utf8'),
    }));
    onLoad({ filter: /sandbox\/engine-source\.ts$/ }, () => ({
      loader: 'js',
      resolveDir: dirname(file),
      contents: `
        import source from ${JSON.stringify(`text:${file}`)};
        const modules = {
          'jsonpath-plus': () => require('jsonpath-plus'),
          'p-limit': () => require('p-limit'),
          'wildcard-match': () => require('wildcard-match'),
        };
        export const FILE = 'aws-local-stepfunctions';
        export const readSource = () => source;
        export const required = (name) => modules[name]();
      `,
    }));
  },
};

/**
 * Bundles the program of `npx circleci-runners`, and the app, which asks AWS what is deployed, with all that the package does
 * not depend on. Both share chunks.
 */
function bundlePrograms(dist: string): Promise<Metafile> {
  return bundle({
    entryPoints: [
      { in: 'cli/main.ts', out: 'cli/main' },
      { in: 'infra/app.ts', out: 'infra/app' },
    ],
    platform: 'node',
    outdir: dist,
    chunkNames: 'cli/chunk-[hash]',
    splitting: true,
    format: 'esm',
    target: 'node20',
    minify: true,
    legalComments: 'none',
    // Only the repository bundles when a command runs.
    external: ['esbuild', 'aws-cdk-lib', 'constructs'],
    banner: {
      js: "#!/usr/bin/env node\nimport { createRequire as requireOf } from 'node:module'; const require = requireOf(import.meta.url);",
    },
    plugins: [engineInside, ourModules],
  });
}

/** What the commands bundle in the repository when they run. */
async function bundleSimulator(dist: string): Promise<void> {
  mkdirSync(join(dist, 'simulator/report'), { recursive: true });
  writeFileSync(join(dist, 'simulator/worker.cjs'), await bundleWorker());
  writeFileSync(join(dist, 'simulator/report/assets.json'), JSON.stringify(await bundleAssets()));
}

/** The licences of everything in the bundles, which their authors ask to pass on. */
function writeNotices(dist: string, folders: readonly string[]): void {
  const namesByText = new Map<string, string[]>();
  for (const folder of folders) {
    const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
    const files = readdirSync(folder, { withFileTypes: true }).filter(
      (file) => file.isFile() && /^(licen[cs]e|notice)/i.test(file.name),
    );
    const text = files.map(({ name: file }) => readFileSync(join(folder, file), 'utf8').trim()).join('\n\n');
    const shown = text === '' ? `License: ${license}` : text;
    namesByText.set(shown, [...(namesByText.get(shown) ?? []), `${name} ${version}`]);
  }
  const parts = [...namesByText].map(([text, names]) => `${names.join('\n')}\n\n${text}\n`);
  const rule = `\n${'-'.repeat(80)}\n\n`;
  writeFileSync(
    join(dist, 'THIRD-PARTY-NOTICES.txt'),
    ['The commands and the functions of this package contain these packages.\n', ...parts].join(rule),
  );
}

async function buildPackage(dist: string): Promise<void> {
  rmSync(dist, { recursive: true, force: true });
  compileLibrary(dist);
  copyData(dist);
  await bundleSimulator(dist);
  // The page of a report has packages that no command has.
  const page = await bundle({ entryPoints: ['simulator/report/client/page.ts'], write: false });
  const functions = await bundle(functionBundles(join(dist, 'bundles')));
  const metafiles = [functions, await bundlePrograms(dist), page];
  writeNotices(
    dist,
    packageFolders(metafiles).map((folder) => join(ROOT, folder)),
  );
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  await buildPackage(resolve(process.argv[2] ?? join(ROOT, 'dist')));
