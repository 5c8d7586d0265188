import { execFile, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it, onTestFinished } from 'vitest';
import { parse } from 'yaml';
import { loadFleets } from '../../fleets/load.ts';

const run = promisify(execFile);

const FOLDER = 'examples/graviton';
const [fleet] = loadFleets(`${FOLDER}/fleets.yaml`);
const { jobs } = parse(readFileSync(`${FOLDER}/.circleci/config.yml`, 'utf8'));

const missing = ['make', 'cc'].filter((tool) => spawnSync(tool, ['--version']).error !== undefined);

describe('the Graviton example', () => {
  it('builds its program, and its test passes, as its job does', async ({ skip }) => {
    skip(missing.length > 0, `not installed: ${missing.join(', ')}`);
    const copy = mkdtempSync(join(tmpdir(), 'graviton-'));
    onTestFinished(() => rmSync(copy, { recursive: true }));
    cpSync(FOLDER, copy, { recursive: true });
    expect(JSON.stringify(jobs.build.steps)).toContain('make test');
    await run('make', ['test'], { cwd: copy });
  });

  it('runs its job on the fleet', () => {
    expect(jobs.build).toMatchObject({ machine: true, resource_class: fleet?.resourceClass });
  });

  it('installs what its job needs: git for the checkout, a compiler, make', async () => {
    const install = `${FOLDER}/install.sh`;
    expect(fleet?.installFile).toBe(resolve(install));
    expect(readFileSync(install, 'utf8')).toMatch(/^dnf install -y git gcc make\b/m);
    await run('bash', ['-n', install]);
  });
});
