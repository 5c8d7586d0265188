import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { afterAll, describe, expect, it } from 'vitest';
import { BUNDLING } from '../../infra/node-function.ts';

const sources = [
  ...readdirSync('functions').flatMap((file) => (file.endsWith('.ts') ? [`functions/${file}`] : [])),
  'infra/group-settings-handler.ts',
];

describe('the bundle that is deployed', () => {
  const directory = mkdtempSync(join(tmpdir(), 'bundles-'));
  afterAll(() => rmSync(directory, { recursive: true }));

  it.each(sources)('of %s is under 400 KB, needs no other file, and exports its handler', async (source) => {
    const outfile = join(directory, `${basename(source, '.ts')}.mjs`);
    const { metafile, warnings } = await build({
      entryPoints: [source],
      outfile,
      bundle: true,
      platform: 'node',
      format: BUNDLING.format,
      target: BUNDLING.target,
      minify: BUNDLING.minify,
      mainFields: BUNDLING.mainFields,
      external: BUNDLING.externalModules,
      metafile: true,
      logLevel: 'silent',
    });
    expect(warnings).toEqual([]);
    const [output] = Object.values(metafile.outputs);
    expect(output?.bytes).toBeLessThan(400_000);
    expect(await import(pathToFileURL(outfile).href)).toMatchObject({ handler: expect.any(Function) });
  });
});
