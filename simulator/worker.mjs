// A worker thread does not inherit what `--import tsx` has set up on Node.js 20.
import { tsImport } from 'tsx/esm/api';

await tsImport('./worker.ts', import.meta.url);
