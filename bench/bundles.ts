import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { STACK_NAME } from '../fleets/names.ts';

/**
 * Size of each deployed bundle, and how long a fresh process takes to import it; next to it, in the same run,
 * what the tutorial's function imports: `python3 -c 'import boto3'`.
 */

const RUNS = 15;

/** Median wall time of commands in milliseconds; the commands take turns, so that noise meets all alike. */
function medians(commands: Record<string, [string, string[]]>): Record<string, number> {
  const times: Record<string, number[]> = {};
  for (let run = 0; run < RUNS; run += 1) {
    for (const [name, [command, words]] of Object.entries(commands)) {
      const start = process.hrtime.bigint();
      execFileSync(command, words, { stdio: 'ignore', env: { ...process.env, AWS_REGION: 'eu-west-1' } });
      times[name] = [...(times[name] ?? []), Number(process.hrtime.bigint() - start) / 1e6];
    }
  }
  return Object.fromEntries(
    Object.entries(times).map(([name, all]) => [name, all.sort((a, b) => a - b)[Math.floor(RUNS / 2)] ?? 0]),
  );
}

/** The deployed functions' bundles by function name. */
function synthesise(folder: string): Record<string, string> {
  execFileSync('npx', ['--no-install', 'cdk', 'synth', '--quiet', '--output', folder], { stdio: 'ignore' });
  const template = JSON.parse(readFileSync(join(folder, `${STACK_NAME}.template.json`), 'utf8'));
  const bundles: Record<string, string> = {};
  for (const resource of Object.values<{
    Properties?: { FunctionName?: string };
    Metadata?: Record<string, string>;
  }>(template.Resources)) {
    const name = resource.Properties?.FunctionName;
    const asset = resource.Metadata?.['aws:asset:path'];
    if (name !== undefined && asset !== undefined) bundles[name] = join(folder, asset, 'index.mjs');
  }
  return bundles;
}

const hasBoto3 = (() => {
  try {
    execFileSync('python3', ['-c', 'import boto3'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
})();

const folder = mkdtempSync(join(tmpdir(), 'bundles-'));
try {
  const bundles = synthesise(folder);
  const importing = (file: string) => [
    '--input-type=module',
    '--eval',
    `await import('${pathToFileURL(file)}')`,
  ];
  const times = medians({
    node: [process.execPath, ['--eval', '']],
    ...Object.fromEntries(
      Object.entries(bundles).map(([name, file]) => [name, [process.execPath, importing(file)]]),
    ),
    ...(hasBoto3 && { python: ['python3', ['-c', '']], boto3: ['python3', ['-c', 'import boto3']] }),
  });
  for (const [name, file] of Object.entries(bundles)) {
    const size = `${(statSync(file).size / 1_024).toFixed(0)} KB`;
    const time = `${((times[name] ?? 0) - (times.node ?? 0)).toFixed(0)} ms`;
    console.log(`${name.padEnd(36)} ${size.padStart(7)}  import ${time.padStart(7)}`);
  }
  console.log(
    hasBoto3
      ? `python3 -c 'import boto3'${' '.repeat(21)}import ${((times.boto3 ?? 0) - (times.python ?? 0)).toFixed(0).padStart(4)} ms`
      : "python3 -c 'import boto3': boto3 is not installed here (pip install boto3)",
  );
} finally {
  rmSync(folder, { recursive: true });
}
