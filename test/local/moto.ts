import { spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { pythonEnvironment } from '../../cli/local-aws/python.ts';
import { Gate } from './models/gate.ts';

const REQUIREMENTS = fileURLToPath(new URL('./moto.txt', import.meta.url));

/** Starts moto, an emulated AWS, on a free port of the loopback interface, with a gate before it. */
export async function startMoto(): Promise<{ endpoint: string; gate: Gate; stop: () => void }> {
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
  const gate = await Gate.before(endpoint);
  return {
    endpoint: gate.url,
    gate,
    stop: () => {
      gate.close();
      moto.kill('SIGKILL');
    },
  };
}
