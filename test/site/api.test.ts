import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';

const made = mkdtempSync(join(tmpdir(), 'api-'));

afterAll(() => rmSync(made, { recursive: true }));

it('docs/api.md is what npm run docs:api makes of the docstrings', () => {
  // A warning, such as a type that the API names and does not show, fails.
  execFileSync('docs/node_modules/.bin/typedoc', ['--options', 'docs', '--out', made], { stdio: 'pipe' });
  expect(readFileSync('docs/api.md', 'utf8')).toBe(readFileSync(join(made, 'api.md'), 'utf8'));
}, 240_000);
