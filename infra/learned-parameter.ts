import { Stack } from 'aws-cdk-lib';
import type { Role } from 'aws-cdk-lib/aws-iam';
import { StringParameter } from 'aws-cdk-lib/aws-ssm';
import type { Construct } from 'constructs';
import { learnedParameter } from '../functions/lib/fleet-names.ts';
import { allow } from './permissions.ts';

/**
 * The parameter of Systems Manager in which a fleet keeps what it has learned. A deployment makes it empty, does not touch
 * it afterwards, and deletes it with the fleet. It costs nothing: it is a standard parameter.
 */
export class LearnedParameter extends StringParameter {
  constructor(scope: Construct, id: string, { app, fleet }: { app: string; fleet: string }) {
    super(scope, id, {
      parameterName: learnedParameter(app, fleet),
      description: `What fleet ${fleet} has learned. If it is lost, the fleet learns it again`,
      stringValue: '{}',
    });
  }

  /** Allows a role to read and write what the fleets have learned. */
  static allowUse(app: string, role: Role): void {
    allow(role, {
      actions: ['ssm:GetParameter', 'ssm:PutParameter'],
      resources: [
        Stack.of(role).formatArn({
          service: 'ssm',
          resource: 'parameter',
          resourceName: learnedParameter(app, '*').slice(1),
        }),
      ],
      wildcard: 'The path is of this app alone. Fleets have stacks of their own.',
    });
  }
}
