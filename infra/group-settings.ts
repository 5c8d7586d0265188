import { fileURLToPath } from 'node:url';
import { CustomResource, Duration, RemovalPolicy } from 'aws-cdk-lib';
import { PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Architecture, Runtime } from 'aws-cdk-lib/aws-lambda';
import { NodejsFunction, OutputFormat } from 'aws-cdk-lib/aws-lambda-nodejs';
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import { logicalId } from './config.ts';
import type { RunnerFleet } from './runner-fleet.ts';

/** Settings of the groups that CloudFormation has no property for; see group-settings-handler.ts. */
export class GroupSettings extends Construct {
  constructor(scope: Construct, id: string, fleets: RunnerFleet[]) {
    super(scope, id);
    const role = new Role(this, 'Role', { assumedBy: new ServicePrincipal('lambda.amazonaws.com') });
    const logGroup = new LogGroup(this, 'LogGroup', {
      retention: RetentionDays.TWO_WEEKS,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    logGroup.grantWrite(role);
    role.addToPolicy(
      new PolicyStatement({
        actions: ['autoscaling:SuspendProcesses', 'autoscaling:SetInstanceProtection'],
        resources: fleets.map((fleet) => fleet.groupArn),
      }),
    );
    // The action knows no resources.
    role.addToPolicy(
      new PolicyStatement({ actions: ['autoscaling:DescribeAutoScalingGroups'], resources: ['*'] }),
    );
    const settings = new NodejsFunction(this, 'Function', {
      description:
        'Suspends AZRebalance of each group, and lets protected instances go when the stack is deleted',
      entry: fileURLToPath(new URL('./group-settings-handler.ts', import.meta.url)),
      runtime: Runtime.NODEJS_24_X,
      architecture: Architecture.ARM_64,
      timeout: Duration.minutes(1),
      role,
      logGroup,
      bundling: {
        format: OutputFormat.ESM,
        target: 'node24',
        minify: true,
        mainFields: ['module', 'main'],
        externalModules: [],
      },
    });
    for (const fleet of fleets) {
      const resource = new CustomResource(this, logicalId(fleet.config.name), {
        resourceType: 'Custom::GroupSettings',
        serviceToken: settings.functionArn,
        properties: { GroupName: fleet.groupName },
      });
      resource.node.addDependency(fleet.group, role);
    }
  }
}
