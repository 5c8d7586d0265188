import { mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { dnf, RPM_LOCK } from './downloads.ts';
import type { Machine } from './machine.ts';

/** What a machine may be like when it boots, and what may be wrong on it; what may be wrong around it is in `world.ts`. */

const LOCKS = {
  lists: ['/var/lib/apt/lists/lock'],
  dpkg: ['/var/lib/dpkg/lock-frontend', '/var/lib/dpkg/lock'],
  rpm: [RPM_LOCK],
};

export type Lock = keyof typeof LOCKS;

/** Takes locks as apt, dpkg and rpm do, tells systemd, and holds them for some seconds. */
const HOLD = `#!/usr/bin/python3
import fcntl, os, socket, sys, time
files = [open(path, "w") for path in sys.argv[2:]]
for file in files:
    fcntl.lockf(file, fcntl.LOCK_EX)
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
    notify.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
time.sleep(float(sys.argv[1]))
`;

/** A command that holds locks for some seconds, when it runs on a machine that `canHoldLocks`. */
export const holding = (lock: Lock, seconds: number) =>
  `/usr/local/sbin/hold-locks ${seconds} ${LOCKS[lock].join(' ')}`;

/** Lets a machine's scripts hold locks. */
export function canHoldLocks(machine: Machine): void {
  machine.write('usr/local/sbin/hold-locks', HOLD, 0o755);
}

/** Has another package manager hold locks from the start of the boot on, for some seconds. */
export function holdsLock(machine: Machine, lock: Lock, seconds: number): void {
  canHoldLocks(machine);
  mkdirSync(join(machine.root, RPM_LOCK, '..'), { recursive: true });
  machine.write(
    'etc/systemd/system/other-packages.service',
    `[Unit]
Description=Another package manager
DefaultDependencies=no
After=local-fs.target systemd-tmpfiles-setup.service
Before=cloud-init-local.service
[Service]
Type=notify
ExecStart=${holding(lock, seconds)}
[Install]
WantedBy=sysinit.target
`,
  );
  enable(machine, 'other-packages.service', 'sysinit.target');
}

/** Makes it one of Amazon Linux, as far as packages go. */
export async function becomesAmazonLinux(machine: Machine, downloads: string): Promise<void> {
  await machine.inspect('rm', '-r', '/usr/bin/apt-get', '/usr/bin/dpkg', '/etc/apt');
  machine.write('usr/bin/dnf', dnf(downloads), 0o755);
}

/** Makes the daily updates due at the next boot, with the shortest delay that they may draw. */
export function updatesAreDue(machine: Machine): void {
  const longAgo = new Date('2026-01-05T06:00:00Z');
  for (const timer of ['apt-daily.timer', 'apt-daily-upgrade.timer']) {
    machine.write(`etc/systemd/system/${timer}.d/delay.conf`, '[Timer]\nRandomizedDelaySec=0\n');
    const stamp = join(machine.root, `var/lib/systemd/timers/stamp-${timer}`);
    mkdirSync(join(stamp, '..'), { recursive: true });
    writeFileSync(stamp, '');
    utimesSync(stamp, longAgo, longAgo);
  }
}

/** Whether the daily updates have run. */
export async function haveUpdated(machine: Machine): Promise<boolean> {
  const units = ['--unit=apt-daily.service', '--unit=apt-daily-upgrade.service'];
  const journal = await machine.inspect('journalctl', '--directory=/var/log/journal', '--quiet', ...units);
  return journal.includes('Starting apt-daily');
}

function enable(machine: Machine, unit: string, target: string): void {
  machine.link(`etc/systemd/system/${target}.wants/${unit}`, `/etc/systemd/system/${unit}`);
}
