import { isolated } from './isolation.ts';

/**
 * Runs the scenarios; where machines cannot run, they are counted as skipped. With `--built`, an image is built from the stock
 * one first, and scenarios boot it unless they are about what the stock one lacks.
 */
const BUILT = '--built';
if (process.argv.includes(BUILT)) process.env.INSTANCE_BUILT = 'true';
await isolated([
  'npx',
  'vitest',
  'run',
  '--config',
  'test/instance/vitest.config.ts',
  ...process.argv.slice(2).filter((word) => word !== BUILT),
]);
