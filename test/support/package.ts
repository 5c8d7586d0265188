import { execFile } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import * as z from 'zod';

const run = promisify(execFile);

/** The name of the package. */
export const PACKAGE = 'circleci-runner-autoscaler';

/** npm reads no settings of this repository, and says nothing about newer versions of itself. */
export const NPM = { ...process.env, npm_config_update_notifier: 'false', npm_config_fund: 'false' };

const Packed = z
  .tuple([
    z.object({
      filename: z.string(),
      size: z.number(),
      unpackedSize: z.number(),
      files: z.array(z.object({ path: z.string(), mode: z.number() })),
    }),
  ])
  .transform(([packed]) => packed);

/** What `npm pack` says about the package. */
export type Packed = z.infer<typeof Packed>;

/** Packs the package of a folder into another one. */
export async function pack(from: string, to: string, ...words: string[]): Promise<Packed> {
  const { stdout } = await run('npm', ['pack', '--json', '--pack-destination', to, ...words], {
    cwd: from,
    env: NPM,
  });
  return Packed.parse(JSON.parse(stdout.slice(stdout.indexOf('[\n'))));
}

/**
 * Packs the package as `npm pack` does in the repository, but builds it in a folder of its own, because another test may pack
 * at the same time.
 */
export async function packApart(to: string): Promise<Packed> {
  const stage = mkdtempSync(join(to, 'stage-'));
  const { files } = z
    .object({ files: z.array(z.string()) })
    .parse(JSON.parse(readFileSync('package.json', 'utf8')));
  const folders = files.map((pattern) => pattern.replace(/\/\*.*$/, '')).filter((file) => file !== 'dist');
  for (const file of [...new Set(folders), 'package.json', 'README.md', 'LICENSE'])
    cpSync(file, join(stage, file), { recursive: true });
  await run(process.execPath, ['--import', 'tsx', 'tools/build-package.ts', join(stage, 'dist')]);
  return pack(stage, to, '--ignore-scripts');
}

/** Unpacks the package into `node_modules` of a folder, without what it needs, and makes its program executable as npm does. */
export async function unpack(tarball: string, adopter: string): Promise<string> {
  const folder = join(adopter, 'node_modules', PACKAGE);
  mkdirSync(folder, { recursive: true });
  await run('tar', ['-xzf', resolve(tarball), '--strip-components=1', '-C', folder]);
  chmodSync(join(folder, 'dist/cli/main.js'), 0o755);
  return folder;
}

/** The example of docs/library.md, which is both TypeScript and JavaScript. */
export function libraryExample(): string {
  const [, code = ''] = /```ts\n([\s\S]*?)```/.exec(readFileSync('docs/library.md', 'utf8')) ?? [];
  return code;
}
