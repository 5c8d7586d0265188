import { copyFileSync, cpSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../', import.meta.url));

/** The bundles that the package has. In the repository there are none. */
const PREBUILT = join(ROOT, 'bundles');

/** The functions that are no step of a workflow. */
const HANDLERS = {
  'group-settings': 'infra/group-settings-handler.ts',
  images: 'infra/images-handler.ts',
};

/** Where each function's source is, from the root of the project. Each step has the name of its file. */
export function functionSources(): Record<string, string> {
  const steps = readdirSync(join(ROOT, 'functions')).filter((file) => file.endsWith('.ts'));
  return {
    ...Object.fromEntries(steps.map((file) => [file.slice(0, -'.ts'.length), `functions/${file}`])),
    ...HANDLERS,
  };
}

/**
 * Options of esbuild that bundle each function into one file, `NAME/index.mjs` in a folder. One run for all functions reads
 * each package once. A bundle includes the SDK, so that it runs the version that was tested and starts faster.
 */
export function functionBundles(outdir: string) {
  return {
    absWorkingDir: ROOT,
    entryPoints: Object.entries(functionSources()).map(([name, source]) => ({
      in: source,
      out: `${name}/index`,
    })),
    outdir,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    minify: true,
    mainFields: ['module', 'main'],
    metafile: true,
    logLevel: 'warning',
  } satisfies import('esbuild').BuildOptions;
}

let bundled: string | undefined;

/** The folder with the bundle of a function: the package's, or one that lasts as long as this process. */
export function bundleOf(name: string): string {
  if (existsSync(PREBUILT)) return join(PREBUILT, name);
  if (bundled === undefined) {
    const folder = mkdtempSync(join(tmpdir(), 'function-bundles-'));
    process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
    // The package does not depend on esbuild.
    const { buildSync }: typeof import('esbuild') = createRequire(import.meta.url)('esbuild');
    buildSync(functionBundles(folder));
    bundled = folder;
  }
  return join(bundled, name);
}

/** The same with more files, as paths by their names in the folder. */
export function bundleWith(name: string, files: Record<string, string>): string {
  const bundle = bundleOf(name);
  if (Object.keys(files).length === 0) return bundle;
  const folder = mkdtempSync(join(tmpdir(), 'function-bundle-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  cpSync(bundle, folder, { recursive: true });
  for (const [file, path] of Object.entries(files)) copyFileSync(path, join(folder, file));
  return folder;
}
