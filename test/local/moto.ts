import { spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { pythonEnvironment } from '../../cli/local-aws/python.ts';

const REQUIREMENTS = fileURLToPath(new URL('./moto.txt', import.meta.url));

/** Starts moto, an emulated AWS, on a free port of the loopback interface. */
export async function startMoto(): Promise<{ endpoint: string; stop: () => void }> {
  const bin = await pythonEnvironment(REQUIREMENTS, () => undefined);
  const moto = spawn(resolve(bin, 'moto_server'), ['-H', '127.0.0.1', '-p', '0']);
  const endpoint = await new Promise<string>((listening, failed) => {
    let said = '';
    const listen = (chunk: Buffer) => {
      said += chunk;
      const [, url] = /Running on (http:\S+)/.exec(said) ?? [];
      if (url !== undefined) listening(url);
    };
    moto.stdout.on('data', listen);
    moto.stderr.on('data', listen);
    moto.once('exit', (code) => failed(new Error(`moto ended with ${code}: ${said}`)));
  });
  return { endpoint, stop: () => moto.kill('SIGKILL') };
}
