import type { FleetConfig } from '../fleets/load.ts';
import {
  environmentOfRunner,
  environmentOfSettings,
  type InstancesWithRunner,
  proxyEnvironment,
  type SettingsWithScripts,
} from './environment.ts';
import { LIB, linesOf, PREPARING, userdata, writing } from './files.ts';
import { AGE_MARGIN_SECONDS, lifetimesOf, REUSE_SECONDS } from './lifetimes.ts';

const CONFIG = '/etc/autoscaler';
const UNITS = '/etc/systemd/system';

/** Inputs of the instance's scripts. None is a secret, because everyone who may describe the instance can read its user data. */
export interface UserDataInputs {
  fleet: Pick<
    FleetConfig,
    | 'circleciUrl'
    | 'idleTimeout'
    | 'maxRunTime'
    | 'reuse'
    | 'bootTimeout'
    | 'unsafeRetries'
    | 'allowInstanceMetadata'
  > &
    InstancesWithRunner &
    SettingsWithScripts;
  groupName: string;
  runnerSecretName: string;
  /** Bucket and key of the fleet's install script. */
  installObject: string | undefined;
  /** SHA-256 of that script, by which an image records that the script has run. */
  installSha256: string | undefined;
  /** The log group of the instance's logs. */
  logGroupName: string | undefined;
  /** Largest random time by which an instance shortens `idleTimeout`, up to 32767. Default: 0. */
  idleSpreadSeconds?: number;
  /** Age at which an instance leaves even if a job runs on it, in seconds. Default: longer than any task can take. */
  ageLimitSeconds?: number;
  /** Maximum age of a reused runner, in seconds. Default: one day. */
  reuseSeconds?: number;
}

/**
 * Composes an instance's user data from the files of this folder. cloud-init runs them as root at every boot, in its
 * network stage: before the image's own package updates, and long before the scripts of its final stage
 * (https://docs.cloud-init.io/en/latest/explanation/format/cloud-boothook.html). The files are compressed, because EC2
 * limits user data to 16 KB (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/user-data.html).
 */
export function runnerUserData(inputs: UserDataInputs): string {
  const { fleet } = inputs;
  const { bootTimeout, idleTimeout } = fleet;
  const reused = fleet.reuse === 'continuous';
  const reuseSeconds = inputs.reuseSeconds ?? REUSE_SECONDS;
  const { runSeconds, ageLimitSeconds } = lifetimesOf(fleet, reuseSeconds);
  const idleSpread = inputs.idleSpreadSeconds ?? 0;
  const environment = {
    GROUP_NAME: inputs.groupName,
    RUNNER_SECRET_NAME: inputs.runnerSecretName,
    CIRCLECI_URL: fleet.circleciUrl,
    BOOT_TIMEOUT_SECONDS: bootTimeout,
    // The boot calculates it, so that each instance has its own random time.
    IDLE_TIMEOUT_SECONDS: idleSpread > 0 ? `${idleTimeout}-RANDOM%${idleSpread + 1}` : idleTimeout,
    MAX_RUN_TIME_SECONDS: runSeconds,
    RUNNER_MODE: fleet.reuse,
    AGE_LIMIT_SECONDS: inputs.ageLimitSeconds ?? ageLimitSeconds,
    ALLOW_INSTANCE_METADATA: fleet.allowInstanceMetadata,
    UNSAFE_RETRIES: fleet.unsafeRetries,
    INSTALL_OBJECT: inputs.installObject ?? '',
    ...(inputs.installSha256 !== undefined && { INSTALL_SHA256: inputs.installSha256 }),
    ...environmentOfRunner(fleet),
    LOG_GROUP_NAME: inputs.logGroupName ?? '',
    ...environmentOfSettings(fleet),
  };
  const proxy = proxyEnvironment(fleet);
  const files = {
    ...Object.fromEntries(
      Object.entries(PREPARING).map(([name, file]) => [`${LIB}/${name}`, userdata(file)]),
    ),
    [`${LIB}/boot`]: userdata('boot.sh'),
    [`${LIB}/as-task-user`]: userdata('as-task-user.sh'),
    [`${LIB}/block-metadata`]: userdata('block-metadata.sh'),
    [`${LIB}/leave-group`]: userdata('leave-group.sh'),
    [`${LIB}/watch`]: userdata('watch.sh'),
    [`${LIB}/instance-store`]: userdata('instance-store.sh'),
    [`${LIB}/ssh-rerun`]: userdata('ssh-rerun.sh'),
    ...(inputs.logGroupName !== undefined && { [`${LIB}/ship-logs`]: userdata('ship-logs.sh') }),
    // In a file, not in the environment, because it repeats long texts, and files are compressed.
    ...(proxy !== undefined && { [`${CONFIG}/proxy`]: linesOf(proxy) }),
    [`${UNITS}/autoscaler-.service.d/defaults.conf`]: userdata('autoscaler-defaults.conf'),
    [`${UNITS}/autoscaler-boot.service`]: userdata('autoscaler-boot.service'),
    [`${UNITS}/autoscaler-boot-failed.service`]: userdata('autoscaler-boot-failed.service'),
    [`${UNITS}/autoscaler-runner.service`]: userdata('autoscaler-runner.service'),
    // A running task finishes after the first TERM, so stopping may take as long as a task, plus a margin to leave.
    [`${UNITS}/autoscaler-runner.service.d/stop.conf`]: `[Service]\nTimeoutStopSec=${runSeconds + AGE_MARGIN_SECONDS}\n${reused ? `RuntimeMaxSec=${reuseSeconds}\n` : ''}`,
    // By default, systemd forces a shutdown after 30 minutes, which would kill a task.
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
    'set -eo pipefail',
    "trap 'systemctl poweroff' ERR",
    // Once in a boot, however often cloud-init runs it: a job may be running.
    'mkdir -p /run/autoscaler',
    '[ ! -e /run/autoscaler/set-up ] || exit 0',
    // When these user data began, for the times that the boot tells.
    'read -r began _ </proc/uptime',
    `mkdir -p ${LIB} ${CONFIG} ${UNITS}/{autoscaler-.service,autoscaler-runner.service,reboot.target,poweroff.target}.d`,
    // `base64 -d | gzip -d` shows the scripts and units.
    ...writing(files),
    `cat >${CONFIG}/environment <<'END'`,
    `${linesOf(environment)}END`,
    `chmod 0755 ${LIB}/*`,
    // The image must not update itself beside the boot, or beside a job.
    // `UPDATES`, which bash expands, because there is little room.
    'systemctl stop --no-block apt-daily{,-upgrade}.{timer,service} dnf-makecache.timer || true',
    'systemctl mask --no-reload apt-daily{,-upgrade}.{timer,service} dnf-makecache.timer || true',
    'systemctl daemon-reload',
    // What a job left behind must not reach the metadata while this boot fails. Before a runner starts, it is not optional.
    `! command -v nft >/dev/null || ALLOW_INSTANCE_METADATA=${fleet.allowInstanceMetadata} ${LIB}/block-metadata || true`,
    'echo "$began" >/run/autoscaler/set-up',
    'systemctl start --no-block autoscaler-boot.service',
    '',
  ].join('\n');
}
