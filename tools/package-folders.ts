import type { Metafile } from 'esbuild';

/** The folders of the packages that bundles contain, from the root of the project. */
export function packageFolders(metafiles: readonly Metafile[]): string[] {
  const inputs = metafiles.flatMap(({ inputs }) => Object.keys(inputs));
  const folders = inputs.flatMap(
    (file) => /(?:^|[/:])(node_modules\/(?:.*node_modules\/)?(?:@[^/]+\/)?[^/]+)\//.exec(file)?.[1] ?? [],
  );
  return [...new Set(folders)].toSorted();
}
