import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type App, Stack, Stage } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { Port } from 'aws-cdk-lib/aws-ec2';
import { Bucket } from 'aws-cdk-lib/aws-s3';
import { EmailSubscription } from 'aws-cdk-lib/aws-sns-subscriptions';
import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import {
  CircleCiRunners,
  type CircleCiRunnersProps,
  type FleetProps,
  FleetsInvalid,
} from '../../infra/library.ts';
import { LONG_SCHEDULES } from '../support/fleets.ts';
import { leanApp, withoutFile } from './template.ts';

const CONTEXT = JSON.parse(readFileSync('cdk.json', 'utf8')).context;

const folder = () => mkdtempSync(join(tmpdir(), 'add-fleet-'));

/** An app with the feature flags of `cdk.json`, or with none, which visits aspects otherwise. */
const appWith = (context: Record<string, unknown> = CONTEXT) =>
  leanApp({ context: { ...context, runner: 'current', 'aws:cdk:bundling-stacks': [] } });

const LINUX: FleetProps = { resourceClass: 'acme/linux', instanceTypes: ['m7i.large'], maxReplicas: 20 };
const ARM: FleetProps = { resourceClass: 'acme/arm', instanceTypes: ['m7g.large'], maxReplicas: 5 };

/** Fleets that know much of each other: an image, topics, secrets of others that installs must not read, turns to poll. */
const IMAGE: FleetProps = {
  resourceClass: 'acme/image',
  instanceTypes: ['m7i.large'],
  maxReplicas: 3,
  image: { build: 'weekly' },
  rootVolume: { size: 60 },
  installPermissions: [{ actions: ['s3:GetObject'], resources: ['arn:aws:s3:::acme-tools/*'] }],
};
const FLEETS: Record<string, FleetProps> = {
  first: { ...LINUX, alarmEmail: 'ops@example.com', scalerSecretName: 'acme/scaler-first' },
  image: { ...IMAGE, alarmTopicArn: 'arn:aws:sns:eu-west-1:111122223333:on-call' },
  spot: {
    resourceClass: 'acme/spot',
    instanceTypes: ['m7i.large', 'm6i.large'],
    maxReplicas: 5,
    spot: { percentage: 80 },
    scalerSecretName: 'acme/scaler-spot',
    spareRunners: 'auto',
  },
  'same-image': {
    ...IMAGE,
    resourceClass: 'acme/same-image',
    rootVolume: { size: 40 },
    maxRunTime: '72h',
    alarmEmail: 'ops@example.com',
    alarmTopicArn: 'arn:aws:sns:eu-west-1:111122223333:other',
    scalerSecretName: 'acme/scaler-of-the-last',
  },
};
const TOP = {
  concurrency: [
    { limit: 30, fleets: ['first', 'image'] },
    { limit: 5, fleets: ['same-image'] },
  ],
  maxHourlyCost: 500,
  encryptionKey: 'arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab',
};
const GUARDRAILS = {
  encryptionKeys: [TOP.encryptionKey],
  secretPrefixes: ['acme/'],
  installPermissions: IMAGE.installPermissions,
};

/** A file of YAML with this in it. */
function fileWith(value: unknown): string {
  const file = join(folder(), 'settings.yaml');
  writeFileSync(file, stringify(value));
  return file;
}

/** The templates of all stacks of an app, by their names, as they are written, without the file that advice names. */
const templatesOf = (app: App) => {
  const { directory, stacks } = app.synth();
  return Object.fromEntries(
    stacks.map(({ stackName, templateFile }) => [
      stackName,
      withoutFile(readFileSync(join(directory, templateFile), 'utf8')),
    ]),
  );
};

