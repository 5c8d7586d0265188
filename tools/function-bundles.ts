import { readdirSync } from 'node:fs';
import { basename } from 'node:path';
import type { BuildOptions, Metafile } from 'esbuild';
import { BUNDLING } from '../infra/node-function.ts';

/** Bundles the functions as the CDK does when it synthesises the app. */
export function functionBundles(): { name: string; options: BuildOptions & { metafile: true } }[] {
  const steps = readdirSync('functions').filter((file) => file.endsWith('.ts'));
  const sources: Record<string, string> = {
    ...Object.fromEntries(steps.map((file) => [basename(file, '.ts'), `functions/${file}`])),
    'group-settings': 'infra/group-settings-handler.ts',
    images: 'infra/images-handler.ts',
  };
  return Object.entries(sources).map(([name, source]) => ({
    name,
    options: {
      entryPoints: [source],
      bundle: true,
      platform: 'node',
      format: BUNDLING.format,
      target: BUNDLING.target,
      minify: BUNDLING.minify,
      mainFields: BUNDLING.mainFields,
      external: BUNDLING.externalModules,
      metafile: true,
      logLevel: 'warning',
    },
  }));
}

/** The folders of the packages that bundles contain, from the root of the project. */
export function packageFolders(metafiles: readonly Metafile[]): string[] {
  const inputs = metafiles.flatMap(({ inputs }) => Object.keys(inputs));
  const folders = inputs.flatMap(
    (file) => /(?:^|[/:])(node_modules\/(?:.*node_modules\/)?(?:@[^/]+\/)?[^/]+)\//.exec(file)?.[1] ?? [],
  );
  return [...new Set(folders)].toSorted();
}
