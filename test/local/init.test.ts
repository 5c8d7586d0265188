import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  AutoScalingClient,
  CreateAutoScalingGroupCommand,
  CreateLaunchConfigurationCommand,
} from '@aws-sdk/client-auto-scaling';
import {
  AttachInternetGatewayCommand,
  CreateInternetGatewayCommand,
  CreateLaunchTemplateCommand,
  CreateLaunchTemplateVersionCommand,
  CreateRouteCommand,
  CreateSecurityGroupCommand,
  DescribeImagesCommand,
  DescribeRouteTablesCommand,
  DescribeSubnetsCommand,
  DescribeVpcsCommand,
  EC2Client,
} from '@aws-sdk/client-ec2';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadFleets } from '../../fleets/load.ts';
import { runAgainstAws } from '../support/in-process.ts';
import { startMoto } from './moto.ts';

/** What `npm run init` reads of an account, against moto, which has a default VPC, images and offerings by zone. */

let moto: Awaited<ReturnType<typeof startMoto>>;
let ec2: EC2Client;
let folder: string;
let file: string;
let found: { vpcId: string; subnetIds: string[]; securityGroupId: string; image: string };

const SECRET = Buffer.from('#!/bin/sh\nTOKEN=class_token_0123456789\n').toString('base64');

beforeAll(async () => {
  moto = await startMoto();
  folder = mkdtempSync(join(tmpdir(), 'init-local-'));
  file = join(folder, 'fleets.yaml');
  const settings = {
    endpoint: moto.endpoint,
    region: 'eu-west-1',
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
  };
  ec2 = new EC2Client(settings);
  const { Vpcs = [] } = await ec2.send(new DescribeVpcsCommand({}));
  const vpcId = Vpcs.find(({ IsDefault }) => IsDefault)?.VpcId ?? '';
  const { Subnets = [] } = await ec2.send(
    new DescribeSubnetsCommand({ Filters: [{ Name: 'vpc-id', Values: [vpcId] }] }),
  );
  const subnetIds = Subnets.map(({ SubnetId = '' }) => SubnetId).slice(0, 2);
  const { GroupId: securityGroupId = '' } = await ec2.send(
    new CreateSecurityGroupCommand({ GroupName: 'runners', Description: 'runners', VpcId: vpcId }),
  );
  const { Images = [] } = await ec2.send(new DescribeImagesCommand({ Owners: ['099720109477'] }));
  const image = Images.find(({ Name = '' }) => Name.includes('ubuntu'))?.ImageId ?? '';
  found = { vpcId, subnetIds, securityGroupId, image };
  const template = {
    ImageId: image,
    InstanceType: 'm5.large' as const,
    KeyName: 'operators',
    SecurityGroupIds: [securityGroupId],
    UserData: SECRET,
    BlockDeviceMappings: [{ DeviceName: '/dev/sda1', Ebs: { VolumeSize: 60, VolumeType: 'gp3' as const } }],
  };
  await ec2.send(
    new CreateLaunchTemplateCommand({
      LaunchTemplateName: 'tutorial',
      LaunchTemplateData: { ...template, InstanceType: 't2.micro' },
    }),
  );
  await ec2.send(
    new CreateLaunchTemplateVersionCommand({ LaunchTemplateName: 'tutorial', LaunchTemplateData: template }),
  );
  const autoScaling = new AutoScalingClient(settings);
  const group = { MinSize: 0, MaxSize: 7, VPCZoneIdentifier: subnetIds.join() };
  await autoScaling.send(
    new CreateAutoScalingGroupCommand({
      ...group,
      AutoScalingGroupName: 'tutorial',
      LaunchTemplate: { LaunchTemplateName: 'tutorial', Version: '2' },
      Tags: [{ Key: 'team', Value: 'ci', PropagateAtLaunch: true }],
    }),
  );
  await autoScaling.send(
    new CreateAutoScalingGroupCommand({
      ...group,
      AutoScalingGroupName: 'mixed',
      MixedInstancesPolicy: {
        LaunchTemplate: {
          LaunchTemplateSpecification: { LaunchTemplateName: 'tutorial', Version: '$Latest' },
          Overrides: [{ InstanceType: 'm5.xlarge' }, { InstanceType: 'm5a.xlarge' }],
        },
        InstancesDistribution: { OnDemandBaseCapacity: 1, OnDemandPercentageAboveBaseCapacity: 25 },
      },
    }),
  );
  await autoScaling.send(
    new CreateLaunchConfigurationCommand({
      LaunchConfigurationName: 'old',
      ImageId: image,
      InstanceType: 'm5.large',
      SecurityGroups: [securityGroupId],
    }),
  );
  await autoScaling.send(
    new CreateAutoScalingGroupCommand({
      ...group,
      AutoScalingGroupName: 'old',
      LaunchConfigurationName: 'old',
    }),
  );
});

