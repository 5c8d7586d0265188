import { type ChildProcess, spawn } from 'node:child_process';
import { pythonEnvironment } from '../../cli/local-aws/python.ts';
import { dockerLayer, missingHere, stockImage } from './stock-image.ts';

const ISOLATION = ['unshare', '--net', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc'];
const MOUNTS =
  'mkdir -p /run/netns /run/instances && mount -t tmpfs tmpfs /run/netns && mount -t tmpfs tmpfs /run/instances && export TMPDIR=/run/instances && exec "$@"';

/**
 * Starts a command in namespaces of its own, where 169.254.169.254 is its own, and with which all its processes,
 * mounts and temporary files go. What machines need from outside is fetched before: INSTANCE_IMAGE is the stock
 * image, INSTANCE_IMAGE_DOCKER what Docker adds to it, INSTANCE_PYTHON the `bin` folder of a Python environment with moto. Where machines cannot run, the
 * command starts without all that, and INSTANCE_SKIPPED says why.
 */
export async function isolated(words: string[]): Promise<ChildProcess> {
  const missing = missingHere();
  const report = (message: string) => console.error(message);
  const env: NodeJS.ProcessEnv = { ...process.env, AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true' };
  if (missing === undefined) {
    env.INSTANCE_IMAGE = await stockImage(report);
    env.INSTANCE_IMAGE_DOCKER = await dockerLayer(env.INSTANCE_IMAGE, report);
    env.INSTANCE_PYTHON = await pythonEnvironment('test/local/moto.txt', report);
  } else {
    env.INSTANCE_SKIPPED = missing;
    report(`Skipped: ${missing}`);
  }
  const [command = '', ...rest] =
    missing === undefined ? [...ISOLATION, 'sh', '-c', MOUNTS, '-', ...words] : words;
  const child = spawn(command, rest, { stdio: 'inherit', env });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal));
  child.on('exit', (code, signal) => {
    process.exitCode = code ?? (signal === 'SIGINT' ? 130 : 1);
  });
  return child;
}
