import { execFileSync, spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import {
  buildComponent,
  type ImageInputs,
  MOST_CHARACTERS,
  testComponent,
} from '../../userdata/image-component.ts';
import { RUNNER } from '../support/fleets.ts';

const SCRIPTS = readdirSync('userdata').filter((file) => /^image-.*\.sh$/.test(file));

const inputs = (fleet: Partial<ImageInputs['fleet']> = {}): ImageInputs => ({
  fleet: {
    runner: undefined,
    instanceTypes: ['m7g.large'],
    instanceRequirements: undefined,
    docker: false,
    httpProxy: undefined,
    noProxy: undefined,
    logs: false,
    ...fleet,
  },
  installObject: undefined,
  installSha256: undefined,
});

interface Document {
  phases: { name: string; steps: { name: string; action: string; inputs: { commands: string[] } }[] }[];
}

const stepsOf = (document: string) =>
  (parse(document) as Document).phases.flatMap(({ name, steps }) =>
    steps.map((step) => ({ phase: name, ...step, script: step.inputs.commands.join('\n') })),
  );

describe('the scripts of an image', () => {
  it.for(SCRIPTS)('%s passes shellcheck', (file, { skip }) => {
    skip(spawnSync('shellcheck', ['--version']).error !== undefined, 'shellcheck is not installed');
    const { stdout } = spawnSync('shellcheck', ['-x', `userdata/${file}`], { encoding: 'utf8' });
    expect(stdout).toBe('');
  });

  it('are steps that EC2 Image Builder runs as scripts of valid syntax', () => {
    const all = [buildComponent(inputs()), testComponent(inputs({ logs: true, docker: true }))].flatMap(
      stepsOf,
    );
    expect(all.map(({ phase, name, action }) => `${phase} ${name} ${action}`)).toEqual([
      'build Prepare ExecuteBash',
      'build Clean ExecuteBash',
      'validate LeftBehind ExecuteBash',
      'test Test ExecuteBash',
    ]);
    for (const { script } of all) execFileSync('bash', ['-n'], { input: script });
  });

  it('fit into a component with everything and the longest names', () => {
    const host = (length: number) => 'abcdefghij'.repeat(length / 10);
    const largest: ImageInputs = {
      ...inputs({
        logs: true,
        docker: true,
        runner: RUNNER,
        httpProxy: `https://${host(250)}:65535`,
        noProxy: Array.from({ length: 40 }, (_, index) => `${index}.${host(10)}.example`),
      }),
      installObject: `cdk-hnb659fds-assets-111122223333-ap-southeast-1/${'f'.repeat(64)}.sh`,
      installSha256: 'f'.repeat(64),
    };
    for (const component of [buildComponent, testComponent])
      expect(component(largest).length).toBeLessThan(MOST_CHARACTERS);
  });

  it('get the release that is pinned, and its checksum', () => {
    const [prepare] = stepsOf(buildComponent(inputs({ runner: RUNNER })));
    expect(prepare?.script).toContain(
      `RUNNER_VERSION=${RUNNER.version}\nRUNNER_SHA256=${RUNNER.sha256}\nRUNNER_REQUIRED=true\n`,
    );
  });
});
