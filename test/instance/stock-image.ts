import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** What a stock image of Ubuntu has, of Debian's packages. */
const PACKAGES = [
  'ca-certificates',
  'curl',
  'dbus',
  'iproute2',
  'nftables',
  'procps',
  'python3',
  'python3-yaml',
  'sudo',
  'systemd',
  'systemd-sysv',
  'util-linux',
];

/** EC2 runs user data by cloud-init, once in an instance's life; this is all of it that matters here. */
const USER_DATA_UNIT = `[Unit]
Description=User data, as cloud-init runs it
ConditionPathExists=!/var/lib/user-data.done
After=network-online.target
Wants=network-online.target

[Service]
Type=oneshot
ExecStartPre=touch /var/lib/user-data.done
ExecStart=/var/lib/user-data
StandardOutput=journal+console

[Install]
WantedBy=multi-user.target
`;

/** Why the scenarios cannot run here, if they cannot. */
export function missingHere(): string | undefined {
  if (process.platform !== 'linux') return 'they need Linux';
  if (process.getuid?.() !== 0) return 'they need root';
  const missing = ['systemd-nspawn', 'debootstrap', 'ip', 'nft', 'unshare', 'python3'].filter(
    (command) => spawnSync('sh', ['-c', `command -v ${command}`]).status !== 0,
  );
  return missing.length === 0 ? undefined : `they need ${missing.join(', ')}`;
}

/**
 * A Debian root that stands for a stock image, made under `.local` the first time and kept: systemd, a
 * stand-in of cloud-init, and no package sources but those that a test's scripts add.
 */
export function stockImage(report: (message: string) => void): string {
  const digest = createHash('sha256')
    .update(readFileSync(fileURLToPath(import.meta.url)))
    .digest('hex');
  const folder = join(process.cwd(), '.local', `image-${digest.slice(0, 12)}`);
  if (existsSync(folder)) return folder;
  report('Making a Debian root for the instances in .local (the first time only)');
  const making = `${folder}.making`;
  rmSync(making, { recursive: true, force: true });
  mkdirSync(making, { recursive: true });
  const options = ['--variant=minbase', `--include=${PACKAGES.join(',')}`];
  execFileSync('debootstrap', [...options, 'bookworm', making], { stdio: ['ignore', 'ignore', 'inherit'] });
  rmSync(join(making, 'etc/apt/sources.list'), { force: true });
  rmSync(join(making, 'var/cache/apt/archives'), { recursive: true });
  rmSync(join(making, 'var/lib/apt/lists'), { recursive: true });
  writeFileSync(join(making, 'etc/machine-id'), '');
  writeFileSync(join(making, 'etc/hostname'), 'instance\n');
  writeFileSync(join(making, 'etc/hosts'), '127.0.0.1 localhost\n127.0.1.1 instance\n');
  writeFileSync(join(making, 'etc/systemd/system/user-data.service'), USER_DATA_UNIT);
  const systemctl = (...words: string[]) =>
    execFileSync('systemctl', ['--root', making, ...words], { stdio: 'ignore' });
  systemctl('enable', 'user-data.service');
  systemctl('mask', 'console-getty.service');
  renameSync(making, folder);
  return folder;
}
