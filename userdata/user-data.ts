import { readFileSync } from 'node:fs';
import { gzipSync, strToU8 } from 'fflate';
import type { FleetConfig } from '../fleets/load.ts';
import {
  environmentOfSettings,
  proxyEnvironment,
  type SettingsWithScripts,
  sshSessionSeconds,
} from './environment.ts';

const LIB = '/opt/autoscaler';
const CONFIG = '/etc/autoscaler';
const UNITS = '/etc/systemd/system';

/** How long after its runner's longest possible life an instance leaves by itself, in seconds. */
const AGE_MARGIN_SECONDS = 900;

/**
 * How old a runner becomes that takes task after task, in seconds. Then systemd sends it the TERM with which it
 * finishes its task and takes no other, and its instance leaves.
 */
const REUSE_SECONDS = 86_400;

/** Inputs of the instance's scripts; none of them is a secret, because user data can be read by whoever may describe the instance. */
export interface UserDataInputs {
  fleet: Pick<
    FleetConfig,
    | 'circleciUrl'
    | 'idleTimeout'
    | 'maxRunTime'
    | 'reuse'
    | 'bootTimeout'
    | 'runner'
    | 'unsafeRetries'
    | 'allowInstanceMetadata'
  > &
    SettingsWithScripts;
  groupName: string;
  runnerSecretName: string;
  /** Bucket and key of the fleet's install script. */
  installObject: string | undefined;
  /** SHA-256 of that script, by which an image says that it has been run. */
  installSha256: string | undefined;
  /** The log group that the instance's logs go to. */
  logGroupName: string | undefined;
  /** By how much less than `idleTimeout` each instance may wait for a task, by chance: up to 32767, 0 unless told. */
  idleSpreadSeconds?: number;
  /** How old an instance may become before it leaves whatever runs on it, in seconds. */
  ageLimitSeconds?: number;
  /** How old a runner becomes that is reused, in seconds. */
  reuseSeconds?: number;
}

/**
 * Composes an instance's user data from the files in `userdata/`. cloud-init runs them as root at every boot, in its
 * network stage: before the image's own package updates, and long before the scripts of its final stage
 * (https://docs.cloud-init.io/en/latest/explanation/format/cloud-boothook.html). The files are compressed, because EC2
 * takes no more than 16 KB (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/user-data.html).
 */
