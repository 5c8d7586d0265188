import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { makePrivateFolder } from '../../simulator/private-files.ts';

/** What a stock image of Ubuntu has, of Debian's packages. */
const PACKAGES = [
  'ca-certificates',
  'cloud-init',
  'curl',
  'dbus',
  'iproute2',
  'libpam-systemd',
  'nftables',
  'procps',
  'python3',
  // debootstrap does not follow what a package provides, and cloud-init needs this one by such a name.
  'python3-cffi-backend',
  'python3-yaml',
  'sudo',
  'systemd',
  'systemd-sysv',
  'uidmap',
  'unattended-upgrades',
  'util-linux',
];

/** What Ubuntu's images for EC2 configure. The network and what belongs to ssh is not cloud-init's here. */
const CLOUD_INIT = `datasource_list: [ Ec2 ]
network: { config: disabled }
ssh_genkeytypes: []
ssh_deletekeys: false
locale: false
system_info:
  default_user: { name: ubuntu, gecos: Ubuntu }
`;

/** Why the scenarios cannot run here, if they cannot. */
export function missingHere(): string | undefined {
  if (process.platform !== 'linux') return 'they need Linux';
  if (process.getuid?.() !== 0) return 'they need root';
  const missing = ['systemd-nspawn', 'debootstrap', 'ip', 'nft', 'unshare', 'python3', 'gpg'].filter(
    (command) => spawnSync('sh', ['-c', `command -v ${command}`]).status !== 0,
  );
  return missing.length === 0 ? undefined : `they need ${missing.join(', ')}`;
}

/** Runs a command with mounts of its own, which go with it; throws its last words if it fails. */
async function make(command: string, ...words: string[]): Promise<void> {
  const child = spawn('unshare', ['--mount', command, ...words], { stdio: ['ignore', 'pipe', 'inherit'] });
  const stop = () => child.kill();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, stop);
  const [said] = await Promise.all([text(child.stdout), once(child, 'close')]);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, stop);
  if (child.exitCode !== 0) throw new Error(`${command} failed:\n${said.split('\n').slice(-20).join('\n')}`);
}

const debootstrap = (folder: string) =>
  make('debootstrap', '--variant=minbase', `--include=${PACKAGES.join(',')}`, 'bookworm', folder);

/** Turns a minimal Debian into the stock image. */
function finish(folder: string): void {
  const write = (path: string, text: string) => writeFileSync(join(folder, path), text);
  // Where debootstrap has its packages from, for what is added to the image later.
  renameSync(join(folder, 'etc/apt/sources.list'), join(folder, 'etc/apt/mirror.list'));
  write('etc/apt/sources.list', 'deb [trusted=yes] http://downloads.internal:8000/archive ./\n');
  for (const kept of ['var/cache/apt/archives', 'var/lib/apt/lists']) {
    rmSync(join(folder, kept), { recursive: true });
    mkdirSync(join(folder, kept, 'partial'), { recursive: true });
  }
  write('etc/machine-id', '');
  write('etc/hostname', 'instance\n');
  write('etc/hosts', '127.0.0.1 localhost\n127.0.1.1 instance\n');
  write('etc/resolv.conf', 'nameserver 10.77.0.1\n');
  write('etc/cloud/cloud.cfg.d/90_stock.cfg', CLOUD_INIT);
  const systemctl = (...words: string[]) =>
    execFileSync('systemctl', ['--root', folder, ...words], { stdio: 'ignore' });
  systemctl('enable', 'systemd-networkd.service');
  systemctl('mask', 'console-getty.service');
}

/** Installs Docker on an image. Arguments: IMAGE FOLDER. What Docker adds is written to FOLDER. */
const INSTALL_DOCKER = `set -e
mkdir "$2/upper" "$2/work" "$2/root"
mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" "$2/root"
cp /etc/resolv.conf "$2/resolv.conf"
mount --bind "$2/resolv.conf" "$2/root/etc/resolv.conf"
printf '#!/bin/sh\\nexit 101\\n' >"$2/root/usr/sbin/policy-rc.d"
chmod 0755 "$2/root/usr/sbin/policy-rc.d"
for words in update 'install -y --no-install-recommends docker.io busybox-static'; do
  DEBIAN_FRONTEND=noninteractive chroot "$2/root" apt-get -q -o Dir::Etc::SourceList=/etc/apt/mirror.list $words
done
rm -r "$2/root/usr/sbin/policy-rc.d" "$2/root"/var/cache/apt/*.bin "$2/root"/var/lib/apt/lists/*_*
rm "$2/root"/var/cache/apt/archives/*.deb
`;

/**
 * A Debian root that stands for a stock image, made under `.local` the first time and kept: systemd, cloud-init, the
 * daily updates, and one package source, on the bridge.
 */
export function stockImage(report: (message: string) => void): Promise<string> {
  return kept('image', 'Making a Debian root for the instances', report, async (folder) => {
    await debootstrap(folder);
    finish(folder);
  });
}

/** The folder of what Docker adds to the stock image, kept as that is. */
export async function dockerLayer(image: string, report: (message: string) => void): Promise<string> {
  const folder = await kept('docker', 'Installing Docker for the instances', report, (making) =>
    make('sh', '-c', INSTALL_DOCKER, '-', image, making),
  );
  return join(folder, 'upper');
}

/**
 * A folder under `.local` that is made when this file has changed, and kept. Several may make it at once; the first to
 * end is kept, and whoever fails or is stopped leaves nothing.
 */
async function kept(
  name: string,
  what: string,
  report: (message: string) => void,
  fill: (folder: string) => Promise<void>,
): Promise<string> {
  const digest = createHash('sha256')
    .update(readFileSync(fileURLToPath(import.meta.url)))
    .digest('hex');
  const folder = join(process.cwd(), '.local', `${name}-${digest.slice(0, 12)}`);
  if (existsSync(folder)) return folder;
  report(`${what} in .local (the first time only)`);
  makePrivateFolder(join(process.cwd(), '.local'));
  const making = mkdtempSync(`${folder}.making-`);
  try {
    chmodSync(making, 0o755);
    await fill(making);
    if (!existsSync(folder)) renameSync(making, folder);
  } finally {
    rmSync(making, { recursive: true, force: true });
  }
  return folder;
}
