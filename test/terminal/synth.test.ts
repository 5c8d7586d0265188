import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it, onTestFinished } from 'vitest';
import { PseudoTerminal } from '../support/pseudo-terminal.ts';

const run = promisify(execFile);

// One stack alone, because the CDK bundles the functions of each that it synthesises.
it('npx cdk synth -q warns of nothing: no metrics, no feature flags', { timeout: 240_000 }, async () => {
  const output = mkdtempSync(join(tmpdir(), 'synth-'));
  onTestFinished(() => rmSync(output, { recursive: true }));
  const words = ['synth', '-q', '-e', 'circleci-runners-example', '-c', 'runner=current', '--output', output];
  const { stdout, stderr } = await run('npx', ['cdk', ...words], { env: { ...process.env, CI: undefined } });
  expect({ stdout, warnings: stderr.match(/^.*(warn|metric|feature flag|deprecat).*$/gim) }).toEqual({
    stdout: '',
    warnings: null,
  });
});

it('breaks no word of a fault at the edge of the terminal', async () => {
  const words = ['cdk', 'synth', '-q', '-c', 'runner=none.json'];
  const pty = new PseudoTerminal(words, { columns: 80, rows: 24 }, { program: 'npx' });
  expect(await pty.end()).toBe(1);
  const { lines } = pty.screen;
  expect(lines.filter((line) => line.length > 80)).toEqual([]);
  expect(lines.join(' ')).toContain('none.json does not exist. Run npm run pin, which writes the current');
});