export function runnerUserData(inputs: UserDataInputs): string {
  const { fleet } = inputs;
  const { bootTimeout, idleTimeout } = fleet;
  // The runner has one limit for a task and the SSH session that keeps it open.
  const maxRunTime = fleet.maxRunTime + sshSessionSeconds(fleet);
  const reused = fleet.reuse === 'continuous';
  const reuseSeconds = inputs.reuseSeconds ?? REUSE_SECONDS;
  // Whatever runs then has had all its time: one task, or the last one of many.
  const ageLimit =
    bootTimeout + (reused ? reuseSeconds : idleTimeout) + maxRunTime + (reused ? 2 : 1) * AGE_MARGIN_SECONDS;
  const idleSpread = inputs.idleSpreadSeconds ?? 0;
  const environment = {
    GROUP_NAME: inputs.groupName,
    RUNNER_SECRET_NAME: inputs.runnerSecretName,
    CIRCLECI_URL: fleet.circleciUrl,
    BOOT_TIMEOUT_SECONDS: bootTimeout,
    // The boot calculates it, so each instance draws its own.
    IDLE_TIMEOUT_SECONDS: idleSpread > 0 ? `${idleTimeout}-RANDOM%${idleSpread + 1}` : idleTimeout,
    MAX_RUN_TIME_SECONDS: maxRunTime,
    RUNNER_MODE: fleet.reuse,
    AGE_LIMIT_SECONDS: inputs.ageLimitSeconds ?? ageLimit,
    ALLOW_INSTANCE_METADATA: fleet.allowInstanceMetadata,
    UNSAFE_RETRIES: fleet.unsafeRetries,
    INSTALL_OBJECT: inputs.installObject ?? '',
    ...(inputs.installSha256 !== undefined && { INSTALL_SHA256: inputs.installSha256 }),
    RUNNER_VERSION: fleet.runner?.version ?? '',
    ...(fleet.runner !== undefined && { RUNNER_SHA256: fleet.runner.sha256 }),
    LOG_GROUP_NAME: inputs.logGroupName ?? '',
    ...environmentOfSettings(fleet),
  };
  const proxy = proxyEnvironment(fleet);
  const files = {
    [`${LIB}/aws.sh`]: userdata('aws.sh'),
    [`${LIB}/packages.sh`]: userdata('packages.sh'),
    [`${LIB}/boot`]: userdata('boot.sh'),
    [`${LIB}/install-runner`]: userdata('install-runner.sh'),
    [`${LIB}/as-task-user`]: userdata('as-task-user.sh'),
    [`${LIB}/block-metadata`]: userdata('block-metadata.sh'),
    [`${LIB}/leave-group`]: userdata('leave-group.sh'),
    [`${LIB}/watch`]: userdata('watch.sh'),
    [`${LIB}/proxy`]: userdata('proxy.sh'),
    [`${LIB}/docker`]: userdata('docker.sh'),
    [`${LIB}/instance-store`]: userdata('instance-store.sh'),
    [`${LIB}/ssh-rerun`]: userdata('ssh-rerun.sh'),
    ...(inputs.logGroupName !== undefined && { [`${LIB}/ship-logs`]: userdata('ship-logs.sh') }),
    // Not in the environment: the same long texts several times, of which little is left once compressed.
    ...(proxy !== undefined && { [`${CONFIG}/proxy`]: linesOf(proxy) }),
    [`${UNITS}/autoscaler-.service.d/defaults.conf`]: userdata('autoscaler-defaults.conf'),
    [`${UNITS}/autoscaler-boot.service`]: userdata('autoscaler-boot.service'),
    [`${UNITS}/autoscaler-boot-failed.service`]: userdata('autoscaler-boot-failed.service'),
    [`${UNITS}/autoscaler-runner.service`]: userdata('autoscaler-runner.service'),
    // The first TERM lets a running task finish, so stopping may take as long as a task; leaving has the margin.
    [`${UNITS}/autoscaler-runner.service.d/stop.conf`]: `[Service]\nTimeoutStopSec=${maxRunTime + AGE_MARGIN_SECONDS}\n${reused ? `RuntimeMaxSec=${reuseSeconds}\n` : ''}`,
    // systemd itself would cut a shutdown off after 30 minutes, and a task with it.
    ...Object.fromEntries(
      ['reboot', 'poweroff'].map((target) => [
        `${UNITS}/${target}.target.d/autoscaler.conf`,
        '[Unit]\nJobTimeoutSec=infinity\n',
      ]),
    ),
    [`${UNITS}/autoscaler-leave.service`]: userdata('autoscaler-leave.service'),
    [`${UNITS}/autoscaler-watch.service`]: userdata('autoscaler-watch.service'),
  };
  return [
    '#cloud-boothook',
    '#!/usr/bin/env bash',
    '# From here on the console and `journalctl -u "autoscaler-*"` tell what happens.',
    'set -eo pipefail',
    "trap 'systemctl poweroff' ERR",
    '# Once in a boot, however often cloud-init runs it: a job may be running.',
    'mkdir -p /run/autoscaler',
    '[ ! -e /run/autoscaler/set-up ] || exit 0',
    `mkdir -p ${LIB} ${CONFIG} ${UNITS}/{autoscaler-.service,autoscaler-runner.service,reboot.target,poweroff.target}.d`,
    '# The scripts and units: `base64 -d | gzip -d` shows them.',
    "base64 -d <<'END' | gzip -d | bash -e",
    ...compressed(
      Object.entries(files)
        .map(([path, text]) => `cat >${path} <<'END'\n${text}END\n`)
        .join(''),
    ),
    'END',
    `cat >${CONFIG}/environment <<'END'`,
    `${linesOf(environment)}END`,
    `chmod 0755 ${LIB}/*`,
    '# The image must not update itself beside the boot, or beside a job.',
    `systemctl stop --no-block ${UPDATES.join(' ')} || true`,
    `systemctl mask --no-reload ${UPDATES.join(' ')} || true`,
    'systemctl daemon-reload',
    '# What a job left behind must not reach the metadata while this boot fails. Before a runner starts, it is not optional.',
    `! command -v nft >/dev/null || ALLOW_INSTANCE_METADATA=${fleet.allowInstanceMetadata} ${LIB}/block-metadata || true`,
    'touch /run/autoscaler/set-up',
    'systemctl start --no-block autoscaler-boot.service',
    '',
  ].join('\n');
}

/** What updates Ubuntu and Amazon Linux by itself; a timer that was due while a warm instance was stopped fires at its start. */
const UPDATES = [
  'apt-daily.timer',
  'apt-daily-upgrade.timer',
  'apt-daily.service',
  'apt-daily-upgrade.service',
  'dnf-makecache.timer',
];

/** An environment as systemd and shells read it. */
const linesOf = (environment: Record<string, unknown>) =>
  Object.entries(environment)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('');

/** By a compressor whose output is the same on every machine, so that a template changes only with what it says. */
const compressed = (text: string) =>
  Buffer.from(gzipSync(strToU8(text), { level: 9, mtime: 0 }))
    .toString('base64')
    .match(/.{1,4000}/g) ?? [];

/** A file without its comments; what they tell shellcheck stays. */
const userdata = (file: string) =>
  readFileSync(new URL(file, import.meta.url), 'utf8').replaceAll(COMMENT, '');

const COMMENT = /^ *#(?!!| shellcheck ).*\n/gm;
