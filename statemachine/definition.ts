import { readFileSync } from 'node:fs';

/** The workflow's definition, before any substitution. */
const DEFINITION = new URL('./autoscale.asl.json', import.meta.url);

/** The functions that the workflow runs, by the names of their files: `Count Unclaimed` is `count-unclaimed`. */
export function functionsOfWorkflow(): string[] {
  const found = readFileSync(DEFINITION, 'utf8').matchAll(/"\$\{(\w+)FunctionArn\}"/g);
  const names = [...found].map(([, name = '']) => name.replace(/(?!^)[A-Z]/g, '-$&').toLowerCase());
  return [...new Set(names)];
}
