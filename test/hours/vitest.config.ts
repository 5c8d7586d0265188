import { defineConfig } from 'vitest/config';
import base from '../../vitest.config.ts';

/** Hours of the embedded world, and weeks of traces: what only shows after a while. */
export default defineConfig({
  test: { ...base.test, include: ['test/hours/**/*.test.ts'], exclude: [] },
});
