import { readFileSync } from 'node:fs';
import { UserData } from 'aws-cdk-lib/aws-ec2';
import type { FleetConfig } from './config.ts';

const LIB = '/opt/autoscaler';
const CONFIG = '/etc/autoscaler';
const UNITS = '/etc/systemd/system';

/** How long after its runner's longest possible life an instance leaves by itself, in seconds. */
const AGE_MARGIN_SECONDS = 600;

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
  >;
  groupName: string;
  runnerSecretName: string;
  /** Bucket and key of the fleet's install script. */
  installObject: string | undefined;
  /** SHA-256 of that script, by which an image says that it has been run. */
  installSha256: string | undefined;
  /** Bucket and key of the script that sends logs to CloudWatch Logs, and the log group. */
  logs: { object: string; groupName: string } | undefined;
  /** By how much less than `idleTimeout` each instance may wait for a task, by chance: up to 32767, 0 unless told. */
  idleSpreadSeconds?: number;
  /** How old an instance may become before it leaves whatever runs on it, in seconds. */
  ageLimitSeconds?: number;
  /** How old a runner becomes that is reused, in seconds. */
  reuseSeconds?: number;
}

/**
 * Composes an instance's user data from the files in `userdata/`, without their comments: EC2 runs it once, as
 * root, at the first boot. EC2's limit is 16 KB (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/user-data.html).
 */
export function runnerUserData(inputs: UserDataInputs): UserData {
  const { fleet } = inputs;
  const { bootTimeout, idleTimeout, maxRunTime } = fleet;
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
    LOGS_OBJECT: inputs.logs?.object ?? '',
    ...(inputs.logs !== undefined && { LOG_GROUP_NAME: inputs.logs.groupName }),
  };
  const files = {
    [`${LIB}/aws.sh`]: userdata('aws.sh'),
    [`${LIB}/boot`]: userdata('boot.sh'),
    [`${LIB}/install-runner`]: userdata(
      `install-runner-${fleet.runner === undefined ? 'package' : 'release'}.sh`,
    ),
    [`${LIB}/block-metadata`]: userdata('block-metadata.sh'),
    [`${LIB}/leave-group`]: userdata('leave-group.sh'),
    [`${UNITS}/autoscaler-.service.d/defaults.conf`]: userdata('autoscaler-defaults.conf'),
    [`${UNITS}/autoscaler-boot.service`]: userdata('autoscaler-boot.service'),
    [`${UNITS}/autoscaler-runner.service`]: userdata('autoscaler-runner.service'),
    // The first TERM lets a running task finish, so stopping may take as long as a task.
    [`${UNITS}/autoscaler-runner.service.d/stop.conf`]: `[Service]\nTimeoutStopSec=${maxRunTime + AGE_MARGIN_SECONDS}\n${reused ? `RuntimeMaxSec=${reuseSeconds}\n` : ''}`,
    [`${UNITS}/autoscaler-leave.service`]: userdata('autoscaler-leave.service'),
    [`${LIB}/watch`]: userdata('watch.sh'),
    [`${UNITS}/autoscaler-watch.service`]: userdata('autoscaler-watch.service'),
    [`${CONFIG}/environment`]: Object.entries(environment)
      .map(([name, value]) => `${name}=${value}\n`)
      .join(''),
  };
  return UserData.custom(
    [
      '#!/usr/bin/env bash',
      '# From here on the console and `journalctl -u "autoscaler-*"` tell what happens.',
      'set -e',
      "trap 'systemctl poweroff' ERR",
      `mkdir -p ${LIB} ${CONFIG} ${UNITS}/{autoscaler-,autoscaler-runner}.service.d`,
      ...Object.entries(files).map(([path, text]) => `cat >${path} <<'END'\n${text}END`),
      `chmod 0755 ${LIB}/*`,
      'systemctl daemon-reload',
      '# Of an instance whose image this one has; see boot.sh.',
      'rm -f /var/lib/autoscaler/instance',
      'systemctl enable autoscaler-boot.service',
      'systemctl restart --no-block autoscaler-boot.service',
      '',
    ].join('\n'),
  );
}

/** A file without its comments, for which there is no room; what they tell shellcheck stays. */
const userdata = (file: string) =>
  readFileSync(new URL(`../userdata/${file}`, import.meta.url), 'utf8').replaceAll(COMMENT, '');

const COMMENT = /^ *#(?!!| shellcheck ).*\n/gm;
