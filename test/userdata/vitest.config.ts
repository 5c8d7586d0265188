import { defineConfig } from 'vitest/config';
import base from '../../vitest.config.ts';

/** The scripts of an instance, as processes. */
export default defineConfig({
  test: { ...base.test, include: ['test/userdata/**/*.test.ts'], exclude: [] },
});
