import { Annotations, ArnFormat, Stack, Token } from 'aws-cdk-lib';
import { CfnSecurityGroup } from 'aws-cdk-lib/aws-ec2';
import { CfnFunction } from 'aws-cdk-lib/aws-lambda';
import { Construct } from 'constructs';
import type { FleetConfig } from '../fleets/load.ts';
import { proxyOfScaler } from '../fleets/settings/scaler.ts';
import { warningsAboutShared } from '../fleets/warnings.ts';
import type { NodeFunction } from './node-function.ts';
import { allow, forbid } from './permissions.ts';

/** Where the functions of the workflows run: in no VPC of yours, or in the one of `scaler`. */
export class ScalerNetwork extends Construct {
  /** Path of the file with the authorities that the functions trust beside the public ones. */
  readonly caFile: string | undefined;
  /** Environment variables of the functions, which name their proxy. */
  readonly proxy: Record<string, string>;
  private readonly vpc: { subnetIds: string[]; securityGroupIds: string[] } | undefined;

  constructor(scope: Construct, id: string, { fleets }: { fleets: FleetConfig[] }) {
    super(scope, id);
    const [{ scaler, caFile } = {}] = fleets;
    this.caFile = caFile;
    this.proxy = proxyOfScaler(scaler);
    this.vpc = scaler && {
      subnetIds: scaler.subnetIds,
      securityGroupIds: scaler.securityGroupIds ?? [this.newSecurityGroup(scaler.vpcId)],
    };
    for (const warning of warningsAboutShared(fleets, Date.now()))
      Annotations.of(this).addWarningV2(warning.id, warning.message);
  }

  /** Attaches a function to the VPC, if there is one. */
  attach(attached: NodeFunction): void {
    if (this.vpc === undefined) return;
    const { subnetIds, securityGroupIds } = this.vpc;
    const resource = attached.node.defaultChild;
    if (!(resource instanceof CfnFunction)) throw new Error(`${attached.node.path} is no function`);
    // Not by the CDK's property, which gives the role a policy of AWS for all network interfaces of the account.
    resource.vpcConfig = { subnetIds, securityGroupIds };
    this.allowInterfaces(attached, subnetIds, securityGroupIds);
  }

  /**
   * Allows Lambda, which acts with the function's role, to make and remove network interfaces, and not the function's code.
   * https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html
   */
  private allowInterfaces({ executionRole, plainName }: NodeFunction, subnets: string[], groups: string[]) {
    const stack = Stack.of(this);
    const arn = (resource: string, resourceName = '*', more: { account?: string } = {}) =>
      stack.formatArn({ service: 'ec2', resource, resourceName, ...more });
    const used = [
      ...subnets.map((id) => ({ resource: 'subnet', id })),
      ...groups.map((id) => ({ resource: 'security-group', id })),
    ];
    const isOwn = ({ id }: { id: string }) => Token.isUnresolved(id);
    allow(executionRole, {
      actions: ['ec2:CreateNetworkInterface'],
      resources: [
        arn('network-interface'),
        ...used.filter((each) => !isOwn(each)).map(({ resource, id }) => arn(resource, id, { account: '*' })),
      ],
      wildcard: 'A new interface has no id yet, and the VPC may belong to another account that shares it.',
    });
    if (used.some(isOwn))
      allow(executionRole, {
        actions: ['ec2:CreateNetworkInterface'],
        resources: used.filter(isOwn).map(({ resource, id }) => arn(resource, id)),
      });
    allow(executionRole, {
      actions: ['ec2:DescribeNetworkInterfaces', 'ec2:DescribeSubnets'],
      resources: ['*'],
      wildcard: 'The actions support no resources.',
    });
    const changes = [
      'ec2:DeleteNetworkInterface',
      'ec2:AssignPrivateIpAddresses',
      'ec2:UnassignPrivateIpAddresses',
    ];
    allow(executionRole, {
      actions: changes,
      // Lambda refuses a narrower one.
      resources: [arn('*')],
      wildcard: 'Lambda requires this of the role. Another statement forbids it to the code of the function.',
    });
    forbid(executionRole, {
      actions: ['ec2:CreateNetworkInterface', ...changes],
      resources: ['*'],
      conditions: {
        ArnEquals: {
          'lambda:SourceFunctionArn': stack.formatArn({
            service: 'lambda',
            resource: 'function',
            resourceName: plainName,
            arnFormat: ArnFormat.COLON_RESOURCE_NAME,
          }),
        },
      },
    });
  }

  private newSecurityGroup(vpcId: string): string {
    const out = { ipProtocol: '-1', description: 'CircleCI, AWS and name servers' };
    return new CfnSecurityGroup(this, 'SecurityGroup', {
      groupDescription: 'Functions that scale CircleCI runners',
      vpcId,
      securityGroupEgress: [
        { ...out, cidrIp: '0.0.0.0/0' },
        { ...out, cidrIpv6: '::/0' },
      ],
    }).attrGroupId;
  }
}
