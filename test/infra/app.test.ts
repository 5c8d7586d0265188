import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Template } from 'aws-cdk-lib/assertions';
import { describe, expect, it, onTestFinished } from 'vitest';
import { CircleCiRunners } from '../../infra/circleci-runners.ts';
import { INSTALL, MINIMAL, minimalWith } from '../support/fleets.ts';
import { leanApp } from './template.ts';

const CDK_JSON = JSON.parse(readFileSync('cdk.json', 'utf8'));

interface Given {
  stack?: string;
  runner?: string;
  guardrails?: string;
}

/** A folder with these fleets and files, and the context that names them, without bundling the functions. */
function contextOf(
  fleets: string,
  beside: Record<string, string> = {},
  { stack, runner = 'current', guardrails }: Given = {},
) {
  const directory = mkdtempSync(join(tmpdir(), 'app-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const file = join(directory, 'my-fleets.yaml');
  writeFileSync(file, fleets);
  for (const [name, content] of Object.entries(beside)) writeFileSync(join(directory, name), content);
  const limits = join(directory, 'limits.yaml');
  if (guardrails !== undefined) writeFileSync(limits, guardrails);
  const context = {
    ...CDK_JSON.context,
    fleets: file,
    stack,
    ...(guardrails !== undefined && { guardrails: limits }),
    runner: runner === 'current' ? runner : join(directory, runner),
    'aws:cdk:bundling-stacks': [],
  };
  return { directory, context };
}

/** Runs the app as `cdk synth -c fleets=FILE` does. */
async function run(...given: Parameters<typeof contextOf>) {
  const { directory, context } = contextOf(...given);
  // validation.test.ts is about CloudFormation's rules, which take most of a synthesis.
  const env = {
    ...process.env,
    CDK_OUTDIR: directory,
    CDK_CONTEXT_JSON: JSON.stringify(context),
    CDK_VALIDATION: 'false',
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
        template: () => readFileSync(join(directory, 'circleci-runners-linux.template.json'), 'utf8'),
        assets: () =>
          readdirSync(directory, { withFileTypes: true }).flatMap((entry) =>
            entry.isFile() && entry.name.startsWith('asset.')
              ? [readFileSync(join(directory, entry.name), 'utf8')]
              : [],
          ),
      }),
    );
  });
}

/** The template that the app makes, in this process and without validation. */
function templateOf(...given: Parameters<typeof contextOf>): string {
  const { directory, context } = contextOf(...given);
  const app = leanApp({ context, outdir: directory });
  const { shared, fleets } = new CircleCiRunners(app, 'Runners', { fleetsFile: context.fleets }).stacks;
  return JSON.stringify([shared, ...fleets].map((stack) => Template.fromStack(stack).toJSON()));
}

/** What the app says instead of making a template. */
function refusalOf(...given: Parameters<typeof contextOf>): string {
  const { directory, context } = contextOf(...given);
  try {
    new CircleCiRunners(leanApp({ context, outdir: directory }), 'Runners', { fleetsFile: context.fleets });
  } catch (error) {
    return (error as Error).message.replaceAll(`${directory}/`, '');
  }
  throw new Error('The app makes a stack');
}

describe('the app that cdk.json names', () => {
  // One run, because each takes seconds.
  it('makes a stack of the files that the context names: fleets, a script beside them, guardrails, a release', async () => {
    const [amd64, arm64] = ['a', 'b'].map((digit) => digit.repeat(64));
    const { exitCode, template, assets } = await run(
      minimalWith('install: setup.sh', 'runnerSecretName: acme/circleci/linux'),
      { 'setup.sh': INSTALL, 'pinned.json': JSON.stringify({ version: '3.1.13', sha256: { amd64, arm64 } }) },
      { guardrails: 'secretPrefixes: [acme/circleci/]', runner: 'pinned.json' },
    );
    expect(exitCode).toBe(0);
    expect(template()).toContain('circleci-runners-linux');
    expect(assets()).toContain(INSTALL);
    // A grant on the secret that the guardrails allow.
    expect(template()).toContain('acme/circleci/linux-??????');
    expect(template()).toContain(`RUNNER_VERSION=3.1.13\\nRUNNER_SHA256=${amd64}\\n`);
    expect(template()).not.toContain('RUNNER_REQUIRED');
  });

  it('prints the faults of a file with their places and nothing else, and fails', async () => {
    const { exitCode, stderr } = await run(MINIMAL.replace('20', 'twenty'));
    expect(stderr).toBe(
      'my-fleets.yaml has a fault:\n  linux.maxReplicas: must be a whole number from 1 to 10000, the maximum number of instances, got "twenty"\n    my-fleets.yaml:5:16\n    5 |   maxReplicas: twenty\n      |                ^^^^^^\n',
    );
    expect(exitCode).toBe(1);
  });
});

describe('the stack that the context asks for', () => {
  it('has no name of the default stack if it has another', () => {
    const template = templateOf(MINIMAL, {}, { stack: 'team-b' });
    expect(template).toContain('team-b-linux');
    // The tags by which people and the workflow speak to a group are the same for all.
    expect(template.replaceAll(/circleci-runners:[a-z-]+/g, '')).not.toContain('circleci-runners');
  });

  it('cannot have a name that is too long for the names of fleets', () => {
    expect(refusalOf(MINIMAL, {}, { stack: 'x'.repeat(32) })).toBe(
      `-c stack must be a letter and at most 30 more letters, digits and hyphens, got "${'x'.repeat(32)}"`,
    );
  });

  it('cannot ask for what no guardrails allow', () => {
    expect(refusalOf(minimalWith('runnerSecretName: core-banking/db-master-password'))).toBe(
      [
        'my-fleets.yaml asks for more than is allowed without guardrails.yaml:',
        'linux.runnerSecretName: must be a name that begins with circleci-runners/, got "core-banking/db-master-password" (secretPrefixes)',
        '  my-fleets.yaml:6:21',
        '  6 |   runnerSecretName: core-banking/db-master-password',
        '    |                     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^',
        'The owner of guardrails.yaml can set the ceilings, whose names are in brackets. See docs/guardrails.md.',
      ].join('\n  '),
    );
  });

  it('has a release of the runner that is pinned, or the current one if a fleet asks for it', () => {
    expect(refusalOf(MINIMAL, {}, { runner: 'runner-release.json' })).toMatch(
      /^No release of CircleCI's runner is pinned: runner-release\.json does not exist\. Run npm run pin, /,
    );
    const current = templateOf(minimalWith('runner: current'), {}, { runner: 'runner-release.json' });
    expect(current).toContain('circleci-runners-linux');
  });

  it('has no pinned release that lacks a checksum', () => {
    const beside = { 'runner-release.json': JSON.stringify({ version: '3.1.13', sha256: {} }) };
    expect(refusalOf(MINIMAL, beside, { runner: 'runner-release.json' })).toBe(
      'runner-release.json must have the version and the SHA-256 of both archives, as npm run pin writes them. Run it again: npm run pin',
    );
  });

  it('has its own prefix of secrets if it has another name', () => {
    const fleets = minimalWith('runnerSecretName: circleci-runners/linux/runner');
    expect(refusalOf(fleets, {}, { stack: 'team-b' })).toContain(
      'linux.runnerSecretName: must be a name that begins with team-b/',
    );
  });
});