afterAll(() => {
  moto?.stop();
  if (folder) rmSync(folder, { recursive: true });
});

const init = (...words: string[]) =>
  runAgainstAws(moto.endpoint, 'init', [
    '--fleets',
    file,
    '--class',
    'acme/linux',
    '--yes',
    '--force',
    ...words,
  ]);

describe('npm run init in an account', () => {
  it('looks up its default VPC, its zones and its quota', async () => {
    const { status, stderr } = await init('--types', 'm5.large');
    expect({ status, stderr }).toMatchObject({ status: 0 });
    expect(stderr).toMatch(/^Account \d{12}, region eu-west-1\n/);
    expect(stderr).not.toContain('no default VPC');
    expect(stderr).not.toMatch(/Not looked up: (VPCs|zones)/);
    expect(loadFleets(file)[0]).toMatchObject({ network: 'default-vpc', instanceTypes: ['m5.large'] });
  });

  it('chooses the subnets of a VPC that have a way out', async () => {
    const words = ['--types', 'm5.large', '--network', found.vpcId];
    const closed = await init(...words);
    expect(closed).toMatchObject({ status: 2 });
    expect(closed.stderr).toContain(`No subnet of ${found.vpcId} has a route to the internet`);

    const { InternetGateway } = await ec2.send(new CreateInternetGatewayCommand({}));
    const GatewayId = InternetGateway?.InternetGatewayId;
    await ec2.send(new AttachInternetGatewayCommand({ InternetGatewayId: GatewayId, VpcId: found.vpcId }));
    const { RouteTables = [] } = await ec2.send(
      new DescribeRouteTablesCommand({ Filters: [{ Name: 'vpc-id', Values: [found.vpcId] }] }),
    );
    const RouteTableId = RouteTables[0]?.RouteTableId;
    await ec2.send(new CreateRouteCommand({ RouteTableId, GatewayId, DestinationCidrBlock: '0.0.0.0/0' }));
    const { status, stderr } = await init(...words);
    expect({ status, stderr }).toMatchObject({ status: 0 });
    const [fleet] = loadFleets(file);
    expect(fleet?.network).toMatchObject({ vpcId: found.vpcId });
    expect(Object(fleet?.network).subnetIds).toEqual(expect.arrayContaining(found.subnetIds));
  });
});

describe('npm run init -- --from-group', () => {
  const network = () => ({
    vpcId: found.vpcId,
    subnetIds: found.subnetIds,
    securityGroupIds: [found.securityGroupId],
  });

  it('reads a group with a version of its launch template', async () => {
    const { status, stderr } = await init('--from-group', 'tutorial');
    expect({ status, stderr }).toMatchObject({ status: 0 });
    const [fleet] = loadFleets(file);
    expect(fleet).toMatchObject({
      name: 'linux',
      instanceTypes: ['m5.large'],
      maxReplicas: 7,
      keyPairName: 'operators',
      network: network(),
      tags: { team: 'ci' },
    });
    expect(stderr).toContain('Not carried over: UserData, because');
    expect(stderr + readFileSync(file, 'utf8')).not.toContain(SECRET);
    const before = readFileSync(file, 'utf8');
    expect((await init('--from-group', 'tutorial')).stdout).toContain('has these settings already');
    expect(readFileSync(file, 'utf8')).toBe(before);
  });

  it('reads a group with a policy of several types and Spot', async () => {
    await init('--from-group', 'mixed');
    expect(loadFleets(file)[0]).toMatchObject({
      instanceTypes: ['m5.xlarge', 'm5a.xlarge'],
      spot: { percentage: 75, onDemandBase: 1 },
      network: network(),
    });
  });

  it('reads a group with a launch configuration', async () => {
    const { status, stderr } = await init('--from-group', 'old');
    expect({ status, stderr }).toMatchObject({ status: 0 });
    expect(loadFleets(file)[0]).toMatchObject({ instanceTypes: ['m5.large'], network: network() });
  });

  it('lets options change what the group says', async () => {
    await init('--from-group', 'tutorial', '--max', '3', '--types', 'm5.xlarge', '--network', 'new-vpc');
    expect(loadFleets(file)[0]).toMatchObject({
      instanceTypes: ['m5.xlarge'],
      maxReplicas: 3,
      network: 'new-vpc',
      keyPairName: 'operators',
    });
  });

  it('says which group it must be if there is none of that name', async () => {
    const { status, stderr } = await init('--from-group', 'nosuch');
    expect(status).toBe(2);
    expect(stderr).toContain(
      '--from-group must be an Auto Scaling group of this account and region, got "nosuch".',
    );
  });
});

it('was sent only what AWS takes', () => moto.gate.expectSound('init.test.ts'));
