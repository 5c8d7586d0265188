import { type App, CfnResource, CloudFormationValidatePlugin } from 'aws-cdk-lib';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import type { FleetConfig } from '../../fleets/load.ts';
import { TemplateRules } from '../../infra/template-rules.ts';
import {
  fleetsOf,
  fleetsWith,
  INSTALL,
  MINIMAL,
  minimalWith,
  RUNNER,
  threeFleets,
} from '../support/fleets.ts';
import { appOf } from './template.ts';

const ARM = { instanceTypes: '[m7g.large]' };
const SEVERAL = { instanceTypes: '[m7i.large, m6i.large]' };
const SUBNET = 'vpcId: vpc-01234567, subnetIds: [subnet-01234567]';
const OWN_GROUPS = `{${SUBNET}, securityGroupIds: [sg-01234567]}`;

/** A fleet whose instance types AWS chooses. */
const requiring = (name: string, more: string) =>
  fleetsOf(
    `${name}:\n  resourceClass: acme/${name}\n  maxReplicas: 5\n  instanceRequirements: {architecture: arm64, vCpus: {min: 2}, memoryGiB: {min: 8}}\n  ${more}\n`,
  );

// The first has resources of all types: the rules are prepared again for types that come later, which takes seconds.
const SHAPES: { with: string; fleets: () => FleetConfig[] }[] = [
  {
    with: 'each image, market, warm pool, network, permission, script, schedule and choice of types',
    fleets: () => [
      ...fleetsWith({
        'ubuntu-arm': ARM,
        'amazon-arm': { ...ARM, image: 'amazon-linux' },
        amazon: { image: 'amazon-linux' },
        own: { image: 'ami-0123456789abcdef0' },
        'own-volume': { image: 'ami-0123456789abcdef0', rootDevice: '/dev/xvda', rootVolumeSize: '50' },
        named: { image: 'ssm:runner' },
        spot: { spot: '{}', unsafeRetries: 'true' },
        'several-spot': { ...SEVERAL, spot: '{percentage: 70, onDemandBase: 2}' },
        warm: { warmPool: '{size: 5}' },
        asleep: { warmPool: '{size: 2, state: hibernated}' },
        auto: { warmPool: '{size: auto}' },
        'several-warm': { ...SEVERAL, warmPool: '{size: 5}' },
        built: { image: '{build: weekly, docker: true}', logs: 'true' },
        'built-own': { image: '{build: once, from: ami-0123456789abcdef0}', network: OWN_GROUPS },
      }),
      ...requiring('chosen-warm', 'warmPool: {size: 5}'),
      ...fleetsWith(
        {
          install: { install: 'install.sh' },
          logs: { logs: 'true' },
          'session-manager': { sessionManager: 'true' },
          ssh: { sshCidr: '203.0.113.0/24', keyPairName: 'ops-team' },
          dual: { sshCidr: '2001:db8::/48' },
          'new-vpc': { network: 'new-vpc', alarmEmail: 'ops@acme.example' },
          rerun: { sshRerun: '{cidr: "2001:db8::/48", address: ipv6}' },
          'own-groups': { network: OWN_GROUPS, sshRerun: '{}' },
          metadata: { allowInstanceMetadata: 'true' },
          reused: { reuse: 'continuous', idleTimeout: '20m', maxRunTime: '2h' },
          pinned: { runner: JSON.stringify(RUNNER) },
          notified: { alarmTopicArn: 'arn:aws:sns:eu-west-1:111122223333:builds' },
          scheduled: {
            schedules: `[${Array.from(
              { length: 20 },
              (_, index) =>
                `{name: "${`schedule ${index} `.padEnd(60, 'x')}", start: "0 8 * * MON-FRI", end: "0 18 * * MON-FRI", timezone: Europe/Berlin, minReplicas: 1, maxReplicas: 20}`,
            ).join(', ')}]`,
          },
        },
        { 'install.sh': INSTALL },
      ),
      ...requiring('chosen', 'image: ssm:runner'),
    ],
  },
  {
    with: 'everything, and with nothing',
    fleets: threeFleets,
  },
  {
    with: 'a key of your own',
    fleets: () =>
      fleetsOf(
        `encryptionKey: arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab\n${minimalWith('logs: true')}`,
      ),
  },
];

describe("CloudFormation's rules", () => {
  it.each(SHAPES)('find no fault in a template with $with', ({ fleets }) => {
    const printed = vi.spyOn(console, 'error').mockImplementation(() => undefined);
    onTestFinished(() => printed.mockRestore());
    const { app } = appOf(fleets(), { validated: true });
    expect(() => app.synth()).not.toThrow();
    expect(printed.mock.calls.flat().join('\n')).not.toMatch(/^ERROR/m);
  });

  /** The rules themselves take most of the time of these tests. Gives what the synthesis hands to them. */
  function checkedBy(app: App) {
    const validate = vi
      .spyOn(CloudFormationValidatePlugin.prototype, 'validate')
      .mockReturnValue({ success: true, violations: [] });
    const printed = vi.spyOn(console, 'error').mockImplementation(() => undefined);
    onTestFinished(() => {
      validate.mockRestore();
      printed.mockRestore();
    });
    app.synth();
    return validate.mock.calls[0]?.[0].stackTemplates ?? [];
  }

  it('see a change of one of many fleets of a kind', () => {
    const { app, stacks } = appOf(fleetsWith({ 'linux-6': {}, 'linux-8': {}, 'linux-12': {} }), {
      validated: true,
    });
    TemplateRules.addTo(app, stacks.fleets);
    // As an app of the library may do.
    const [, two] = stacks.fleets;
    if (two === undefined) throw new Error('There is no second fleet');
    new CfnResource(two, 'Queue', { type: 'AWS::SQS::Queue', properties: { DelaySeconds: 'soon' } });
    const paths = checkedBy(app).map(({ stackConstructPath }) => stackConstructPath);
    expect(paths).toContain(two.node.path);
    // The shared stack, the changed fleet, and one of the others.
    expect(paths).toHaveLength(3);
  });

  it.each([
    // The names in each row poll in the same second, which the settings of a fleet have.
    { fleets: { 'linux-6': {}, 'linux-8': {}, 'linux-12': {} }, checked: 1 },
    { fleets: { 'linux-6': {}, 'linux-8': ARM, 'linux-12': ARM }, checked: 2 },
    // The name of a fleet must not hide in what the templates differ.
    { fleets: { m7i: { instanceTypes: '[m7i.large]' }, r7i: { instanceTypes: '[r7i.large]' } }, checked: 2 },
  ])('are compared once for each kind of fleet: $checked', ({ fleets, checked }) => {
    const { app, stacks } = appOf(fleetsWith({ ...fleets, last: { image: 'amazon-linux' } }), {
      validated: true,
    });
    TemplateRules.addTo(app, stacks.fleets);
    // The shared stack, the last fleet, and one of each kind.
    expect(checkedBy(app)).toHaveLength(2 + checked);
  });

  it('find a fault if there is one', () => {
    const { app, stacks } = appOf(fleetsOf(MINIMAL), { validated: true });
    new CfnResource(stacks.shared, 'Queue', {
      type: 'AWS::SQS::Queue',
      properties: { DelaySeconds: 'soon' },
    });
    expect(() => app.synth()).toThrow(/DelaySeconds/);
  });
});
