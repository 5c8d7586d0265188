import { copyFileSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
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

/** The bundles by name, which one process makes once. */
let bundled: Map<string, Uint8Array> | undefined;

function bundles(): Map<string, Uint8Array> {
  // The package does not depend on esbuild.
  const { buildSync }: typeof import('esbuild') = createRequire(import.meta.url)('esbuild');
  const { outputFiles } = buildSync({ ...functionBundles(ROOT), write: false });
  return new Map(outputFiles.map(({ path, contents }) => [basename(dirname(path)), contents]));
}

/**
 * Writes the bundle of a function, the package's or one that is made here.
 *
 * @param name A key of `functionSources`. Any other is an error.
 * @param folder Is made, and belongs to the caller.
 * @param files More files, as paths by their names in the folder.
 */
export function writeBundle(name: string, folder: string, files: Record<string, string> = {}): void {
  mkdirSync(folder, { recursive: true });
  const file = join(folder, 'index.mjs');
  if (existsSync(PREBUILT)) copyFileSync(join(PREBUILT, name, 'index.mjs'), file);
  else {
    bundled ??= bundles();
    const bundle = bundled.get(name);
    if (bundle === undefined)
      throw new Error(`There is no source of a function ${name}: see functionSources`);
    writeFileSync(file, bundle);
  }
  for (const [beside, path] of Object.entries(files)) copyFileSync(path, join(folder, beside));
}
