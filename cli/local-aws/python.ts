import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** A Python that is missing, or cannot make the environment; the message says what would help. */
export class PythonMissing extends Error {
  override readonly name = 'PythonMissing';
}

/**
 * The `bin` folder of a virtual environment that holds exactly the packages of a requirements file. It is made
 * under `.local` the first time, and kept; another list of packages makes another one.
 *
 * @param report Told before something that takes more than a moment.
 * @throws PythonMissing if there is no Python to make it with, or its packages cannot be had.
 */
export async function pythonEnvironment(
  requirements: string,
  report: (message: string) => void,
): Promise<string> {
  const digest = createHash('sha256').update(readFileSync(requirements)).digest('hex').slice(0, 12);
  const folder = join('.local', `python-${digest}`);
  const done = join(folder, 'complete');
  const bin = join(folder, 'bin');
  if (existsSync(done)) return bin;
  report('Installing the local AWS into .local (the first time only)');
  rmSync(folder, { recursive: true, force: true });
  try {
    await run('python3', ['-m', 'venv', folder]);
  } catch (error) {
    throw new PythonMissing(
      `The local AWS needs Python 3.10 or newer with its venv module, and "python3 -m venv" failed: ${(error as Error).message.trim()}\n` +
        'Install it (Debian and Ubuntu: apt-get install python3-venv; macOS: brew install python), or set\n' +
        'AWS_ENDPOINT_URL to a local AWS that runs already, and AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to its keys.',
    );
  }
  try {
    const quietly = ['install', '--quiet', '--disable-pip-version-check'];
    await run(join(bin, 'pip'), [...quietly, '--requirement', requirements]);
  } catch (error) {
    throw new PythonMissing(`pip could not install ${requirements}:\n${(error as Error).message.trim()}`);
  }
  await run('touch', [done]);
  return bin;
}
