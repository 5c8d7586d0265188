import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { trustingInstall } from '../../userdata/trusting-install.ts';
import { ownAuthority } from '../support/own-authority.ts';
import { describeScript } from './instance.ts';

const DEBIAN = 'usr/local/share/ca-certificates';
const AMAZON = 'etc/pki/ca-trust/source/anchors';
const name = (index: number) => `circleci-runner-authority-${index}.crt`;

/** The certificates of two authorities. */
let one = '';
let other = '';
beforeAll(() => {
  [one = '', other = ''] = ['One', 'Other'].map((authority) => {
    const folder = mkdtempSync(join(tmpdir(), 'authority-'));
    return readFileSync(ownAuthority(folder, { name: authority }).file, 'utf8').trim();
  });
});

/** A machine with some of the commands, which tell what they were started with. */
class TrustingMachine {
  readonly root = mkdtempSync(join(tmpdir(), 'machine-'));
  readonly #commands = join(this.root, 'commands');
  readonly #log = join(this.root, 'log');

  constructor(...commands: string[]) {
    mkdirSync(this.#commands);
    for (const command of ['systemctl', ...commands]) {
      const path = join(this.#commands, command);
      writeFileSync(path, `#!/bin/sh\necho "${command} $*" >>"${this.#log}"\n`);
      chmodSync(path, 0o755);
    }
  }

  run(authorities: string, install?: string) {
    const script = join(this.root, 'script');
    writeFileSync(script, trustingInstall(authorities, install));
    chmodSync(script, 0o700);
    // Not the machine's own /usr/sbin, which has the commands.
    const env = { PATH: `${this.#commands}:/usr/bin:/bin`, ROOT: this.root, LOG: this.#log };
    const { status, stdout, stderr } = spawnSync(script, { env, encoding: 'utf8' });
    return { status, stdout, stderr };
  }

  get started(): string[] {
    return existsSync(this.#log) ? readFileSync(this.#log, 'utf8').trim().split('\n') : [];
  }

  files(folder: string): Record<string, string> {
    const path = join(this.root, folder);
    const found = existsSync(path) ? readdirSync(path) : [];
    return Object.fromEntries(found.map((file) => [file, readFileSync(join(path, file), 'utf8').trim()]));
  }
}

describeScript('an install script that trusts authorities', () => {
  it.each([
    { image: 'Ubuntu and Debian', command: 'update-ca-certificates', folder: DEBIAN },
    { image: 'Amazon Linux', command: 'update-ca-trust', folder: AMAZON },
  ])('adds each to the list of $image, in a file of its own', ({ command, folder }) => {
    const machine = new TrustingMachine(command);
    expect(machine.run(`Acme's\n${one}\n# and $(another)\n${other}\n`)).toMatchObject({
      status: 0,
      stdout: '',
    });
    expect(machine.files(folder)).toEqual({ [name(1)]: one, [name(2)]: other });
    expect(machine.started).toEqual([`${command} `, 'systemctl try-restart docker.service']);
  });

  it('replaces those of an earlier run, and nothing else', () => {
    const machine = new TrustingMachine('update-ca-certificates');
    mkdirSync(join(machine.root, DEBIAN), { recursive: true });
    writeFileSync(join(machine.root, DEBIAN, 'mine.crt'), 'mine');
    machine.run(`${one}\n${other}`);
    machine.run(other);
    expect(machine.files(DEBIAN)).toEqual({ 'mine.crt': 'mine', [name(1)]: other });
  });

  it("then runs the fleet's own script, in its own language, and ends as that does", () => {
    const machine = new TrustingMachine('update-ca-certificates');
    const install = `#!/usr/bin/env python3
import os, sys
print("it's $HOME", sorted(os.listdir(os.environ["ROOT"] + "/${DEBIAN}")))
print("END")
print(open(os.environ["LOG"]).read().strip().split("\\n")[0], file=sys.stderr)
sys.exit(7)
`;
    const before = readdirSync(machine.root);
    const { status, stdout, stderr } = machine.run(one, install);
    expect(status).toBe(7);
    expect(stdout).toBe(`it's $HOME ['${name(1)}']\nEND\n`);
    expect(stderr).toContain('update-ca-certificates');
    const left = readdirSync(machine.root).filter((file) => !before.includes(file));
    expect(left.toSorted()).toEqual(['log', 'script', 'usr']);
  });

  it('does not run it on an image without a list, and says what is missing', () => {
    const { status, stdout, stderr } = new TrustingMachine().run(one, '#!/bin/sh\necho installed\n');
    expect(status).toBe(1);
    expect(stdout).toBe('');
    expect(stderr).toContain('this image has no update-ca-certificates and no update-ca-trust');
  });

  it('does not run it if the list cannot be made', () => {
    const machine = new TrustingMachine('update-ca-certificates');
    writeFileSync(join(machine.root, 'commands/update-ca-certificates'), '#!/bin/sh\nexit 3\n');
    expect(machine.run(one, '#!/bin/sh\necho installed\n')).toMatchObject({ status: 3, stdout: '' });
  });

  it('passes shellcheck, with and without a script', ({ skip }) => {
    skip(spawnSync('shellcheck', ['--version']).error !== undefined, 'shellcheck is not installed');
    for (const install of [undefined, '#!/bin/sh\ntrue\n']) {
      const { stdout } = spawnSync('shellcheck', ['-'], {
        input: trustingInstall(one, install),
        encoding: 'utf8',
      });
      expect(stdout).toBe('');
    }
  });
});
