import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build, type Plugin } from 'esbuild';

/** Inside node_modules, so that a bundle finds the packages that cannot be bundled. */
const CACHE = 'node_modules/.cache';

/** They start programs of their own or find their files by their own path. */
const NOT_BUNDLED = ['esbuild', 'aws-cdk-lib', 'tsx'];

/** Bundled modules find the files of the project where they did before. */
const keepUrls: Plugin = {
  name: 'keep-urls',
  setup: ({ onLoad }) => {
    onLoad({ filter: /\.ts$/ }, ({ path }) => {
      const text = readFileSync(path, 'utf8');
      const url = JSON.stringify(pathToFileURL(path).href);
      return { loader: 'ts', contents: text.replaceAll('import.meta.url', url) };
    });
  },
};

/**
 * Bundles the commands once for all tests that start them as processes: a bundle starts in a fifth of the time
 * that the TypeScript loader takes.
 */
export default async function setup(): Promise<() => void> {
  mkdirSync(CACHE, { recursive: true });
  const folder = resolve(mkdtempSync(join(CACHE, 'test-commands-')));
  await build({
    entryPoints: ['cli/main.ts', 'test/support/shown-at-once.ts'],
    entryNames: '[name]',
    outdir: folder,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    external: NOT_BUNDLED,
    banner: {
      js: "import { createRequire as requireOf } from 'node:module'; const require = requireOf(import.meta.url);",
    },
    plugins: [keepUrls],
    logLevel: 'error',
  });
  process.env.BUNDLED_COMMANDS = folder;
  return () => rmSync(folder, { recursive: true, force: true });
}

/** The words for Node.js that start `npm run NAME -- ...`. */
export const commandWords = (...words: string[]): string[] => [bundled('main'), ...words];

/** The same, with progress shown from the beginning and not only after two seconds. */
export const shownAtOnce = (...words: string[]): string[] => [bundled('shown-at-once'), ...words];

function bundled(name: string): string {
  const folder = process.env.BUNDLED_COMMANDS;
  if (folder === undefined) throw new Error(`globalSetup must have ${import.meta.url}`);
  return join(folder, `${name}.mjs`);
}
