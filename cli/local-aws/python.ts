import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { makePrivateFolder } from '../../simulator/private-files.ts';
import { OwnProcesses } from './own-processes.ts';

/** Python is missing, or cannot make the environment. The message says what to do. */
export class PythonMissing extends Error {
  override readonly name = 'PythonMissing';
}

/**
 * The `bin` folder of a virtual environment with exactly the packages of a requirements file. The environment is made
 * under `.local` once and kept. A changed requirements file makes another one.
 *
 * @param report Called before a long step.
 * @param signal Ends the installation.
 * @throws PythonMissing if Python is missing, or the packages cannot be installed.
 */
export async function pythonEnvironment(
  requirements: string,
  report: (message: string) => void,
  signal?: AbortSignal,
): Promise<string> {
  const digest = createHash('sha256').update(readFileSync(requirements)).digest('hex').slice(0, 12);
  const folder = join('.local', `python-${digest}`);
  const done = join(folder, 'complete');
  const bin = join(folder, 'bin');
  if (existsSync(done)) return bin;
  report('Installing the local AWS into .local (the first time only)');
  makePrivateFolder('.local');
  rmSync(folder, { recursive: true, force: true });
  // A killed pip leaves what it has unpacked behind. This folder does not outlive the command.
  const unpacked = mkdtempSync(join(tmpdir(), 'circleci-runners-'));
  const processes = new OwnProcesses(unpacked);
  const end = () => processes.end();
  signal?.addEventListener('abort', end, { once: true });
  try {
    await install(requirements, folder, (program, ...words) => run(processes, unpacked, program, ...words));
  } finally {
    signal?.removeEventListener('abort', end);
    processes.end();
  }
  signal?.throwIfAborted();
  writeFileSync(done, '');
  return bin;
}

async function install(
  requirements: string,
  folder: string,
  run: (program: string, ...words: string[]) => Promise<void>,
): Promise<void> {
  try {
    await run('python3', '-m', 'venv', folder);
  } catch (error) {
    throw new PythonMissing(
      `The local AWS needs Python 3.10 or newer with its venv module, but "python3 -m venv" failed: ${(error as Error).message.trim()}\n` +
        'Install it (Debian and Ubuntu: apt-get install python3-venv; macOS: brew install python), or set\n' +
        'AWS_ENDPOINT_URL to a running local AWS, and AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to its keys.',
    );
  }
  try {
    const options = [
      'install',
      '--quiet',
      '--disable-pip-version-check',
      '--require-hashes',
      '--only-binary=:all:',
    ];
    await run(join(folder, 'bin', 'pip'), ...options, '--requirement', requirements);
  } catch (error) {
    throw new PythonMissing(
      `pip could not install ${requirements}. Check the network and the package index of pip. It said:\n${(error as Error).message.trim()}`,
    );
  }
}

/** Runs a program to its end, with a folder for its temporary files. Rejects with what it says if it fails. */
async function run(
  processes: OwnProcesses,
  TMPDIR: string,
  program: string,
  ...words: string[]
): Promise<void> {
  const env = { ...process.env, TMPDIR };
  const child = processes.spawn(program, words, { stdio: ['ignore', 'ignore', 'pipe'], env });
  const said = child.stderr === null ? '' : text(child.stderr);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  if (code !== 0) throw new Error(`${[program, ...words].join(' ')} ended with ${code}: ${await said}`);
}
