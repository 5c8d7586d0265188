import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { MINIMAL } from './fleets.ts';

const CDK_JSON = JSON.parse(readFileSync('cdk.json', 'utf8'));

/** Runs the app as `cdk synth -c fleets=FILE` does, without bundling the functions. */
async function run(fleets: string) {
  const directory = mkdtempSync(join(tmpdir(), 'app-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const file = join(directory, 'my-fleets.yaml');
  writeFileSync(file, fleets);
  const context = { ...CDK_JSON.context, fleets: file, 'aws:cdk:bundling-stacks': [] };
  const env = { ...process.env, CDK_OUTDIR: directory, CDK_CONTEXT_JSON: JSON.stringify(context) };
  return new Promise<{ exitCode: number | undefined; stderr: string; template: () => string }>((resolve) => {
    const [command, ...words] = CDK_JSON.app.split(' ');
    const child = execFile(command, words, { env }, (_error, _stdout, stderr) =>
      resolve({
        exitCode: child.exitCode ?? undefined,
        stderr: stderr.replaceAll(`${directory}/`, ''),
        template: () => readFileSync(join(directory, 'circleci-runners.template.json'), 'utf8'),
      }),
    );
  });
}

describe('the app that cdk.json names', () => {
  it('makes a stack of the fleets in the file that the context names', async () => {
    const { exitCode, template } = await run(MINIMAL);
    expect(exitCode).toBe(0);
    expect(template()).toContain('circleci-runners-linux');
  });

  it('says of a faulty file what is wrong with it, fails, and says nothing more', async () => {
    const { exitCode, stderr } = await run(MINIMAL.replace('20', 'twenty'));
    expect(stderr).toBe(
      'my-fleets.yaml has a fault:\n  linux.maxReplicas: must be a whole number from 1 to 10000, the most instances to have, got "twenty"\n',
    );
    expect(exitCode).toBe(1);
  });
});
