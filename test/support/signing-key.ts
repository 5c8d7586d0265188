import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Why keys cannot be made here, if they cannot. */
export const missingForKeys = () =>
  ['gpg', 'gpgv'].every((command) => spawnSync(command, ['--version']).status === 0)
    ? undefined
    : 'they need gpg and gpgv';

/** A new key that signs files as Amazon signs packages. */
export class SigningKey {
  readonly #home = mkdtempSync(join(tmpdir(), 'key-'));

  constructor() {
    this.#gpg('--passphrase', '', '--quick-generate-key', 'Amazon CloudWatch Agent', 'rsa2048', 'sign', '0');
  }

  #gpg(...words: string[]): string {
    return execFileSync('gpg', ['--homedir', this.#home, '--batch', ...words], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
  }

  get fingerprint(): string {
    return /^fpr:+([0-9A-F]{40}):/m.exec(this.#gpg('--list-keys', '--with-colons'))?.[1] ?? '';
  }

  /** The public half, in the form in which Amazon publishes its own. */
  get armoured(): string {
    return this.#gpg('--armor', '--export');
  }

  /** Writes FILE.sig. */
  sign(file: string): void {
    this.#gpg('--yes', '--detach-sign', '--output', `${file}.sig`, file);
  }

  /** Ends the key, and the agent that gpg started for it. */
  [Symbol.dispose](): void {
    spawnSync('gpgconf', ['--homedir', this.#home, '--kill', 'all']);
    rmSync(this.#home, { recursive: true, force: true });
  }
}
