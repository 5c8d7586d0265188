import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { loadFleets } from '../../fleets/load.ts';

const run = promisify(execFile);

describe('the Node.js example', () => {
  it('passes its own test, which the runner runs', async () => {
    const { NODE_OPTIONS: _, VITEST: __, ...env } = process.env;
    const { stdout } = await run(process.execPath, ['--test'], { cwd: 'examples/nodejs', env });
    expect(stdout).toMatch(/pass 1\b/);
    expect(stdout).toMatch(/fail 0\b/);
  });

  it('uses the resource class of the example fleet', () => {
    const { jobs } = parse(readFileSync('examples/nodejs/.circleci/config.yml', 'utf8'));
    const [fleet] = loadFleets('fleets.yaml');
    expect(jobs['runner-test']).toMatchObject({ machine: true, resource_class: fleet?.resourceClass });
  });

  it('has its needs installed by the example fleet', async () => {
    const [fleet] = loadFleets('fleets.yaml');
    const install = 'examples/nodejs/install.sh';
    expect(fleet?.installFile).toBe(resolve(install));
    expect(readFileSync(install, 'utf8')).toContain('nodejs npm');
    await run('bash', ['-n', install]);
  });
});
