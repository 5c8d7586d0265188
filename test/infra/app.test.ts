import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { INSTALL, MINIMAL, minimalWith } from '../support/fleets.ts';

const CDK_JSON = JSON.parse(readFileSync('cdk.json', 'utf8'));

/** Runs the app as `cdk synth -c fleets=FILE` does, without bundling the functions; with these files beside the file. */
async function run(
  fleets: string,
  beside: Record<string, string> = {},
  {
    stack,
    runner = 'current',
    guardrails,
    validated = false,
  }: { stack?: string; runner?: string; guardrails?: string; validated?: boolean } = {},
) {
  const directory = mkdtempSync(join(tmpdir(), 'app-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const file = join(directory, 'my-fleets.yaml');
  writeFileSync(file, fleets);
  for (const [name, content] of Object.entries(beside)) writeFileSync(join(directory, name), content);
  const limits = join(directory, 'limits.yaml');
  if (guardrails !== undefined) writeFileSync(limits, guardrails);
  const release = runner === 'current' ? runner : join(directory, runner);
  const context = {
    ...CDK_JSON.context,
    fleets: file,
    stack,
    ...(guardrails !== undefined && { guardrails: limits }),
    runner: release,
    'aws:cdk:bundling-stacks': [],
  };
  const env = {
    ...process.env,
    CDK_OUTDIR: directory,
    CDK_CONTEXT_JSON: JSON.stringify(context),
    // It takes most of the time of a run.
    ...(!validated && { CDK_VALIDATION: 'false' }),
  };
  return new Promise<{
    exitCode: number | undefined;
    stderr: string;
    template: () => string;
    assets: () => string[];
  }>((resolve) => {
    const [command, ...words] = CDK_JSON.app.split(' ');
    const child = execFile(command, words, { env }, (_error, _stdout, stderr) =>
      resolve({
        exitCode: child.exitCode ?? undefined,
        stderr: stderr.replaceAll(`${directory}/`, ''),
        template: () => readFileSync(join(directory, `${stack ?? 'circleci-runners'}.template.json`), 'utf8'),
        assets: () =>
          readdirSync(directory).flatMap((name) =>
            name.startsWith('asset.') ? [readFileSync(join(directory, name), 'utf8')] : [],
          ),
      }),
    );
  });
}

describe('the app that cdk.json names', () => {
  // One run, because each takes seconds.
  it('makes a stack of the files that the context names: fleets, a script beside them, guardrails, a release', async () => {
    const [amd64, arm64] = ['a', 'b'].map((digit) => digit.repeat(64));
    const { exitCode, template, assets } = await run(
      minimalWith('install: setup.sh', 'runnerSecretName: acme/circleci/linux'),
      { 'setup.sh': INSTALL, 'pinned.json': JSON.stringify({ version: '3.1.13', sha256: { amd64, arm64 } }) },
      { guardrails: 'secretPrefixes: [acme/circleci/]', runner: 'pinned.json', validated: true },
    );
    expect(exitCode).toBe(0);
    expect(template()).toContain('circleci-runners-linux');
    expect(assets()).toContain(INSTALL);
    // A grant on the secret that the guardrails allow.
    expect(template()).toContain('acme/circleci/linux-??????');
    expect(template()).toContain(`RUNNER_VERSION=3.1.13\\nRUNNER_SHA256=${amd64}\\n`);
    expect(template()).not.toContain('RUNNER_REQUIRED');
  });

  it('makes another stack if the context names one, without a name of the default stack', async () => {
    const { exitCode, template } = await run(MINIMAL, {}, { stack: 'team-b' });
    expect(exitCode).toBe(0);
    expect(template()).toContain('team-b-linux');
    // The tags by which people and the workflow speak to a group are the same for all.
    expect(template().replaceAll(/circleci-runners:[a-z-]+/g, '')).not.toContain('circleci-runners');
  });

  it('refuses a stack name that is too long for the names of fleets', async () => {
    const { exitCode, stderr } = await run(MINIMAL, {}, { stack: 'x'.repeat(32) });
    expect(stderr).toBe(
      `-c stack must be a letter and at most 30 more letters, digits and hyphens, got "${'x'.repeat(32)}"\n`,
    );
    expect(exitCode).toBe(1);
  });

  it('refuses what no guardrails allow', async () => {
    const { exitCode, stderr } = await run(minimalWith('runnerSecretName: core-banking/db-master-password'));
    expect(stderr).toBe(
      [
        'my-fleets.yaml asks for more than is allowed without guardrails.yaml:',
        'linux.runnerSecretName: must be a name that begins with circleci-runners/, got "core-banking/db-master-password" (secretPrefixes)',
        'The owner of guardrails.yaml can set the ceilings, whose names are in brackets. See docs/guardrails.md.\n',
      ].join('\n  '),
    );
    expect(exitCode).toBe(1);
  });

  it('refuses to deploy until a release of the runner is pinned, or a fleet asks for the current one', async () => {
    const { exitCode, stderr } = await run(MINIMAL, {}, { runner: 'runner-release.json' });
    expect(stderr).toMatch(
      /^No release of CircleCI's runner is pinned: runner-release\.json does not exist\. Run npm run pin, /,
    );
    expect(exitCode).toBe(1);
    const current = await run(minimalWith('runner: current'), {}, { runner: 'runner-release.json' });
    expect(current.exitCode).toBe(0);
  });

  it('refuses a file of a pinned release that lacks a checksum', async () => {
    const beside = { 'runner-release.json': JSON.stringify({ version: '3.1.13', sha256: {} }) };
    const { exitCode, stderr } = await run(MINIMAL, beside, { runner: 'runner-release.json' });
    expect(stderr).toBe(
      'runner-release.json must have the version and the SHA-256 of both archives, as npm run pin writes them. Run it again: npm run pin\n',
    );
    expect(exitCode).toBe(1);
  });

  it('gives a stack of another name its own prefix of secrets', async () => {
    const fleets = minimalWith('runnerSecretName: circleci-runners/linux/runner');
    const { stderr } = await run(fleets, {}, { stack: 'team-b' });
    expect(stderr).toContain('linux.runnerSecretName: must be a name that begins with team-b/');
  });

  it('prints the faults of a file and nothing else, and fails', async () => {
    const { exitCode, stderr } = await run(MINIMAL.replace('20', 'twenty'));
    expect(stderr).toBe(
      'my-fleets.yaml has a fault:\n  linux.maxReplicas: must be a whole number from 1 to 10000, the maximum number of instances, got "twenty"\n',
    );
    expect(exitCode).toBe(1);
  });
});