describe.each([
  { flags: 'the feature flags of cdk.json', context: CONTEXT },
  { flags: 'no feature flags', context: {} },
])('an app to which fleets are added, with $flags', ({ context }) => {
  const guardrails = fileWith(GUARDRAILS);
  const made = (props: CircleCiRunnersProps, add: (runners: CircleCiRunners) => void = () => undefined) => {
    const app = appWith({ ...context, guardrails });
    const runners = new CircleCiRunners(app, 'Runners', props);
    add(runners);
    return templatesOf(app);
  };
  const added = (names: string[]) => (runners: CircleCiRunners) => {
    for (const name of names) runners.addFleet(name, FLEETS[name] ?? LINUX);
  };
  const ofFile = made({ fleetsFile: fileWith({ ...TOP, ...FLEETS }) });
  const names = Object.keys(FLEETS);

  it('has the same templates, byte for byte, as with a file, with the prop and with both', () => {
    expect(Object.keys(ofFile)).toHaveLength(names.length + 1);
    expect(made(TOP, added(names))).toEqual(ofFile);
    expect(made({ ...TOP, fleets: FLEETS })).toEqual(ofFile);
    const { first, image, spot = LINUX, ...last } = FLEETS;
    const { concurrency, ...others } = TOP;
    const both = made({ ...others, fleets: { first: first ?? LINUX, image: image ?? LINUX } }, (runners) => {
      runners.addFleet('spot', spot);
      added(Object.keys(last))(runners);
    });
    expect(both).toEqual(made({ fleetsFile: fileWith({ ...others, ...FLEETS }) }));
    expect(concurrency).toHaveLength(2);
  });

  it('has templates in which fleets know those that came later', () => {
    const image = ofFile['circleci-runners-image'] ?? '';
    expect(image).toContain('Image of image, same-image');
    expect(image).toMatch(/"VolumeSize":40\b/);
    // 72 hours of a task, with the time before and after it, and a day.
    expect(image).toMatch(/"LastLaunched":\{"Unit":"DAYS","Value":5\}/);
    expect(image).toMatch(/scaler-of-the-last-\?{6}/);
    expect(ofFile['circleci-runners-first']).toContain(
      String.raw`\"groups\":[\"circleci-runners-first\",\"circleci-runners-image\"]`,
    );
    expect(ofFile['circleci-runners']).toContain('arn:aws:sns:eu-west-1:111122223333:other');
  });

  it('shares a plan with all fleets if the plan names none', () => {
    const concurrency = { limit: 30 };
    const adding = (runners: CircleCiRunners) => runners.addFleet('arm', ARM);
    const templates = made({ fleets: { linux: LINUX }, concurrency }, adding);
    expect(templates['circleci-runners-linux']).toContain(
      String.raw`\"groups\":[\"circleci-runners-linux\",\"circleci-runners-arm\"]`,
    );
  });
});

