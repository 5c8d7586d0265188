import { execFile, execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';

/**
 * A package repository as large as that of a distribution, and as slow as one in the same Region may be. Debian 12 lists
 * 63,440 packages for amd64, in 50 MB. Its packages of Docker, a compiler and git are 80 MB to download.
 */
export const MIRROR = {
  /** The packages that the index lists. */
  listed: 63_440,
  /** The packages that `tools` installs, beside itself, and the bytes of each. */
  installed: 40,
  bytes: 2_000_000,
  /** Until the first byte of an answer, in milliseconds; then bytes a second. */
  pace: { latency: 20, rate: 25_000_000 },
};

const hash = (kind: 'md5' | 'sha256', content: string | Buffer) =>
  createHash(kind).update(content).digest('hex');

/** A package that nobody installs, with as much to read as a real one. */
function stanza(index: number): string {
  const [md5, sha256] = [hash('md5', `${index}`), hash('sha256', `${index}`)];
  const words = (sha256 + md5).match(/.{6}/g) ?? [];
  const other = (step: number) => `library-${(index * step) % MIRROR.listed}`;
  return `Package: library-${index}
Version: 1.${index % 40}.${index % 7}-${index % 5}
Installed-Size: ${100 + (index % 9_000)}
Maintainer: Team ${words[0]} <${words[1]}@lists.example.com>
Architecture: all
Depends: ${other(3)} (>= 1.2), ${other(7)}, ${other(11)} (>= 1.${index % 9})
Suggests: ${other(13)}
Description: the ${words.slice(2, 8).join(' ')} library
Multi-Arch: foreign
Homepage: https://www.example.com/projects/${words[3]}/
Description-md5: ${md5}
Tag: devel::library, implemented-in::c, interface::commandline, role::shared-lib,
 scope::utility, uitoolkit::${words[4]}, works-with::${words[5]}, works-with::${words[6]}
Section: libs
Priority: optional
Filename: pool/main/l/library/library-${index}_1.${index % 40}_all.deb
Size: ${10_000 + index * 7}
MD5sum: ${md5}
SHA256: ${sha256}
`;
}

/** Fills the folder, and returns the size of the index. */
function fill(folder: string): number {
  mkdirSync(folder, { recursive: true });
  const deb = (name: string, files: Record<string, string | Buffer>, depends: string[]) => {
    const tree = join(folder, 'build');
    mkdirSync(join(tree, 'DEBIAN'), { recursive: true });
    const more = depends.length === 0 ? '' : `Depends: ${depends.join(', ')}\n`;
    const control = `Package: ${name}\nVersion: 1.0\nArchitecture: all\nMaintainer: nobody <nobody@example.com>\n${more}Description: stand-in\n`;
    writeFileSync(join(tree, 'DEBIAN/control'), control);
    for (const [path, content] of Object.entries(files)) {
      mkdirSync(join(tree, path, '..'), { recursive: true });
      writeFileSync(join(tree, path), content, { mode: 0o755 });
    }
    const file = join(folder, `${name}.deb`);
    execFileSync('dpkg-deb', ['--root-owner-group', '-Znone', '--build', tree, file], { stdio: 'ignore' });
    rmSync(tree, { recursive: true });
    const content = readFileSync(file);
    return `${control}Filename: ./${name}.deb\nSize: ${content.length}\nSHA256: ${hash('sha256', content)}\n`;
  };
  const parts = Array.from({ length: MIRROR.installed }, (_, index) => `tool-${index}`);
  const stanzas = [
    deb('tools', { 'usr/bin/compiler': '#!/bin/sh\necho compiled\n' }, parts),
    ...parts.map((name) => deb(name, { [`usr/lib/tools/${name}`]: randomBytes(MIRROR.bytes) }, [])),
    ...Array.from({ length: MIRROR.listed - parts.length - 1 }, (_, index) => stanza(index)),
  ];
  const index = stanzas.join('\n');
  const compressed = gzipSync(index);
  writeFileSync(join(folder, 'Packages.gz'), compressed);
  const entry = (name: string, content: string | Buffer) =>
    ` ${hash('sha256', content)} ${Buffer.byteLength(content)} ${name}\n`;
  writeFileSync(
    join(folder, 'Release'),
    `Date: ${new Date().toUTCString()}\nSHA256:\n${entry('Packages', index)}${entry('Packages.gz', compressed)}`,
  );
  return Buffer.byteLength(index);
}

const FILE = fileURLToPath(import.meta.url);

/**
 * Makes the folder such a repository, in which `tools` brings the command `compiler`, and returns the size of its index in
 * bytes. It takes seconds, in a process of its own: the world must go on answering meanwhile.
 */
export async function makeMirror(folder: string): Promise<number> {
  const { stdout } = await promisify(execFile)(process.execPath, ['--import', 'tsx', FILE, folder]);
  return Number(stdout);
}

const [, script, folder] = process.argv;
if (script === FILE && folder !== undefined) process.stdout.write(`${fill(folder)}`);
