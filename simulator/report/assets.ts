import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The script and the style that are part of the page. */
export interface Assets {
  script: string;
  style: string;
}

const fileOf = (name: string) => fileURLToPath(new URL(`./client/${name}`, import.meta.url));

/** The bundle that the package has. In the repository there is none. */
const PREBUILT = new URL('./assets.json', import.meta.url);

let assets: Promise<Assets> | undefined;

/** Reads or bundles them once in a process: that takes a second. */
export const readAssets = (): Promise<Assets> => (assets ??= read());

const read = async (): Promise<Assets> =>
  existsSync(PREBUILT) ? JSON.parse(readFileSync(PREBUILT, 'utf8')) : bundleAssets();

/** Bundles the page's script with what it needs of the charting library, and its style. */
export async function bundleAssets(): Promise<Assets> {
  const { build } = await import('esbuild');
  const { outputFiles } = await build({
    entryPoints: [fileOf('page.ts'), fileOf('page.css')],
    bundle: true,
    minify: true,
    write: false,
    outdir: 'report',
    format: 'iife',
    target: ['chrome111', 'firefox114', 'safari16.4'],
    legalComments: 'inline',
    logLevel: 'silent',
  });
  const text = (ending: string) => outputFiles.find(({ path }) => path.endsWith(ending))?.text ?? '';
  // The script must not contain the end tag of its own element.
  return { script: text('.js').replaceAll('</script', String.raw`<\/script`), style: text('.css') };
}
