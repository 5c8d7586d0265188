import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SigningKey } from '../support/signing-key.ts';

const VENDOR_UNIT = `[Unit]
Description=CircleCI runner, as its package has it: it starts again and again
[Service]
ExecStart=/usr/bin/circleci-runner machine --config /etc/circleci-runner/circleci-runner-config.yaml
Restart=always
RestartSec=1
[Install]
WantedBy=multi-user.target
`;

const VENDOR_CONFIGURATION = `api:
  auth_token: ""
runner:
  name: ""
`;

/** The ways in which the package may make its user, by the folder of each in the downloads. */
export const USERS_OF_PACKAGE = {
  runner: 'useradd --create-home --shell /bin/bash circleci',
  'runner-nologin': 'useradd --system --home-dir /var/lib/circleci-runner --shell /usr/sbin/nologin circleci',
  'runner-homeless': 'useradd --no-create-home --shell /bin/bash circleci',
  'runner-userless': 'true',
} as const;

/** As the vendor's: it throws away what apt says, looks at no exit code, and prints that it is done. */
const repositoryScript = (url: string) => `#!/bin/bash
echo 'Detected operating system as debian/12.'
echo 'deb [trusted=yes] ${url} ./' >/etc/apt/sources.list.d/circleci_runner.list
echo -n 'Running apt-get update... '
apt-get update &>/dev/null
echo 'done.'
echo
echo 'The repository is setup! You can now install packages.'
`;

const sha256 = (content: string | Buffer) => createHash('sha256').update(content).digest('hex');

/** Makes a folder a repository of packages. https://wiki.debian.org/DebianRepository/Format#Flat_Repository_Format */
function repository(folder: string, debs: string[]): void {
  mkdirSync(folder, { recursive: true });
  const stanzas = debs.map((deb) => {
    const content = readFileSync(deb);
    writeFileSync(join(folder, basename(deb)), content);
    const control = execFileSync('dpkg-deb', ['--field', deb], { encoding: 'utf8' }).trimEnd();
    return `${control}\nFilename: ./${basename(deb)}\nSize: ${content.length}\nSHA256: ${sha256(content)}\n`;
  });
  const packages = stanzas.join('\n');
  writeFileSync(join(folder, 'Packages'), packages);
  writeFileSync(
    join(folder, 'Release'),
    `Date: ${new Date().toUTCString()}\nSHA256:\n ${sha256(packages)} ${Buffer.byteLength(packages)} Packages\n`,
  );
}

/**
 * A folder with everything that an instance downloads: the package repository of machine runner 3 with its set-up
 * script, a release of it, and the CloudWatch agent's package; all of stand-ins.
 */
