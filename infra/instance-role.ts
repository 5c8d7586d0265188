import { Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import type { Construct } from 'constructs';
import { allow } from './permissions.ts';

export interface InstanceRoleProps {
  fleetName: string;
}

/** The role of a fleet's instances. The constructs that own what instances use allow its use. */
export class InstanceRole extends Role {
  constructor(scope: Construct, id: string, { fleetName }: InstanceRoleProps) {
    super(scope, id, {
      assumedBy: new ServicePrincipal('ec2.amazonaws.com'),
      description: `CircleCI runners of fleet ${fleetName}`,
    });
  }

  /** Allows Session Manager to open sessions on the instances. */
  allowSessionManager(): void {
    allow(this, {
      actions: [
        'ssm:UpdateInstanceInformation',
        'ssmmessages:CreateControlChannel',
        'ssmmessages:CreateDataChannel',
        'ssmmessages:OpenControlChannel',
        'ssmmessages:OpenDataChannel',
      ],
      resources: ['*'],
      wildcard:
        'The permissions that the guide of Session Manager lists: https://docs.aws.amazon.com/systems-manager/latest/userguide/getting-started-create-iam-instance-profile.html',
    });
  }

  /** Allows another role to launch instances with this one. */
  allowPass(role: Role): void {
    allow(role, {
      actions: ['iam:PassRole'],
      resources: [this.roleArn],
      conditions: { StringEquals: { 'iam:PassedToService': 'ec2.amazonaws.com' } },
    });
  }
}
