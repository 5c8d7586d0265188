import { createRequire } from 'node:module';
import { Annotations, Match } from 'aws-cdk-lib/assertions';
import { build } from 'esbuild';
import { describe, expect, it } from 'vitest';
import { SCALER_SERVICES } from '../../cli/doctor/scaler.ts';
import { functionBundles } from '../../infra/function-bundles.ts';
import { fleetsOf, MINIMAL } from '../support/fleets.ts';
import { allows, type Request } from '../support/policies.ts';
import { appOf, SynthesisedTemplate, statementsOf } from './template.ts';

const VPC = 'vpcId: vpc-00000001, subnetIds: [subnet-00000001, subnet-00000002]';
const withScaler = (scaler: string) => fleetsOf(`scaler: ${scaler}\n${MINIMAL}`);
const inVpc = SynthesisedTemplate.of(withScaler(`{ ${VPC}, securityGroupIds: [sg-00000001] }`));
const plain = SynthesisedTemplate.of(fleetsOf(MINIMAL));

/** Functions that CloudFormation invokes. They call neither CircleCI nor anything in the VPC. */
const OUTSIDE = ['circleci-runners-group-settings'];

describe('scaler', () => {
  it('has the functions of both workflows in the VPC, and no others', () => {
    const functions = inVpc.all('AWS::Lambda::Function').map(({ properties }) => properties);
    expect(functions.length).toBeGreaterThan(9);
    for (const { FunctionName, VpcConfig } of functions)
      expect([FunctionName, VpcConfig]).toEqual([
        FunctionName,
        OUTSIDE.includes(String(FunctionName))
          ? undefined
          : { SubnetIds: ['subnet-00000001', 'subnet-00000002'], SecurityGroupIds: ['sg-00000001'] },
      ]);
  });

  it('changes nothing beside that', () => {
    const others = (template: SynthesisedTemplate) =>
      template.resources
        .filter(({ type }) => type !== 'AWS::IAM::Policy')
        .map(({ id, type, properties: { VpcConfig, ...properties } }) => ({ id, type, properties }));
    expect(others(inVpc)).toEqual(others(plain));
  });

  it('gives the functions of both workflows their proxy, and no others', () => {
    const [fleet] = withScaler(`{ ${VPC} }`);
    if (fleet?.scaler === undefined) throw new Error('There is no scaler');
    const proxied = SynthesisedTemplate.of([
      {
        ...fleet,
        scaler: { ...fleet.scaler, httpProxy: 'http://proxy:3128', noProxy: ['.amazonaws.com', 'a.example'] },
      },
    ]);
    const environments = proxied
      .all('AWS::Lambda::Function')
      .map(({ properties: { FunctionName, Environment } }) => [FunctionName, Object(Environment).Variables]);
    expect(environments).toHaveLength(10);
    for (const [name, variables] of environments) {
      const { NODE_USE_ENV_PROXY, HTTPS_PROXY, NO_PROXY, HTTP_PROXY } = Object(variables);
      expect([name, NODE_USE_ENV_PROXY, HTTPS_PROXY, NO_PROXY, HTTP_PROXY]).toEqual(
        OUTSIDE.includes(String(name))
          ? [name, undefined, undefined, undefined, undefined]
          : [name, '1', 'http://proxy:3128', 'localhost,127.0.0.1,.amazonaws.com,a.example', undefined],
      );
    }
    expect(JSON.stringify(inVpc.all('AWS::Lambda::Function'))).not.toContain('PROXY');
  });

  it('makes a security group that lets nobody in, if none is named', () => {
    const template = SynthesisedTemplate.of(withScaler(`{ ${VPC} }`));
    const groups = template.all('AWS::EC2::SecurityGroup').filter(({ id }) => id.startsWith('Scaler'));
    expect(groups.map(({ properties }) => properties)).toEqual([
      {
        GroupDescription: 'Functions that scale CircleCI runners',
        VpcId: 'vpc-00000001',
        SecurityGroupEgress: [
          expect.objectContaining({ CidrIp: '0.0.0.0/0' }),
          expect.objectContaining({ CidrIpv6: '::/0' }),
        ],
      },
    ]);
    const [reader] = template
      .all('AWS::Lambda::Function')
      .filter(({ properties }) => properties.FunctionName === 'circleci-runners-read-settings');
    expect(reader?.properties.VpcConfig).toMatchObject({
      SecurityGroupIds: ['SecurityGroup(ScalerSecurityGroup).GroupId'],
    });
  });

  it('warns about one zone when it is synthesised', () => {
    const warningsOf = (subnets: string) =>
      Annotations.fromStack(
        appOf(withScaler(`{ vpcId: vpc-00000001, subnetIds: [${subnets}] }`)).stacks.shared,
      ).findWarning('*', Match.stringLikeRegexp('scaler.subnetIds: the functions run in one zone'));
    expect(warningsOf('subnet-00000001')).toHaveLength(1);
    expect(warningsOf('subnet-00000001, subnet-00000002')).toEqual([]);
  });

  const ec2 = (resource: string, account = '111122223333') => `arn:aws:ec2:eu-west-1:${account}:${resource}`;
  const CODE = {
    'lambda:SourceFunctionArn':
      'arn:aws:lambda:eu-west-1:111122223333:function:circleci-runners-count-unclaimed',
  };
  it.each<[string, 'may' | 'may not', Request]>([
    [
      'Lambda',
      'may',
      { action: 'ec2:CreateNetworkInterface', resource: ec2('network-interface/eni-00000001') },
    ],
    ['Lambda', 'may', { action: 'ec2:CreateNetworkInterface', resource: ec2('subnet/subnet-00000001') }],
    [
      'Lambda',
      'may',
      { action: 'ec2:CreateNetworkInterface', resource: ec2('subnet/subnet-00000002', '999988887777') },
    ],
    ['Lambda', 'may not', { action: 'ec2:CreateNetworkInterface', resource: ec2('subnet/subnet-00000003') }],
    ['Lambda', 'may', { action: 'ec2:CreateNetworkInterface', resource: ec2('security-group/sg-00000001') }],
    [
      'Lambda',
      'may not',
      { action: 'ec2:CreateNetworkInterface', resource: ec2('security-group/sg-00000002') },
    ],
    ['Lambda', 'may', { action: 'ec2:DescribeNetworkInterfaces', resource: '*' }],
    [
      'Lambda',
      'may',
      { action: 'ec2:DeleteNetworkInterface', resource: ec2('network-interface/eni-00000001') },
    ],
    [
      'the code',
      'may not',
      {
        action: 'ec2:DeleteNetworkInterface',
        resource: ec2('network-interface/eni-00000001'),
        context: CODE,
      },
    ],
    [
      'the code',
      'may not',
      { action: 'ec2:CreateNetworkInterface', resource: ec2('subnet/subnet-00000001'), context: CODE },
    ],
    [
      'Lambda',
      'may not',
      { action: 'ec2:DetachNetworkInterface', resource: ec2('network-interface/eni-00000001') },
    ],
  ])('%s %s with the role of a function: %o', (_, verdict, request) => {
    const statements = statementsOf(inVpc, 'Role(WorkflowCountUnclaimedPartsRole)');
    expect(statements.length).toBeGreaterThan(4);
    expect(allows(statements, request)).toBe(verdict === 'may');
  });

  it('gives no role a right about interfaces without it', () => {
    const actions = plain.statements().flatMap((statement) => statement.actions);
    expect(actions.filter((action) => action.includes('NetworkInterface'))).toEqual([
      // To find leftovers.
      'ec2:DescribeNetworkInterfaces',
      'ec2:DescribeNetworkInterfaces',
    ]);
  });

  it('needs an endpoint for each service that a function in the VPC has a client for', async () => {
    const load = createRequire(import.meta.url);
    const outside = OUTSIDE.map((name) => name.replace('circleci-runners-', ''));
    const options = functionBundles('out');
    const entryPoints = options.entryPoints.filter(
      ({ out }) => ![...outside, 'images'].includes(out.replace('/index', '')),
    );
    expect(entryPoints).toHaveLength(9);
    const { metafile } = await build({ ...options, entryPoints, write: false });
    // Only what is left after the parts that nothing uses are gone.
    const inputs = Object.values(metafile.outputs).flatMap((output) =>
      Object.entries(output.inputs).flatMap(([path, { bytesInOutput }]) => (bytesInOutput > 0 ? [path] : [])),
    );
    const packages = new Set(
      inputs.flatMap((path) => /node_modules\/(@aws-sdk\/client-[\w-]+)\//.exec(path)?.[1] ?? []),
    );
    const services = [...packages].map((name) => serviceOf(load(name)));
    expect(services.toSorted()).toEqual(SCALER_SERVICES);
  });
});

/** The first part of the host to which the client of a package sends its requests. */
function serviceOf(sdk: Record<string, unknown>): string {
  const [Client] = Object.entries(sdk).flatMap(([name, exported]) =>
    name.endsWith('Client') && !name.startsWith('_') ? [exported] : [],
  ) as (new (
    _: object,
  ) => {
    config: { endpointProvider: (_: object) => { url: URL } };
  })[];
  if (Client === undefined) throw new Error('The package has no client');
  const { endpointProvider } = new Client({ region: 'eu-west-1' }).config;
  return endpointProvider({ Region: 'eu-west-1' }).url.hostname.split('.')[0] ?? '';
}
