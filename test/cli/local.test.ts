import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, it, onTestFinished, vi } from 'vitest';
import { pythonEnvironment } from '../../cli/local-aws/python.ts';
import { runAgainstAws } from '../support/in-process.ts';

it('says at once that nothing answers at the local AWS that AWS_ENDPOINT_URL names', async () => {
  const { status, stderr } = await runAgainstAws('http://127.0.0.1:1', 'local', []);
  expect(stderr).toContain(
    'Nothing answers at http://127.0.0.1:1, which AWS_ENDPOINT_URL names. Start your local AWS there, or unset AWS_ENDPOINT_URL: then this command starts one.',
  );
  expect(status).toBe(2);
});

it('gives pip a folder for its temporary files, and deletes it', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'python-test-'));
  const program = join(folder, 'python3');
  // As `python3 -m venv FOLDER`, with a pip that leaves a file behind.
  const pip = '#!/bin/sh\ntouch "$TMPDIR/left"; printf %s "$TMPDIR" > "$0.tmpdir"\n';
  writeFileSync(
    program,
    `#!/bin/sh\nmkdir -p "$3/bin"\ncat > "$3/bin/pip" <<'PIP'\n${pip}PIP\nchmod +x "$3/bin/pip"\n`,
  );
  chmodSync(program, 0o755);
  const requirements = join(folder, 'requirements.txt');
  writeFileSync(requirements, `# ${folder}\n`);
  mkdirSync(join(folder, 'tmp'));
  vi.stubEnv('PATH', `${folder}:${process.env.PATH}`);
  vi.stubEnv('TMPDIR', join(folder, 'tmp'));
  let made: string | undefined;
  onTestFinished(() => {
    vi.unstubAllEnvs();
    for (const each of [folder, ...(made === undefined ? [] : [dirname(made)])])
      rmSync(each, { recursive: true });
  });
  made = await pythonEnvironment(requirements, () => undefined);
  const used = readFileSync(join(made, 'pip.tmpdir'), 'utf8');
  expect(dirname(used)).toBe(join(folder, 'tmp'));
  expect(existsSync(used)).toBe(false);
});
