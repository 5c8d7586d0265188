import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it, onTestFinished } from 'vitest';
import { logicalId } from '../../fleets/names.ts';
import { UPDATES } from '../../userdata/files.ts';
import { SynthesisedTemplate } from '../infra/template.ts';
import { fleetsWith, INSTALL, RUNNER, threeFleets } from '../support/fleets.ts';

const LIB = '/opt/autoscaler';
const UNITS = '/etc/systemd/system';
const ENVIRONMENT = '/etc/autoscaler/environment';
const PROXY = '/etc/autoscaler/proxy';
const STOP = `${UNITS}/autoscaler-runner.service.d/stop.conf`;

const DOCUMENT = /^cat >(\S+) <<'END'\n([\s\S]*?\n)END$/gm;
const COMPRESSED = /^base64 -d <<'END' \| gzip -d \| bash -e\n([\s\S]*?\n)END$/gm;

/** User data with what they hold compressed in its place. */
const decompressed = (userData: string) =>
  userData.replace(COMPRESSED, (_, text) => gunzipSync(Buffer.from(text, 'base64')).toString().trimEnd());

/** The files that user data writes, each by its path. */
const writtenBy = (userData: string): Record<string, string> =>
  Object.fromEntries([...decompressed(userData).matchAll(DOCUMENT)].map(([, path, text]) => [path, text]));

/** What the scripts and units of an instance are given. */
const environmentIn = (userData: string): Record<string, string> =>
  Object.fromEntries(
    [...(writtenBy(userData)[ENVIRONMENT] ?? '').matchAll(/^(.*?)=(.*)$/gm)].map(([, name, value]) => [
      name,
      value,
    ]),
  );

const onDisk = (file: string) => readFileSync(`userdata/${file}`, 'utf8');

