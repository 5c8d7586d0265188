import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

/** What a page has in itself beside its text. */
export interface Assets {
  script: string;
  style: string;
}

const fileOf = (name: string) => fileURLToPath(new URL(`./client/${name}`, import.meta.url));

/** Bundles the page's script with what it needs of the charting library, and its style. */
export async function bundleAssets(): Promise<Assets> {
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
  // Within an element of HTML, nothing in it may end that.
  return { script: text('.js').replaceAll('</script', String.raw`<\/script`), style: text('.css') };
}
