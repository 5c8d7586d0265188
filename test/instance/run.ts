import { isolated } from './isolation.ts';

/** Runs the scenarios; where machines cannot run, they are counted as skipped. */
await isolated([
  'npx',
  'vitest',
  'run',
  '--config',
  'test/instance/vitest.config.ts',
  ...process.argv.slice(2),
]);
