import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Validations } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { faultOfStackName } from '../../fleets/names.ts';
import { stacksOf } from '../../infra/stacks.ts';
import {
  EACH_FLEET,
  fleetsWith,
  INSTALL,
  LONG_SCHEDULES,
  manyFleets,
  threeFleets,
} from '../support/fleets.ts';
import { violationsOf } from './nag.ts';
import { appOf, emptyApp, SynthesisedTemplate } from './template.ts';

const fleets = threeFleets();
const template = SynthesisedTemplate.of(fleets);

describe('outputs', () => {
  it("are the workflow, the dashboard, and each fleet's group and secrets", () => {
    expect(template.outputs).toEqual({
      StateMachineArn: 'StateMachine(circleci-runners)',
      DashboardUrl:
        'https://console.aws.amazon.com/cloudwatch/home?region=eu-west-1#dashboards/dashboard/circleci-runners',
      ArmGroupName: 'circleci-runners-arm',
      ArmScalerSecretName: 'circleci-runners/arm/scaler',
      ArmRunnerSecretName: 'circleci-runners/arm/runner',
      LinuxLargeGroupName: 'circleci-runners-linux-large',
      LinuxLargeScalerSecretName: 'existing/scaler',
      LinuxLargeRunnerSecretName: 'existing/runner',
      OwnedGroupName: 'circleci-runners-owned',
      OwnedScalerSecretName: 'circleci-runners/owned/scaler',
      OwnedRunnerSecretName: 'circleci-runners/owned/runner',
    });
  });
});

describe('fleets', () => {
  const MARKS: Record<string, string[]> = {
    Arm: ['acme/arm', 'm7g.', 'runners-arm', 'runners/arm'],
    LinuxLarge: [
      'linux-large',
      'm7i.',
      'acme.example',
      'existing/',
      'ops-team',
      '203.0.113.0',
      'build',
      '0815',
      '3.1.13',
      'c0ffee',
      ':builds',
    ],
    Owned: [
      'acme/owned',
      'c7i.',
      'runners-owned',
      'runners/owned',
      'vpc-0123456789abcdef0',
      'subnet-0',
      'platform',
    ],
  };

  it.each(EACH_FLEET)("$name has its own settings in its resources and none of the others'", ({ id }) => {
    const resources = template.ofFleet(id);
    expect(resources.length).toBeGreaterThan(10);
    const text = JSON.stringify(resources.map(({ properties }) => properties)).replaceAll('\\n', '\n');
    for (const [fleet, marks] of Object.entries(MARKS)) {
      const found = marks.filter((mark) => text.includes(mark));
      expect(found).toEqual(fleet === id ? marks : []);
    }
  });

  it('may have any accepted name, also one that the CDK or this stack uses otherwise', () => {
    const names = [
      'default',
      'resource',
      'role',
      'function',
      'workflow',
      'alarms',
      'alarm',
      'topic',
      'dashboard',
      'log-queries',
      'outage',
      'executions',
      'group-settings',
      'a',
      'a-group',
    ];
    const fleets = fleetsWith(Object.fromEntries(names.map((name) => [name, {}])));
    const groups = SynthesisedTemplate.of(fleets).all('AWS::AutoScaling::AutoScalingGroup');
    expect(groups.map(({ properties }) => properties.AutoScalingGroupName)).toEqual(
      names.map((name) => `circleci-runners-${name}`),
    );
  });

  const EVERYTHING = (index: number) => ({
    network: 'new-vpc',
    logs: 'true',
    sessionManager: 'true',
    warmPool: '{size: auto}',
    alarmEmail: `ops-${index % 10}@acme.example`,
  });

  it('may be as many as the limits of stacks and dashboards never notice', () => {
    const { templates } = SynthesisedTemplate.of(manyFleets(60, EVERYTHING));
    expect(templates).toHaveLength(61);
    for (const { json } of templates) {
      expect(Object.keys(json.Resources).length).toBeLessThan(100);
      expect(JSON.stringify(json).length).toBeLessThan(200_000);
    }
  });

  it('refer to the shared stack by names, and no stack exports or imports anything', () => {
    for (const { json } of template.templates) {
      expect(JSON.stringify(json)).not.toContain('Fn::ImportValue');
      for (const output of Object.values(json.Outputs)) expect(output).not.toHaveProperty('Export');
    }
  });
});

describe.each([
  { asking: 'for everything, and for nothing', given: fleets },
  {
    asking: 'for one thing each',
    given: fleetsWith(
      {
        amazon: { image: 'amazon-linux' },
        install: { install: 'install.sh' },
        logs: { logs: 'true' },
        several: { instanceTypes: '[m7i.large, m6i.large]' },
        spot: { spot: '{}' },
        warm: { warmPool: '{size: 5}' },
        'session-manager': { sessionManager: 'true' },
      },
      { 'install.sh': INSTALL },
    ),
  },
])('the AwsSolutions rules of cdk-nag for fleets asking $asking', ({ given }) => {
  it('find only what is accepted with a reason', () => {
    expect(violationsOf(given)).toEqual([]);
  });

  it('still find everything that is accepted', () => {
    const accepted: { rule: string; path: string; reason: string }[] = [];
    const of = Validations.of;
    const spy = vi.spyOn(Validations, 'of').mockImplementation((scope) => {
      const validations = of(scope);
      validations.acknowledge = (...rules) => {
        accepted.push(...rules.map(({ id, reason }) => ({ rule: id, path: scope.node.path, reason })));
      };
      return validations;
    });
    onTestFinished(() => spy.mockRestore());
    const found = violationsOf(given);
    const ours = accepted.filter(({ rule }) => rule.startsWith('AwsSolutions-'));
    const idle = ours.filter(
      ({ rule, path }) => !found.some((finding) => finding.rule === rule && finding.path.startsWith(path)),
    );
    expect(ours.length).toBeGreaterThan(0);
    expect(idle).toEqual([]);
    expect(ours.filter(({ reason }) => reason.length < 40)).toEqual([]);
  });
});

