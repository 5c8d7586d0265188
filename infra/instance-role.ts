import { Stack } from 'aws-cdk-lib';
import { Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import type { Construct } from 'constructs';
import { allow } from './permissions.ts';

export interface InstanceRoleProps {
  app: string;
  fleetName: string;
}

/** The role of a fleet's instances. The constructs that own what instances use allow its use. */
export class InstanceRole extends Role {
  constructor(scope: Construct, id: string, { app, fleetName }: InstanceRoleProps) {
    super(scope, id, {
      assumedBy: new ServicePrincipal('ec2.amazonaws.com'),
      // Only the roles of the app's instances have this path.
      path: `/${app}/`,
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

  /** Allows another role to launch instances with the role of any fleet. */
  static allowPass(app: string, role: Role): void {
    allow(role, {
      actions: ['iam:PassRole'],
      resources: [
        Stack.of(role).formatArn({ service: 'iam', region: '', resource: 'role', resourceName: `${app}/*` }),
      ],
      // EC2 has the second name in the regions of China.
      conditions: { StringEquals: { 'iam:PassedToService': ['ec2.amazonaws.com', 'ec2.amazonaws.com.cn'] } },
      wildcard: "The path is of this app's instances alone. Fleets have stacks of their own.",
    });
  }
}
