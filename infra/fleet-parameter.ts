import { Lazy, Stack } from 'aws-cdk-lib';
import type { Role } from 'aws-cdk-lib/aws-iam';
import { type CfnParameter, ParameterTier, StringParameter } from 'aws-cdk-lib/aws-ssm';
import type { Construct } from 'constructs';
import { FleetsInvalid } from '../fleets/load.ts';
import type { DeployedSettings } from '../functions/lib/contracts.ts';
import { settingsParameter } from '../functions/lib/fleet-names.ts';
import type { AllFleets } from './all-fleets.ts';
import { allow } from './permissions.ts';

/** The longest values of parameters: https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html */
const STANDARD_BYTES = 4_096;
const ADVANCED_BYTES = 8_192;

/** The longest ARN of a topic; at synthesis the ARN may not be known. */
const TOPIC_ARN = `arn:aws-us-gov:sns:us-gov-west-1:111122223333:${'x'.repeat(256)}`;

export interface FleetParameterProps {
  app: string;
  fleet: string;
  /** The settings, which are complete when all fleets are. */
  settings: () => DeployedSettings;
  allFleets: AllFleets;
}

/**
 * The parameter of Systems Manager from which the functions read a fleet's settings. It costs nothing. If the
 * fleet's schedules outgrow a standard parameter, it is an advanced one, which costs 0.05 dollars a month.
 */
export class FleetParameter extends StringParameter {
  constructor(scope: Construct, id: string, { app, fleet, settings, allFleets }: FleetParameterProps) {
    const longest = () => Buffer.byteLength(JSON.stringify({ ...settings(), alarmTopicArn: TOPIC_ARN }));
    super(scope, id, {
      parameterName: settingsParameter(app, fleet),
      description: `Settings of fleet ${fleet}, as deployed`,
      stringValue: Lazy.string({ produce: () => Stack.of(scope).toJsonString(settings()) }),
    });
    const resource = this.node.defaultChild as CfnParameter;
    resource.tier = Lazy.string({
      produce: () => (longest() > STANDARD_BYTES ? ParameterTier.ADVANCED : ParameterTier.STANDARD),
    });
    allFleets.whenComplete(() => {
      if (longest() > ADVANCED_BYTES)
        throw new FleetsInvalid(
          `${fleet}: the settings must have at most ${ADVANCED_BYTES} bytes as JSON, because Systems Manager takes no more, got ${longest()}: use fewer schedules, shorter names of schedules, or fewer fleets in concurrency`,
        );
    });
  }

  /** Allows a role to read every fleet's settings, which hold no secret. */
  static allowRead(app: string, role: Role): void {
    allow(role, {
      actions: ['ssm:GetParameter'],
      resources: [
        Stack.of(role).formatArn({
          service: 'ssm',
          resource: 'parameter',
          resourceName: settingsParameter(app, '*').slice(1),
        }),
      ],
      wildcard: 'The path is of this app alone. Fleets have stacks of their own.',
    });
  }
}