describe('addFleet', () => {
  it('gives a fleet that can be used before other fleets are added', () => {
    const app = appWith();
    const own = new Stack(app, 'own');
    const runners = new CircleCiRunners(app, 'Runners');
    const linux = runners.addFleet('linux', { ...LINUX, alarmEmail: 'ops@acme.example' });
    new Bucket(own, 'Artifacts').grantRead(linux);
    linux.connections.allowFromAnyIpv4(Port.tcp(8080), 'a debugger');
    linux.metricUnclaimedTasks().createAlarm(own, 'ManyTasks', { threshold: 100, evaluationPeriods: 5 });
    runners.alarmTopic.addSubscription(new EmailSubscription('ops@acme.example'));
    runners.addFleet('arm', { ...ARM, alarmEmail: 'ops@acme.example' });

    expect(Object.keys(runners.fleets)).toEqual(['linux', 'arm']);
    expect(runners.fleets.linux).toBe(linux);
    expect(runners.stacks.fleets.map(({ fleet }) => fleet)).toEqual(['linux', 'arm']);
    expect(JSON.stringify(Template.fromStack(Stack.of(linux)))).toMatch(/s3:GetObject\*[\s\S]*a debugger/);
    // The app subscribed the address itself.
    Template.fromStack(runners.stacks.shared).resourceCountIs('AWS::SNS::Subscription', 1);
    Template.fromStack(own).hasResourceProperties('AWS::CloudWatch::Alarm', { MetricName: 'UnclaimedTasks' });
  });

  it('lets other stacks use the state machine before it is made, without an export', () => {
    const app = appWith();
    const own = new Stack(app, 'own');
    const runners = new CircleCiRunners(app, 'Runners');
    runners.stateMachine.metricFailed().createAlarm(own, 'Failed', { threshold: 1, evaluationPeriods: 1 });
    runners.addFleet('linux', LINUX);
    const templates = templatesOf(app);
    expect(templates.own).toContain(':stateMachine:circleci-runners"');
    expect(templates.own).not.toContain('ImportValue');
    expect(Object.keys(JSON.parse(templates['circleci-runners'] ?? '{}').Outputs)).toEqual([
      'DashboardUrl',
      'StateMachineArn',
    ]);
  });

  it('makes stacks in a stage', () => {
    const app = appWith();
    const stage = new Stage(app, 'Production');
    const runners = new CircleCiRunners(stage, 'Runners', { name: 'team-a' });
    runners.addFleet('linux', LINUX);
    const { stacks } = app.synth().getNestedAssembly('assembly-Production');
    expect(stacks.map(({ stackName }) => stackName)).toEqual(['team-a', 'team-a-linux']);
    expect(Object.keys(stacks[0]?.template.Resources).length).toBeGreaterThan(50);
  });

  it('refuses faults of the fleets so far, and of one fleet with those before it', () => {
    const runners = new CircleCiRunners(appWith(), 'Runners', { maxHourlyCost: 3 });
    const adding = (name: string, props: FleetProps) => () => runners.addFleet(name, props);
    expect(adding('linux', { ...LINUX, minReplicas: 30 })).toThrow(FleetsInvalid);
    expect(adding('linux', { ...LINUX, minReplicas: 30 })).toThrow(
      /^The app has a fault:\n {2}linux\..*minReplicas/,
    );
    expect(adding('linux', { ...LINUX, vpcSubnets: {} })).toThrow(
      'linux.vpcSubnets: must be left out without vpc',
    );
    expect(adding('concurrency', LINUX)).toThrow('concurrency');
    // A fleet that was refused is not there: its name is free.
    expect(runners.fleets).toEqual({});
    runners.addFleet('linux', LINUX);
    expect(adding('twin', { ...LINUX, resourceClass: 'acme/linux' })).toThrow(/twin[\s\S]*acme\/linux/);
    expect(adding('large', { ...ARM, maxReplicas: 400 })).toThrow(/maxHourlyCost/);
    expect(adding('open', { ...ARM, maxReplicas: 1, runnerSecretName: 'acme/own' })).toThrow(
      /^The app asks for more than [\s\S]*open\./,
    );
    expect(adding('linux', ARM)).toThrow(
      'linux: must be the name of one fleet, and the app has one of this name: choose another name, or take the fleet that fleets.linux is',
    );
  });

  it('refuses a fleet beside a file, and a file beside fleets', () => {
    const fleetsFile = fileWith({ linux: LINUX });
    const runners = new CircleCiRunners(appWith(), 'Runners', { fleetsFile });
    expect(Object.keys(runners.fleets)).toEqual(['linux']);
    expect(() => runners.addFleet('arm', ARM)).toThrow(
      new FleetsInvalid(
        `arm: must be in ${fleetsFile}, which has all fleets of the app: write it there, or leave out fleetsFile and call addFleet for each fleet`,
      ),
    );
    expect(() => new CircleCiRunners(appWith(), 'Runners', { fleetsFile, fleets: { arm: ARM } })).toThrow(
      new FleetsInvalid(
        'fleetsFile: must be left out with fleets: keep all fleets in the file, or all in the app',
      ),
    );
  });

  it.each([
    ['the synthesis', (app: App) => app.synth()],
    [
      'a look at a template',
      (_app: App, { stacks }: CircleCiRunners) => Template.fromStack(stacks.fleets[0] ?? stacks.shared),
    ],
  ])('refuses a fleet after %s', (_when, synthesise) => {
    const app = appWith();
    const runners = new CircleCiRunners(app, 'Runners');
    runners.addFleet('linux', LINUX);
    synthesise(app, runners);
    expect(() => runners.addFleet('arm', ARM)).toThrow(
      new FleetsInvalid(
        'arm: must be added before the app is synthesised: call addFleet before app.synth() and before Template.fromStack()',
      ),
    );
    expect(() => app.synth({ force: true })).not.toThrow();
  });
});

describe('a synthesis is refused', () => {
  it('if no fleet was added, and if a file was not named', () => {
    const app = appWith({ fleets: 'fleets.yaml' });
    new CircleCiRunners(app, 'Runners');
    expect(() => app.synth()).toThrow(
      new FleetsInvalid(
        'Runners must have at least one fleet: call addFleet, or give it fleets or a fleetsFile',
      ),
    );
  });

  it('if a plan names a fleet that was not added', () => {
    const app = appWith();
    const runners = new CircleCiRunners(app, 'Runners', {
      concurrency: { limit: 9, fleets: ['linux', 'windows'] },
    });
    runners.addFleet('linux', LINUX);
    expect(() => app.synth()).toThrow(/^The app has a fault:\n {2}concurrency\.fleet 2: .*windows/);
  });

  it('if the settings of a fleet are too long with the names of those that came later', () => {
    const app = appWith();
    const runners = new CircleCiRunners(app, 'Runners', { concurrency: { limit: 9 } });
    runners.addFleet('linux', { ...LINUX, schedules: LONG_SCHEDULES });
    for (let index = 0; index < 60; index += 1)
      runners.addFleet(`${'n'.repeat(29)}-${index}`, {
        ...LINUX,
        maxReplicas: 1,
        resourceClass: `acme/${index}`,
      });
    expect(() => app.synth()).toThrow(/^linux: the settings must have at most 8192 bytes as JSON/);
  });
});
