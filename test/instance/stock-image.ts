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

/** Runs debootstrap with mounts of its own, which go with it; throws its last words if it fails. */
async function debootstrap(folder: string): Promise<void> {
  const options = ['--variant=minbase', `--include=${PACKAGES.join(',')}`];
  const words = ['--mount', 'debootstrap', ...options, 'bookworm', folder];
  const child = spawn('unshare', words, { stdio: ['ignore', 'pipe', 'inherit'] });
  const stop = () => child.kill();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, stop);
  const [said] = await Promise.all([text(child.stdout), once(child, 'close')]);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, stop);
  if (child.exitCode !== 0) throw new Error(`debootstrap failed:\n${said.split('\n').slice(-20).join('\n')}`);
}

/** Turns a minimal Debian into the stock image. */
function finish(folder: string): void {
  rmSync(join(folder, 'etc/apt/sources.list'), { force: true });
  rmSync(join(folder, 'var/cache/apt/archives'), { recursive: true });
  rmSync(join(folder, 'var/lib/apt/lists'), { recursive: true });
  writeFileSync(join(folder, 'etc/machine-id'), '');
  writeFileSync(join(folder, 'etc/hostname'), 'instance\n');
  writeFileSync(join(folder, 'etc/hosts'), '127.0.0.1 localhost\n127.0.1.1 instance\n');
  writeFileSync(join(folder, 'etc/systemd/system/user-data.service'), USER_DATA_UNIT);
  const systemctl = (...words: string[]) =>
    execFileSync('systemctl', ['--root', folder, ...words], { stdio: 'ignore' });
  systemctl('enable', 'user-data.service');
  systemctl('mask', 'console-getty.service');
}

/**
 * A Debian root that stands for a stock image, made under `.local` the first time and kept: systemd, a
 * stand-in of cloud-init, and no package sources but those that a test's scripts add. Several may make it at
 * once; the first to end is kept, and whoever fails or is stopped leaves nothing.
 */
export async function stockImage(report: (message: string) => void): Promise<string> {
  const digest = createHash('sha256')
    .update(readFileSync(fileURLToPath(import.meta.url)))
    .digest('hex');
  const folder = join(process.cwd(), '.local', `image-${digest.slice(0, 12)}`);
  if (existsSync(folder)) return folder;
  report('Making a Debian root for the instances in .local (the first time only)');
  mkdirSync(join(process.cwd(), '.local'), { recursive: true });
  const making = mkdtempSync(`${folder}.making-`);
  try {
    chmodSync(making, 0o755);
    await debootstrap(making);
    finish(making);
    if (!existsSync(folder)) renameSync(making, folder);
  } finally {
    rmSync(making, { recursive: true, force: true });
  }
  return folder;
}