/** A file as it is on an instance: without empty lines and comments, but with what they tell shellcheck. */
const onInstance = (file: string) =>
  onDisk(file)
    .split('\n')
    .filter((line) => line !== '' && (!/^ *#/.test(line) || /^(#!|# shellcheck )/.test(line.trim())))
    .map((line) => `${line}\n`)
    .join('');

const few = SynthesisedTemplate.of(fleetsWith({ nothing: {}, pinned: { runner: JSON.stringify(RUNNER) } }));
const three = SynthesisedTemplate.of(threeFleets());

/** User data of every kind, by its fleet. */
const ALL = [
  ...['nothing', 'pinned'].map((fleet) => ({ fleet, userData: few.userData(logicalId(fleet)) })),
  { fleet: 'everything', userData: three.userData('LinuxLarge') },
];

describe('the files of userdata/', () => {
  /** What every instance has, from which file. */
  const ALWAYS = {
    [`${LIB}/aws.sh`]: 'aws.sh',
    [`${LIB}/packages.sh`]: 'packages.sh',
    [`${LIB}/prepare.sh`]: 'prepare.sh',
    [`${LIB}/boot`]: 'boot.sh',
    [`${LIB}/install-runner`]: 'install-runner.sh',
    [`${LIB}/as-task-user`]: 'as-task-user.sh',
    [`${LIB}/block-metadata`]: 'block-metadata.sh',
    [`${LIB}/leave-group`]: 'leave-group.sh',
    [`${UNITS}/autoscaler-.service.d/defaults.conf`]: 'autoscaler-defaults.conf',
    [`${UNITS}/autoscaler-boot.service`]: 'autoscaler-boot.service',
    [`${UNITS}/autoscaler-boot-failed.service`]: 'autoscaler-boot-failed.service',
    [`${UNITS}/autoscaler-runner.service`]: 'autoscaler-runner.service',
    [`${UNITS}/autoscaler-leave.service`]: 'autoscaler-leave.service',
    [`${LIB}/watch`]: 'watch.sh',
    [`${LIB}/proxy`]: 'proxy.sh',
    [`${LIB}/docker`]: 'docker.sh',
    [`${LIB}/instance-store`]: 'instance-store.sh',
    [`${LIB}/ssh-rerun`]: 'ssh-rerun.sh',
    [`${UNITS}/autoscaler-watch.service`]: 'autoscaler-watch.service',
  };
  /** Here-documents and Python keep theirs; the tests of the scripts run them. */
  const unindented = (text: string) => text.replaceAll(/^ +/gm, '');
  const allUnindented = (files: Record<string, string>) =>
    Object.fromEntries(Object.entries(files).map(([path, text]) => [path, unindented(text)]));
  /** These files as they are, and what is made of the fleet's settings. */
  const wanted = (files: Record<string, string>) => ({
    ...Object.fromEntries(Object.entries(files).map(([path, file]) => [path, unindented(onInstance(file))])),
    [ENVIRONMENT]: expect.any(String),
    [STOP]: expect.any(String),
    // Or systemd ends a reboot, and a task with it, after 30 minutes.
    [`${UNITS}/reboot.target.d/autoscaler.conf`]: '[Unit]\nJobTimeoutSec=infinity\n',
    [`${UNITS}/poweroff.target.d/autoscaler.conf`]: '[Unit]\nJobTimeoutSec=infinity\n',
  });

  it.each(['nothing', 'pinned'])(
    'are on an instance of fleet %s as they are here but for comments, empty lines and indentation',
    (fleet) => {
      expect(allUnindented(writtenBy(few.userData(logicalId(fleet))))).toEqual(wanted(ALWAYS));
    },
  );

  it('are on an instance of a fleet with every setting as they are here', () => {
    expect(allUnindented(writtenBy(three.userData('LinuxLarge')))).toEqual({
      ...wanted({ ...ALWAYS, [`${LIB}/ship-logs`]: 'ship-logs.sh' }),
      [PROXY]: expect.any(String),
    });
  });

  const files = readdirSync('userdata').filter((file) => !file.endsWith('.ts'));

  it('are each used by some fleet or image', () => {
    const ofImages = ['image-build.sh', 'image-clean.sh', 'image-test.sh', 'image-verify.sh'];
    // It goes before the install script: test/userdata/trust.test.ts.
    const ofInstall = 'trust.sh';
    const used = [...Object.values(ALWAYS), 'ship-logs.sh', ofInstall, ...ofImages];
    expect([...new Set(used)].toSorted()).toEqual(files.toSorted());
  });

  it.each(files)(
    '%s ends where user data ends it: with its last line, and no line before says END',
    (file) => {
      expect(onDisk(file).split('\n')).not.toContain('END');
      expect(onDisk(file)).toMatch(/[^\n]\n$/);
    },
  );
});

describe('the environment', () => {
  const ofNothing = {
    CIRCLECI_URL: 'https://runner.circleci.com',
    BOOT_TIMEOUT_SECONDS: '600',
    IDLE_TIMEOUT_SECONDS: '300',
    MAX_RUN_TIME_SECONDS: '18000',
    // The three times, and a quarter of an hour.
    AGE_LIMIT_SECONDS: '19800',
    RUNNER_MODE: 'single-task',
    ALLOW_INSTANCE_METADATA: 'false',
    UNSAFE_RETRIES: 'false',
    INSTALL_OBJECT: '',
    RUNNER_VERSION: '',
    LOG_GROUP_NAME: '',
    DOCKER: 'false',
    WORKING_DIRECTORY: 'root-volume',
    SSH_RERUN_ADDRESS: '',
  };

  it.each([
    {
      id: 'Arm',
      wanted: {
        ...ofNothing,
        GROUP_NAME: 'circleci-runners-arm',
        RUNNER_SECRET_NAME: 'circleci-runners/arm/runner',
      },
    },
    {
      id: 'LinuxLarge',
      wanted: {
        GROUP_NAME: 'circleci-runners-linux-large',
        RUNNER_SECRET_NAME: 'existing/runner',
        CIRCLECI_URL: 'https://circleci.acme.example',
        BOOT_TIMEOUT_SECONDS: '1200',
        IDLE_TIMEOUT_SECONDS: '14400-RANDOM%3601',
        // The two hours of maxRunTime, and two for a session of SSH.
        MAX_RUN_TIME_SECONDS: '14400',
        AGE_LIMIT_SECONDS: '30900',
        RUNNER_MODE: 'single-task',
        ALLOW_INSTANCE_METADATA: 'true',
        UNSAFE_RETRIES: 'true',
        INSTALL_OBJECT: three.uploaded(INSTALL),
        INSTALL_SHA256: createHash('sha256').update(INSTALL).digest('hex'),
        RUNNER_VERSION: RUNNER.version,
        RUNNER_SHA256: RUNNER.sha256,
        RUNNER_REQUIRED: 'true',
        LOG_GROUP_NAME: '/circleci-runners/linux-large/instances',
        DOCKER: 'true',
        WORKING_DIRECTORY: 'instance-store',
        SSH_RERUN_ADDRESS: 'public-ipv4',
      },
    },
    {
      id: 'Owned',
      wanted: {
        ...ofNothing,
        GROUP_NAME: 'circleci-runners-owned',
        RUNNER_SECRET_NAME: 'circleci-runners/owned/runner',
      },
    },
  ])("of $id is the fleet's settings, and what a deployment uploads for it, unchanged", ({ id, wanted }) => {
    expect(environmentIn(three.userData(id))).toEqual(wanted);
  });

  it.each([
    { sshRerun: '{cidr: 203.0.113.0/24}', item: 'public-ipv4' },
    { sshRerun: '{cidr: 203.0.113.0/24, address: private}', item: 'local-ipv4' },
    { sshRerun: '{cidr: "2001:db8::/48"}', item: 'ipv6' },
    { sshRerun: '{cidr: "2001:db8::/48", address: ipv6}', item: 'ipv6' },
  ])('names the metadata item with the address for SSH reruns of $sshRerun: $item', ({ sshRerun, item }) => {
    const rerun = SynthesisedTemplate.of(fleetsWith({ rerun: { sshRerun } }));
    expect(environmentIn(rerun.userData('Rerun'))).toMatchObject({ SSH_RERUN_ADDRESS: item });
  });

  it.each([
    { sshRerun: '{}', item: 'public-ipv4' },
    { sshRerun: '{address: private}', item: 'local-ipv4' },
    { sshRerun: '{address: ipv6}', item: 'ipv6' },
  ])('names the metadata item for $sshRerun with security groups of yours: $item', ({ sshRerun, item }) => {
    const network = '{vpcId: vpc-01234567, subnetIds: [subnet-01234567], securityGroupIds: [sg-01234567]}';
    const rerun = SynthesisedTemplate.of(fleetsWith({ rerun: { sshRerun, network } }));
    expect(environmentIn(rerun.userData('Rerun'))).toMatchObject({ SSH_RERUN_ADDRESS: item });
  });

  it('has the proxy in both spellings, with an exception for the instance and its metadata', () => {
    const direct =
      'localhost,127.0.0.1,::1,169.254.169.254,169.254.170.2,fd00:ec2::254,.acme.example,10.0.0.0/8';
    const proxied = ['http_proxy', 'https_proxy', 'HTTP_PROXY', 'HTTPS_PROXY'].map(
      (name) => `${name}=http://proxy.acme.example:3128\n`,
    );
    expect(writtenBy(three.userData('LinuxLarge'))[PROXY]).toBe(
      `${proxied.join('')}no_proxy=${direct}\nNO_PROXY=${direct}\n`,
    );
  });

  it('gives a reused instance a day, and the time of one more task, before it leaves in any case', () => {
    const reused = SynthesisedTemplate.of(
      fleetsWith({ reused: { reuse: 'continuous', idleTimeout: '20m', maxRunTime: '2h' } }),
    );
    expect(environmentIn(reused.userData('Reused'))).toMatchObject({
      RUNNER_MODE: 'continuous',
      IDLE_TIMEOUT_SECONDS: '1200',
      // The boot, the day, the longest task, and twice a quarter of an hour: no task that was begun in time is cut off.
      AGE_LIMIT_SECONDS: '96000',
    });
    expect(writtenBy(reused.userData('Reused'))[STOP]).toBe(
      '[Service]\nTimeoutStopSec=8100\nRuntimeMaxSec=86400\n',
    );
  });

  it.each([
    { id: 'Arm', seconds: 18_900 },
    { id: 'LinuxLarge', seconds: 15_300 },
    { id: 'Owned', seconds: 18_900 },
  ])(
    'lets the runner of $id take as long to stop as a task and its SSH session may last, and a quarter of an hour',
    ({ id, seconds }) => {
      expect(writtenBy(three.userData(id))[STOP]).toBe(`[Service]\nTimeoutStopSec=${seconds}\n`);
    },
  );

  it('has only names, the place of uploaded scripts, and the log group', () => {
    const references: unknown[] = [];
    JSON.parse(
      JSON.stringify(
        three.all('AWS::EC2::LaunchTemplate').map(({ id }) => Object(three.json.Resources[id])),
        // Properties of the launch template beside its user data refer to the role, and more.
        (key, value) => (key === 'LaunchTemplateData' ? value.UserData : value),
      ),
      (key, value) => {
        if (/^(Ref|Fn::(?!Base64|Join))/.test(key)) references.push({ [key]: value });
        return value;
      },
    );
    const bucket = { 'Fn::Sub': `cdk-hnb659fds-assets-\${AWS::AccountId}-\${AWS::Region}` };
    expect(references).toEqual([
      bucket,
      { Ref: three.the('AWS::Logs::LogGroup', 'LinuxLargeFleet').id.replace('LinuxLarge', '') },
    ]);
    for (const { userData } of ALL) expect(userData).not.toContain('{{resolve:');
  });
});

/** A name of letters and digits that does not compress. It is the same in each run. */
const incompressible = (length: number) => {
  let name = 'p';
  while (name.length < length)
    name += createHash('sha256')
      .update(name)
      .digest('base64url')
      .replaceAll(/[^a-z0-9]/gi, '');
  return name.slice(0, length);
};

/** The longest host name from a text of 250 characters: labels have at most 63. */
const longestHost = (text: string) => text.match(/.{1,63}/g)?.join('.');

describe('user data', () => {
  const beside = (userData: string) =>
    userData.replace(COMPRESSED, 'FILES').replace(DOCUMENT, 'ENVIRONMENT').split('\n');

  it.each(ALL)(
    'of $fleet are run by cloud-init at every boot, before what its final stage runs',
    ({ userData }) => {
      expect(beside(userData).slice(0, 2)).toEqual(['#cloud-boothook', '#!/usr/bin/env bash']);
    },
  );

  it.each(ALL)('of $fleet run once in a boot, and do nothing if they run again', ({ userData }) => {
    const lines = beside(userData);
    const positions = [
      'mkdir -p /run/autoscaler',
      '[ ! -e /run/autoscaler/set-up ] || exit 0',
      'FILES',
      'ENVIRONMENT',
      'systemctl daemon-reload',
      'echo "$began" >/run/autoscaler/set-up',
      'systemctl start --no-block autoscaler-boot.service',
    ].map((line) => lines.indexOf(line));
    expect(positions).toEqual(positions.toSorted((a, b) => a - b));
    expect(positions).not.toContain(-1);
  });

  it.each(ALL)('of $fleet stop automatic updates of the image', ({ userData }) => {
    const lines = beside(userData);
    const names = 'apt-daily{,-upgrade}.{timer,service} dnf-makecache.timer';
    const stop = lines.indexOf(`systemctl stop --no-block ${names} || true`);
    expect(lines.slice(stop, stop + 2)).toEqual([
      `systemctl stop --no-block ${names} || true`,
      `systemctl mask --no-reload ${names} || true`,
    ]);
    const expanded = execFileSync('bash', ['-c', `echo ${names}`], { encoding: 'utf8' });
    expect(expanded.trim().split(' ').sort()).toEqual([...UPDATES].sort());
  });

  it.each(ALL)('of $fleet block the metadata for jobs before anything else starts', ({ userData }) => {
    const lines = beside(userData);
    const blocks = lines.findIndex((line) => line.includes('/opt/autoscaler/block-metadata'));
    expect(lines[blocks]).toMatch(
      /^! command -v nft >\/dev\/null \|\| ALLOW_INSTANCE_METADATA=(true|false) /,
    );
    expect(blocks).toBeLessThan(lines.indexOf('systemctl start --no-block autoscaler-boot.service'));
  });

  it.each(ALL)('of $fleet power off the instance if they fail', ({ userData }) => {
    const lines = beside(userData).filter((line) => !line.startsWith('#'));
    expect(lines.slice(0, 2)).toEqual(['set -eo pipefail', "trap 'systemctl poweroff' ERR"]);
  });

  it.each([
    // Without an extension, its script's key has the hash twice.
    {
      installer: 'a release',
      settings: { runner: JSON.stringify({ ...RUNNER, version: '3'.repeat(31).concat('x') }) },
    },
    { installer: 'the package', settings: {} },
  ])(
    'fits into the 16 KB that EC2 takes with $installer, all that takes room asked for, and all names as long as they may be',
    ({ settings }) => {
      const name = 'a'.repeat(32);
      const fleets = fleetsWith(
        {
          [name]: {
            ...settings,
            // What is off by default says `false`, which is longer than `true`.
            spot: '{}',
            reuse: 'continuous',
            logs: 'true',
            sshRerun: '{cidr: 203.0.113.0/24}',
            httpProxy: `https://${longestHost(incompressible(250))}:65535`,
            noProxy: `[${incompressible(390).match(/.{65}/g)?.join(', ')}]`,
            install: 'install',
            bootTimeout: '2h',
            minReplicas: '1',
            recycleAfter: '168h',
            idleTimeout: '24h',
            maxRunTime: '120h',
            docker: 'true',
            workingDirectory: 'instance-store',
            circleciUrl: `https://${longestHost('c'.repeat(250))}`,
            runnerSecretName: 's'.repeat(512),
          },
        },
        { install: INSTALL },
      );
      const text = SynthesisedTemplate.of(fleets)
        .userData(logicalId(name))
        .replaceAll('eu-west-1', 'ap-southeast-1');
      expect(text).toContain('cdk-hnb659fds-assets-111122223333-ap-southeast-1/');
      expect(Buffer.byteLength(text)).toBeLessThanOrEqual(16_384);
    },
  );
});

describe('the scripts', () => {
  const scriptsIn = (userData: string) =>
    Object.entries(writtenBy(userData)).flatMap(([path, text]) =>
      path.startsWith(`${LIB}/`) ? [{ file: basename(path), text }] : [],
    );

  it.each(ALL)('of $fleet have valid syntax for bash, each and as a whole', ({ userData }) => {
    const texts = scriptsIn(userData).map(({ text }) => text);
    expect(texts.length).toBeGreaterThanOrEqual(5);
    for (const input of [userData, ...texts]) execFileSync('bash', ['-n'], { input });
  });

  const noShellcheck = spawnSync('shellcheck', ['--version']).error !== undefined;

  /** What shellcheck says of these files where they lie together, as on an instance, and of no others. */
  function findings(files: { file: string; text: string }[]): string {
    const root = mkdtempSync(join(tmpdir(), 'scripts-'));
    onTestFinished(() => rmSync(root, { recursive: true }));
    copyFileSync('.shellcheckrc', join(root, '.shellcheckrc'));
    const folder = join(root, LIB);
    mkdirSync(folder, { recursive: true });
    for (const { file, text } of files) writeFileSync(join(folder, file), text);
    const names = files.map(({ file }) => file);
    const { stdout, stderr } = spawnSync('shellcheck', names, { cwd: folder, encoding: 'utf8' });
    return stdout + stderr;
  }

  it.for(ALL)('of $fleet pass shellcheck, each and as a whole', ({ userData }, { skip }) => {
    skip(noShellcheck, 'shellcheck is not installed');
    expect(
      findings([
        ...scriptsIn(userData),
        { file: 'user-data', text: decompressed(userData).replace(/^.*\n/, '') },
      ]),
    ).toBe('');
  });
});
