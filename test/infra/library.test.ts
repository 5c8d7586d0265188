import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type App, Duration, Stack, Stage } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { type IVpc, MachineImage, Port, SecurityGroup, Vpc } from 'aws-cdk-lib/aws-ec2';
import { Key } from 'aws-cdk-lib/aws-kms';
import { Bucket } from 'aws-cdk-lib/aws-s3';
import { type ISecret, Secret } from 'aws-cdk-lib/aws-secretsmanager';
import { Topic } from 'aws-cdk-lib/aws-sns';
import { EmailSubscription } from 'aws-cdk-lib/aws-sns-subscriptions';
import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { CircleCiRunners, type FleetProps, FleetsInvalid } from '../../infra/library.ts';
import { leanApp, withoutFile } from './template.ts';

const SETTINGS = {
  linux: {
    resourceClass: 'acme/linux',
    instanceTypes: ['m7i.large'],
    maxReplicas: 20,
    bootTimeout: '5m',
    alarmEmail: 'ops@example.com',
  },
  spot: {
    resourceClass: 'acme/spot',
    instanceTypes: ['m7i.large', 'm6i.large'],
    maxReplicas: 5,
    spot: { percentage: 80 },
    schedules: [
      { start: '0 8 * * MON-FRI', end: '0 18 * * MON-FRI', timezone: 'Europe/Berlin', minReplicas: 2 },
    ],
  },
} satisfies Record<string, FleetProps>;

const appWith = (context: Record<string, string> = {}) =>
  leanApp({ context: { runner: 'current', 'aws:cdk:bundling-stacks': [], ...context } });

const LINUX: FleetProps = { resourceClass: 'acme/linux', instanceTypes: ['m7i.large'], maxReplicas: 20 };

/** The templates of all stacks of an app, by their names. */
const templatesOf = (app: App) =>
  Object.fromEntries(app.synth().stacks.map(({ stackName, template }) => [stackName, template]));

