import { spawn } from 'node:child_process';
import { pythonEnvironment } from '../../cli/python.ts';
import { missingHere, stockImage } from './stock-image.ts';

/**
 * Runs the scenarios in namespaces of their own, where 169.254.169.254 is theirs. What they need from
 * outside is fetched before. Where they cannot run, they are counted as skipped.
 */
const missing = missingHere();
const report = (message: string) => console.error(message);
const environment: NodeJS.ProcessEnv = { ...process.env };
if (missing === undefined) {
  environment.INSTANCE_IMAGE = stockImage(report);
  environment.INSTANCE_PYTHON = await pythonEnvironment('test/local/moto.txt', report);
} else {
  environment.INSTANCE_SKIPPED = missing;
  report(`The scenarios are skipped: ${missing}`);
}
const vitest = [
  'npx',
  'vitest',
  'run',
  '--config',
  'test/instance/vitest.config.ts',
  ...process.argv.slice(2),
];
// With it go its processes, its mounts and what it wrote.
const isolation = ['unshare', '--net', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc'];
const mounts =
  'mount -t tmpfs tmpfs /tmp && mkdir -p /run/netns && mount -t tmpfs tmpfs /run/netns && exec "$@"';
const [command = '', ...words] =
  missing === undefined ? [...isolation, 'sh', '-c', mounts, '-', ...vitest] : vitest;
const child = spawn(command, words, { stdio: 'inherit', env: environment });
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal));
child.on('exit', (code, signal) => {
  process.exitCode = code ?? (signal === 'SIGINT' ? 130 : 1);
});
