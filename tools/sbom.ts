import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { build } from 'esbuild';
import * as z from 'zod';
import { functionBundles } from '../infra/function-bundles.ts';
import { packageFolders } from './package-folders.ts';

/**
 * Prints the SBOM in CycloneDX. npm lists the packages, and this marks those that a deployment loads as `required`: what
 * the library imports, and what the bundles of the functions contain. npm knows the latter as packages for development.
 */

const Lock = z.object({
  packages: z.record(
    z.string(),
    z.object({
      version: z.string().optional(),
      dependencies: z.record(z.string(), z.string()).default({}),
      peerDependencies: z.record(z.string(), z.string()).default({}),
      optionalDependencies: z.record(z.string(), z.string()).default({}),
    }),
  ),
});

const { packages } = Lock.parse(JSON.parse(readFileSync('package-lock.json', 'utf8')));

/** The folder of a package that a package of another folder imports, as Node.js finds it. */
function folderOf(name: string, from: string): string | undefined {
  for (let folder = from; ; folder = folder.slice(0, Math.max(0, folder.lastIndexOf('node_modules/') - 1))) {
    const candidate = folder === '' ? `node_modules/${name}` : `${folder}/node_modules/${name}`;
    if (candidate in packages) return candidate;
    if (folder === '') return undefined;
  }
}

/** The folders of what a package imports, directly or not. */
function importedFrom(folder: string, found = new Set<string>()): Set<string> {
  const { dependencies = {}, peerDependencies = {}, optionalDependencies = {} } = packages[folder] ?? {};
  for (const name of Object.keys({ ...dependencies, ...peerDependencies, ...optionalDependencies })) {
    const inner = folderOf(name, folder);
    if (inner === undefined || found.has(inner)) continue;
    found.add(inner);
    importedFrom(inner, found);
  }
  return found;
}

const { metafile } = await build({ ...functionBundles('bundles'), write: false });
const loaded = [...importedFrom(''), ...packageFolders([metafile])].map((folder) => {
  const name = folder.slice(folder.lastIndexOf('node_modules/') + 'node_modules/'.length);
  return `${name}@${packages[folder]?.version}`;
});

const Bom = z.looseObject({ components: z.array(z.looseObject({ name: z.string(), version: z.string() })) });
const bom = Bom.parse(
  JSON.parse(
    execFileSync('npm', ['sbom', '--sbom-format', 'cyclonedx', '--package-lock-only'], {
      encoding: 'utf8',
      maxBuffer: 2 ** 26,
      stdio: ['ignore', 'pipe', 'ignore'],
    }),
  ),
);
for (const component of bom.components) {
  component.scope = loaded.includes(`${component.name}@${component.version}`) ? 'required' : 'optional';
}
console.log(JSON.stringify(bom, null, 2));