describe('CircleCiRunners', () => {
  it('makes the same templates of settings and of a fleets.yaml that says them', () => {
    const file = join(mkdtempSync(join(tmpdir(), 'library-')), 'fleets.yaml');
    writeFileSync(file, stringify(SETTINGS));
    const ofFile = appWith();
    new CircleCiRunners(ofFile, 'Runners', { fleetsFile: file });
    const ofSettings = appWith();
    new CircleCiRunners(ofSettings, 'Runners', { fleets: SETTINGS });
    const templates = templatesOf(ofSettings);
    expect(Object.keys(templates).toSorted()).toEqual([
      'circleci-runners',
      'circleci-runners-linux',
      'circleci-runners-spot',
    ]);
    // Only the advice about the next deployment differs: it names the file, which is outside this folder.
    const texts = JSON.stringify(templatesOf(ofFile));
    expect(texts).toContain('npx cdk deploy --all --revert-drift -c fleets=FILE');
    expect(texts).not.toContain(file);
    expect(templates).toEqual(JSON.parse(withoutFile(texts)));
  });

  it('names every fault of settings, as of a file', () => {
    const fleets = {
      linux: { ...LINUX, minReplicas: 30 },
      spot: { resourceClass: 'acme', instanceTypes: ['m7i.large'], maxReplicas: 5 },
    };
    const adding = () => new CircleCiRunners(appWith(), 'Runners', { fleets });
    expect(adding).toThrow(FleetsInvalid);
    expect(adding).toThrow(
      /^The app has 2 faults:\n {2}linux\..*minReplicas[\s\S]*\n {2}spot\.resourceClass/,
    );
  });

  it('asks the guardrails about settings, as about a file', () => {
    const fleets = { linux: { ...LINUX, maxReplicas: 501 } };
    expect(() => new CircleCiRunners(appWith(), 'Runners', { fleets })).toThrow(
      /^The app asks for more than [\s\S]*maxReplicas/,
    );
  });

  it('takes the settings of all fleets, and a name, beside the fleets', () => {
    const encryptionKey = 'arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab';
    const file = join(mkdtempSync(join(tmpdir(), 'library-')), 'guardrails.yaml');
    writeFileSync(file, stringify({ encryptionKeys: [encryptionKey] }));
    const key = Key.fromKeyArn(new Stack(), 'Key', encryptionKey);
    const { stacks } = new CircleCiRunners(appWith({ guardrails: file }), 'Runners', {
      name: 'team-a',
      fleets: { linux: LINUX },
      encryptionKey: key,
      concurrency: { limit: 30 },
      maxHourlyCost: 50,
      env: { account: '111122223333', region: 'eu-central-1' },
    });
    expect(stacks.fleets.map(({ stackName, region }) => ({ stackName, region }))).toEqual([
      { stackName: 'team-a-linux', region: 'eu-central-1' },
    ]);
    const [fleet] = stacks.fleets;
    const template = JSON.stringify(Template.fromStack(fleet ?? stacks.shared).toJSON());
    expect(template).toContain(encryptionKey);
    expect(template).toContain(String.raw`\"concurrency\":{\"limit\":30,\"groups\":[\"team-a-linux\"]}`);
  });

  it('takes a VPC for the functions, as an object or by ids', () => {
    const vpcConfigs = (app: App) =>
      Object.values(templatesOf(app)['circleci-runners'].Resources).flatMap((resource) => {
        const { Type, Properties } = Object(resource);
        return Type === 'AWS::Lambda::Function' && Properties.VpcConfig ? [Properties.VpcConfig] : [];
      });
    const byIds = appWith();
    const scaler = { vpcId: 'vpc-00000001', subnetIds: ['subnet-00000001', 'subnet-00000002'] };
    new CircleCiRunners(byIds, 'Runners', { fleets: { linux: LINUX }, scaler });
    expect(vpcConfigs(byIds)).toHaveLength(9);
    expect(vpcConfigs(byIds)[0].SubnetIds).toEqual(scaler.subnetIds);

    const byObject = appWith();
    const vpc: IVpc = new Vpc(new Stack(byObject, 'Network'), 'Vpc', { maxAzs: 2 }) as IVpc;
    new CircleCiRunners(byObject, 'Runners', { fleets: { linux: LINUX }, scaler: { vpc } });
    expect(vpcConfigs(byObject)).toHaveLength(9);
    expect(JSON.stringify(vpcConfigs(byObject)[0].SubnetIds)).toMatch(/PrivateSubnet1.*PrivateSubnet2/);

    const proxied = () =>
      new CircleCiRunners(appWith(), 'Runners', {
        fleets: { linux: LINUX },
        scaler: { vpc, httpProxy: 'http://proxy:3128', noProxy: ['.amazonaws.com'] },
      });
    expect(proxied).toThrow('scaler.httpProxy: must be left out, because no proxy is listed');
  });

  it.each([
    { maxHourlyCost: 50 },
    { concurrency: { limit: 30 } },
    { scaler: {} },
    { encryptionKey: 'arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab' },
  ])('refuses settings of all fleets that the file of fleets has: %j', (setting) => {
    expect(
      () => new CircleCiRunners(appWith(), 'Runners', { fleetsFile: 'fleets.yaml', ...setting }),
    ).toThrow(`${Object.keys(setting)}: must be left out with fleetsFile: set it in the file, fleets.yaml`);
  });

  it('gives stacks in a stage the same names', () => {
    const { stacks } = new CircleCiRunners(new Stage(appWith(), 'Production'), 'Runners', {
      fleets: { linux: LINUX },
    });
    const names = [stacks.shared, ...stacks.fleets].map(({ stackName }) => stackName);
    expect(names).toEqual(['circleci-runners', 'circleci-runners-linux']);
  });

  it('says what is wrong with a name', () => {
    expect(
      () => new CircleCiRunners(appWith(), 'Runners', { name: 'a_b', fleets: { linux: LINUX } }),
    ).toThrow(/^name must .*, got "a_b"$/);
  });
});