it('is refused by name if Systems Manager takes no settings as long as those of a fleet', () => {
  const names = Array.from({ length: 100 }, (_, index) => `${'n'.repeat(29)}-${index}`);
  const [fleet, ...others] = fleetsWith(Object.fromEntries(names.map((name) => [name, {}])));
  if (fleet === undefined) throw new Error('There is no fleet');
  const config = { ...fleet, schedules: LONG_SCHEDULES, concurrency: { limit: 10, fleets: names } };
  expect(others).toHaveLength(99);
  expect(() => stacksOf(emptyApp(), 'circleci-runners', [config])).toThrow(
    new RegExp(
      `^${fleet.name}: the settings must have at most 8192 bytes as JSON, .*got \\d+: use fewer schedules`,
    ),
  );
});

describe('the name of an app', () => {
  /** What the resources that all fleets share are called, with their types. */
  const namesOf = (app: string): string[] => {
    const { shared } = stacksOf(emptyApp(), app, []);
    return Object.values(Template.fromStack(shared).toJSON().Resources).flatMap((resource) => {
      const { Type, Properties = {} } = resource as { Type: string; Properties?: Record<string, unknown> };
      return Object.entries(Properties).flatMap(([property, value]) =>
        /Name$/.test(property) && typeof value === 'string' && /(^|\/)a(-|$)/.test(value)
          ? [`${Type} ${value}`]
          : [],
      );
    });
  };

  it('gives no resource a name that one of another app has: such a name is refused', () => {
    const names = namesOf('a');
    expect(names).toContain('AWS::StepFunctions::StateMachine a-reconcile');
    const others = new Set(names.flatMap((name) => /(?:^| |\/)(a-[A-Za-z0-9-]+)$/.exec(name)?.[1] ?? []));
    expect(others.size).toBeGreaterThan(10);
    const alike = [...others]
      .filter((app) => faultOfStackName(app) === undefined)
      .flatMap((app) => namesOf(app).filter((name) => names.includes(name)));
    expect(alike).toEqual([]);
  });

  it.each([
    {
      name: 'a-reconcile',
      fault: /^must not end with -reconcile, because an app called a has a state machine/,
    },
    { name: 'aws-runners', fault: /^must not begin with aws, because Systems Manager reserves/ },
    { name: 'SSMrunners', fault: /^must not begin with SSM, / },
    { name: 'reconcile', fault: undefined },
    { name: 'runners-aws', fault: undefined },
  ])('may not be one that AWS reserves or another app uses: $name', ({ name, fault }) => {
    if (fault === undefined) expect(faultOfStackName(name)).toBeUndefined();
    else expect(faultOfStackName(name)).toMatch(fault);
  });
});

describe('a stack', () => {
  /** The type of the resource that says whose a stack is, by the names of the app's stacks. */
  const ownersOf = (app: string, fleet: string): Map<string, unknown> => {
    const { shared, fleets } = stacksOf(emptyApp(), app, fleetsWith({ [fleet]: {} }));
    return new Map(
      [shared, ...fleets].map((stack) => [
        stack.stackName,
        Template.fromStack(stack).toJSON().Resources.Settings.Type,
      ]),
    );
  };

  it.each([
    { case: 'fleets', stack: 'a-b-x', one: ['a', 'b-x'], other: ['a-b', 'x'] },
    { case: 'a fleet and what others share', stack: 'a-b', one: ['a', 'b'], other: ['a-b', 'x'] },
    {
      case: 'fleets that a name of a kind ends',
      stack: 'a-fleet',
      one: ['a', 'fleet'],
      other: ['a-fleet', 'x'],
    },
  ] as const)(
    'is not taken over by another app, because CloudFormation changes no type of a resource: $case',
    ({ stack, one, other }) => {
      const [first, second] = [one, other].map(([app, fleet]) => ownersOf(app, fleet).get(stack));
      expect(first).toMatch(/^Custom::[A-Za-z0-9_@-]{1,52}$/);
      expect(second).toMatch(/^Custom::[A-Za-z0-9_@-]{1,52}$/);
      expect(first).not.toBe(second);
    },
  );
});

describe('the template', () => {
  it('is written without indentation, because its size is limited', () => {
    const { app, stacks } = appOf(fleetsWith({ linux: {} }));
    app.synth();
    for (const { templateFile } of [stacks.shared, ...stacks.fleets]) {
      const text = readFileSync(join(app.outdir, templateFile), 'utf8');
      expect(text).toBe(JSON.stringify(JSON.parse(text)));
    }
  });

  it('is unchanged, except for the code, the definition and the user data, which have their own tests', async () => {
    const resources = template.resources.map(({ id, type, properties, attributes }) => [
      id,
      { Type: type, ...attributes, Properties: properties },
    ]);
    const text = JSON.stringify(
      Object.fromEntries(resources),
      (key, value) => {
        if (key === 'DefinitionString') return 'statemachine/autoscale.asl.json';
        if (key === 'UserData') return 'userdata/';
        return typeof value === 'string' ? value.replace(/\b[0-9a-f]{64}\b/g, 'HASH') : value;
      },
      2,
    );
    await expect(`${text}\n`).toMatchFileSnapshot('__snapshots__/template.json');
  });
});