export function makeDownloads(folder: string, url: string): { sha256: string; agentKey: string } {
  const runner = fileURLToPath(new URL('./circleci-runner', import.meta.url));

  const deb = (name: string, files: Record<string, string>, scripts: Record<string, string>) => {
    const tree = join(folder, 'build', name);
    mkdirSync(join(tree, 'DEBIAN'), { recursive: true });
    writeFileSync(
      join(tree, 'DEBIAN/control'),
      `Package: ${name}\nVersion: 3.1.13\nArchitecture: all\nMaintainer: nobody <nobody@example.com>\nDescription: stand-in\n`,
    );
    for (const [script, text] of Object.entries(scripts)) {
      writeFileSync(join(tree, 'DEBIAN', script), text);
      chmodSync(join(tree, 'DEBIAN', script), 0o755);
    }
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(join(tree, path, '..'), { recursive: true });
      writeFileSync(join(tree, path), text);
      chmodSync(join(tree, path), path.includes('bin/') ? 0o755 : 0o644);
    }
    const file = join(folder, `${name}.deb`);
    execFileSync('dpkg-deb', ['--root-owner-group', '--build', tree, file], { stdio: 'ignore' });
    return file;
  };

  for (const [kind, makeUser] of Object.entries(USERS_OF_PACKAGE)) {
    const file = deb(
      'circleci-runner',
      {
        'usr/bin/circleci-runner': readFileSync(runner, 'utf8'),
        'lib/systemd/system/circleci-runner.service': VENDOR_UNIT,
        'etc/circleci-runner/circleci-runner-config.yaml': VENDOR_CONFIGURATION,
      },
      {
        postinst: `#!/bin/sh\nset -e\nid circleci >/dev/null 2>&1 || ${makeUser}\nsystemctl enable --now circleci-runner.service || true\n`,
      },
    );
    repository(join(folder, kind), [file]);
    writeFileSync(join(folder, kind, 'script.deb.sh'), repositoryScript(`${url}/${kind}`));
  }
  const compiler = '#!/bin/sh\necho compiled\n';
  repository(join(folder, 'archive'), [deb('compiler', { 'usr/bin/compiler': compiler }, {})]);
  writeFileSync(join(folder, 'archive/compiler'), compiler);
  cpSync(runner, join(folder, 'runner/circleci-runner'));
  writeFileSync(
    join(folder, 'runner/script.rpm.sh'),
    `mkdir -p /etc/yum.repos.d\necho '${url}/runner' >/etc/yum.repos.d/circleci_runner.repo\necho 'The repository is setup! You can now install packages.'\n`,
  );

  mkdirSync(join(folder, 'releases/3.1.13'), { recursive: true });
  const archive = join(folder, 'releases/3.1.13/circleci-runner_linux_amd64.tar.gz');
  execFileSync('tar', ['-czf', archive, '-C', join(runner, '..'), 'circleci-runner']);
  cpSync(archive, archive.replace('amd64', 'arm64'));
  const release = (architecture: string) => ({
    url: `${url}/releases/3.1.13/circleci-runner_linux_${architecture}.tar.gz`,
    sha256: sha256(readFileSync(archive)),
  });
  const linux = { amd64: release('amd64'), arm64: release('arm64') };
  writeFileSync(
    join(folder, 'releases/manifest.json'),
    JSON.stringify({ releases: { current: { linux }, '3.1.13': { linux } } }),
  );

  const agent = deb(
    'amazon-cloudwatch-agent',
    {
      // It sends what the log has by then, and all that its configuration says, to who asks in a test.
      'opt/aws/amazon-cloudwatch-agent/bin/amazon-cloudwatch-agent-ctl': `#!/bin/sh
sleep 1
curl -fsS -F "instance=$INSTANCE_ID" -F "config=@\${7#file:}" -F log=@/var/log/autoscaler.log ${url}/agent
`,
    },
    {},
  );
  using amazon = new SigningKey();
  using somebody = new SigningKey();
  // Whoever controls the bucket can publish a package, its signature, and their own key.
  for (const [bucket, key] of Object.entries({ agent: amazon, 'agent-of-somebody': somebody })) {
    mkdirSync(join(folder, bucket, 'assets'), { recursive: true });
    writeFileSync(join(folder, bucket, 'assets/amazon-cloudwatch-agent.gpg'), key.armoured);
    for (const architecture of ['amd64', 'arm64']) {
      const latest = join(folder, bucket, 'ubuntu', architecture, 'latest');
      mkdirSync(latest, { recursive: true });
      const published = join(latest, 'amazon-cloudwatch-agent.deb');
      cpSync(agent, published);
      key.sign(published);
    }
  }
  return { sha256: sha256(readFileSync(archive)), agentKey: amazon.fingerprint };
}

/** Where rpm keeps the lock of its transactions. */
export const RPM_LOCK = '/var/lib/rpm/.rpm.lock';

/**
 * Stands in for dnf, which Debian does not use: it knows the packages of the vendor's repository and of the archive,
 * and fails at once while rpm's lock is held.
 */
export const dnf = (url: string) => `#!/usr/bin/python3
import fcntl, os, subprocess, sys
names = [word for word in sys.argv[1:] if not word.startswith("-")]
assert names.pop(0) in ("install", "makecache"), sys.argv
os.makedirs("/var/lib/rpm", exist_ok=True)
with open("${RPM_LOCK}", "w") as lock:
    try:
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        print("RPM: error: can't create transaction lock on ${RPM_LOCK} (Resource temporarily unavailable)")
        sys.exit("Error: Could not run transaction.")
    for name in names:
        repository = "${url}/archive"
        if name == "circleci-runner":
            with open("/etc/yum.repos.d/circleci_runner.repo") as file:
                repository = file.read().strip()
        path = "/usr/bin/" + name
        subprocess.run(["curl", "-fsS", "-o", path, repository + "/" + name], check=True)
        os.chmod(path, 0o755)
`;