describe('a fleet with objects of the CDK', () => {
  const app = appWith();
  const own = new Stack(app, 'own');
  // The CDK's own types disagree where optional properties are exact.
  const vpc = new Vpc(own, 'Vpc', { maxAzs: 2 }) as IVpc;
  const securityGroup = new SecurityGroup(own, 'Jobs', { vpc });
  const alarmTopic = new Topic(own, 'Topic');
  const scalerSecret = Secret.fromSecretNameV2(own, 'Scaler', 'ours/scaler');
  const {
    fleets,
    stacks,
    alarmTopic: shared,
    stateMachine,
  } = new CircleCiRunners(app, 'Runners', {
    fleets: {
      linux: {
        ...LINUX,
        vpc,
        securityGroups: [securityGroup],
        alarmTopic,
        scalerSecret,
        runnerSecret: new Secret(own, 'Runner') as ISecret,
        machineImage: MachineImage.genericLinux({ 'us-east-1': 'ami-0123456789abcdef0' }),
        idleTimeout: Duration.minutes(7),
      },
      arm: { ...LINUX, resourceClass: 'acme/arm', instanceTypes: ['m7g.large'] },
    },
  });
  shared.addSubscription(new EmailSubscription('ops@acme.example'));
  const bucket = new Bucket(own, 'Artifacts');
  bucket.grantRead(fleets.arm);
  fleets.arm.connections.allowFromAnyIpv4(Port.tcp(8080), 'a debugger');
  const templates = templatesOf(app);
  const linux = JSON.stringify(templates['circleci-runners-linux']);
  const arm = Template.fromStack(Stack.of(fleets.arm));

  it('runs in the VPC, with the groups, the image, the secrets and the topic', () => {
    const template = Template.fromStack(Stack.of(fleets.linux));
    template.resourceCountIs('AWS::EC2::SecurityGroup', 0);
    template.resourceCountIs('AWS::SecretsManager::Secret', 0);
    const [group] = Object.values(template.findResources('AWS::AutoScaling::AutoScalingGroup'));
    const subnets = JSON.stringify(group?.Properties.VPCZoneIdentifier);
    for (const { node } of vpc.privateSubnets) expect(subnets).toContain(`${node.id}Subnet`);
    const [launchTemplate] = Object.values(template.findResources('AWS::EC2::LaunchTemplate'));
    const { SecurityGroupIds, ImageId } = Object(launchTemplate?.Properties.LaunchTemplateData);
    expect(JSON.stringify(SecurityGroupIds)).toMatch(/Jobs.*GroupId/);
    expect(JSON.stringify(ImageId)).toContain('FindInMap');
    expect(linux).toContain('ours/scaler');
    expect(JSON.stringify(template.findResources('AWS::CloudWatch::CompositeAlarm'))).toMatch(
      /own:ExportsOutputRefTopic/,
    );
  });

  it('has durations in seconds', () => {
    expect(linux).toContain(String.raw`\"idleSeconds\":420`);
  });

  it('gets rights and open ports from the app', () => {
    arm.hasResourceProperties('AWS::EC2::SecurityGroupIngress', { FromPort: 8080 });
    const policies = JSON.stringify(arm.findResources('AWS::IAM::Policy'));
    expect(policies).toContain('s3:GetObject*');
    expect(linux).not.toContain('s3:GetObject*');
  });

  it('has its group by its name, its metrics and its alarms', () => {
    expect(fleets.arm.groupName).toBe('circleci-runners-arm');
    expect(fleets.arm.metricUnclaimedTasks().toMetricConfig().metricStat).toMatchObject({
      namespace: 'CircleCIRunnerAutoscaler/circleci-runners',
      metricName: 'UnclaimedTasks',
      statistic: 'Maximum',
      dimensions: [{ name: 'Fleet', value: 'arm' }],
    });
    const period = Duration.minutes(5);
    for (const [metric, metricName] of [
      [fleets.arm.metricRunningTasks({ period }), 'RunningTasks'],
      [fleets.arm.metricClaimedTasks({ period }), 'ClaimedTasks'],
      [fleets.arm.metricLaunches({ period }), 'Launches'],
      [fleets.arm.metricFailedLaunches({ period }), 'FailedLaunches'],
    ] as const)
      expect(metric.toMetricConfig().metricStat).toMatchObject({ metricName, period });
    expect(Object.keys(fleets.arm.alarms)).toEqual(
      expect.arrayContaining(['NeedsYou', 'Starving', 'BreakerOpen']),
    );
    expect(fleets.arm.alarms.Starving?.alarmName).toBeDefined();
  });

  it('is beside the stack that all share, whose topic and workflow are known', () => {
    Template.fromStack(stacks.shared).hasResourceProperties('AWS::SNS::Subscription', {
      Endpoint: 'ops@acme.example',
    });
    expect(Stack.of(stateMachine)).toBe(stacks.shared);
  });

  it.each<{ fleet: Partial<FleetProps>; said: string }>([
    { fleet: { vpc, network: 'new-vpc' }, said: 'linux.vpc: must be left out if network is set' },
    {
      fleet: { alarmTopic, alarmTopicArn: 'x' },
      said: 'linux.alarmTopic: must be left out if alarmTopicArn',
    },
    {
      fleet: { securityGroups: [securityGroup] },
      said: 'linux.securityGroups: must be left out without vpc',
    },
    { fleet: { vpc, sshCidr: '10.0.0.0/8', securityGroups: [securityGroup] }, said: 'linux.sshCidr' },
    { fleet: { idleTimeout: Duration.days(2) }, said: 'linux.idleTimeout: must be a time from' },
  ])('is refused: $said', ({ fleet, said }) => {
    const refused = () =>
      new CircleCiRunners(appWith(), 'Runners', { fleets: { linux: { ...LINUX, ...fleet } } });
    expect(refused).toThrow(FleetsInvalid);
    expect(refused).toThrow(said);
  });
});
