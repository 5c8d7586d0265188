import { execFileSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { parse as parseYaml } from 'yaml';
import { findInstallScripts } from '../../fleets/install-scripts.ts';
import { checkFleets } from '../../fleets/load.ts';
import { complaintsAbout, fleetsOf, minimalWith } from '../support/fleets.ts';

describe('the install script', () => {
  it('is found beside the file, wherever the app runs', () => {
    const [fleet] = fleetsOf(minimalWith('install: setup.sh'), { 'setup.sh': '#!/bin/sh\nid\n' });
    expect(fleet?.installFile).toMatch(/^\/.*\/setup\.sh$/);
    expect(readFileSync(fleet?.installFile ?? '', 'utf8')).toBe('#!/bin/sh\nid\n');
  });

  it('may lie anywhere in the folder in which the app runs', () => {
    const script = relative(tmpdir(), 'examples/graviton/install.sh');
    const [fleet] = checkFleets(parseYaml(minimalWith(`install: ${script}`)), join(tmpdir(), 'fleets.yaml'));
    expect(fleet?.installFile).toBe(resolve('examples/graviton/install.sh'));
  });

  // A change of fleets.yaml would otherwise put a file of the machine that deploys onto an instance.
  it.each([
    { what: 'by its path', install: '/etc/rc0.d/../profile' },
    { what: 'from the folder above', install: '../outside.sh' },
    { what: 'by a symbolic link', install: 'link.sh' },
    { what: 'that never ends', install: '/dev/zero' },
  ])('cannot be a file from elsewhere, $what', ({ install }) => {
    const folder = mkdtempSync(join(tmpdir(), 'install-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    mkdirSync(join(folder, 'fleets'));
    writeFileSync(join(folder, 'outside.sh'), '#!/bin/sh\n');
    symlinkSync('../outside.sh', join(folder, 'fleets/link.sh'));
    const raw = parseYaml(minimalWith(`install: ${install}`));
    const file = realpathSync(resolve(folder, 'fleets', install));
    expect(() => checkFleets(raw, join(folder, 'fleets/fleets.yaml'))).toThrow(
      `linux.install: must be the path of a script in the folder of this file or of the app, or below, got "${install}" (it is ${file})`,
    );
  });

  it('may have any length', () => {
    const long = `#!/bin/sh\n${'#'.repeat(100_000)}\n`;
    expect(fleetsOf(minimalWith('install: setup.sh'), { 'setup.sh': long })).toHaveLength(1);
  });

  it.each([
    { what: 'a path that leads nowhere', install: 'nowhere.sh', seen: 'ENOENT: ' },
    { what: 'a directory', install: '.', seen: 'EISDIR: ' },
  ])('cannot be $what', ({ install, seen }) => {
    const said = complaintsAbout(minimalWith(`install: ${install}`));
    expect(said).toContain(
      `fleets.yaml has a fault:\n  linux.install: must be the path of a script, relative to this file, got "${install}" (${seen}`,
    );
  });

  it('cannot be a pipe, which would be read without an end', () => {
    const folder = mkdtempSync(join(tmpdir(), 'pipe-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    execFileSync('mkfifo', [join(folder, 'setup.sh')]);
    const { faults } = findInstallScripts(folder, { linux: { install: 'setup.sh' } });
    expect(faults.map(({ says }) => says)).toEqual([
      'linux.install: must be the path of a script, relative to this file, got "setup.sh" (it is a pipe)',
    ]);
  });

  it.each([
    { what: 'no interpreter', script: 'apt-get update\n', because: 'it does not begin with #!' },
    {
      what: 'an interpreter only in its second line',
      script: '\n#!/bin/sh\n',
      because: 'it does not begin with #!',
    },
    { what: 'nothing in it', script: '', because: 'it does not begin with #!' },
    {
      what: 'the line ends of Windows',
      script: '#!/bin/sh\r\nid\r\n',
      because: 'its first line ends as on Windows',
    },
    { what: 'a byte order mark', script: '\uFEFF#!/bin/sh\nid\n', because: 'it does not begin with #!' },
  ])('is refused with $what, because Linux would not run it', ({ script, because }) => {
    expect(complaintsAbout(minimalWith('install: setup.sh'), { 'setup.sh': script })).toBe(
      `fleets.yaml has a fault:\n  linux.install: must be a script whose first line names its interpreter, such as #!/usr/bin/env bash, with Unix line ends, got "setup.sh" (${because})`,
    );
  });

  it('cannot have an extension that must be escaped in a URL', () => {
    expect(
      complaintsAbout(minimalWith('install: setup.my script'), { 'setup.my script': '#!/bin/sh\n' }),
    ).toBe(
      'fleets.yaml has a fault:\n  linux.install: must be a file with a short extension such as .sh, or none, got "setup.my script" (.my script)',
    );
  });

  it('is reported beside all other faults of its fleet', () => {
    const text = minimalWith('install: setup.sh', 'image: debian', 'spot: {percentage: 0}');
    expect(complaintsAbout(text, { 'setup.sh': 'id\n' })).toMatch(
      /^fleets\.yaml has 3 faults:\n {2}linux\.spot\.percentage: .*\n {2}linux\.image: .*\n {2}linux\.install: /,
    );
  });
});
