import { readFileSync } from 'node:fs';
import { UserData } from 'aws-cdk-lib/aws-ec2';

const LIB = '/usr/local/lib/circleci-runner-autoscaler';

const userdata = (file: string) => readFileSync(new URL(`../userdata/${file}`, import.meta.url), 'utf8');

/** Inputs of the instance's scripts; none of them is a secret, because user data can be read by whoever may describe the instance. */
export interface UserDataInputs {
  groupName: string;
  runnerSecretName: string;
  circleciUrl: string;
  idleTimeoutSeconds: number;
  maxRunTimeSeconds: number;
  region: string;
  /** Contents of the adopter's script that installs what jobs need. */
  installScript: string | undefined;
}

/**
 * Composes an instance's user data from the files in `userdata/`, unchanged: EC2 runs it once, as root, at
 * the first boot. EC2's limit is 16 KB (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/user-data.html).
 */
export function runnerUserData(inputs: UserDataInputs): UserData {
  const environment = {
    AWS_REGION: inputs.region,
    GROUP_NAME: inputs.groupName,
    RUNNER_SECRET_NAME: inputs.runnerSecretName,
    CIRCLECI_URL: inputs.circleciUrl,
    IDLE_TIMEOUT_SECONDS: String(inputs.idleTimeoutSeconds),
    MAX_RUN_TIME_SECONDS: String(inputs.maxRunTimeSeconds),
  };
  const scripts = {
    'instance-metadata': userdata('instance-metadata.sh'),
    'aws-call': userdata('aws-call.sh'),
    'read-secret': userdata('read-secret.sh'),
    'leave-group': userdata('leave-group.sh'),
    install: inputs.installScript ?? '#!/bin/sh\n',
    boot: userdata('boot.sh'),
  };
  return UserData.custom(
    [
      '#!/usr/bin/env bash',
      'exec > >(tee /var/log/circleci-runner-autoscaler.log >/dev/console) 2>&1',
      ...Object.entries(environment).map(([name, value]) => `export ${name}='${value}'`),
      `mkdir -p ${LIB}`,
      ...Object.entries(scripts).map(([name, script]) => embed(name, script)),
      `chmod 0755 ${LIB}/*`,
      `exec ${LIB}/boot`,
      '',
    ].join('\n'),
  );
}

/** A quoted here-document: the shell takes the file as it is. */
function embed(name: string, script: string): string {
  const end = `END_OF_${name.toUpperCase().replaceAll('-', '_')}`;
  return `cat >${LIB}/${name} <<'${end}'\n${script.trimEnd()}\n${end}`;
}
