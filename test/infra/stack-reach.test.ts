import { Template } from 'aws-cdk-lib/assertions';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { stacksOf } from '../../infra/stacks.ts';
import { fleetsWith } from '../support/fleets.ts';
import { allows, PolicyStatement, type Request } from '../support/policies.ts';
import { emptyApp, policiesAmong } from './template.ts';

/** Two apps of one account and Region, each with a Spot fleet and secrets that exist already. */
const TEAMS = ['team-a', 'team-b'] as const;
type Team = (typeof TEAMS)[number];

const Resources = z.record(
  z.string(),
  z.object({ Type: z.string(), Properties: z.record(z.string(), z.unknown()).default({}) }),
);
const Policy = z.object({ PolicyDocument: z.object({ Statement: z.array(PolicyStatement) }) });

function templatesOf(team: Team): Template[] {
  const configs = fleetsWith({
    linux: {
      spot: '{}',
      scalerSecretName: `${team}/own/scaler`,
      runnerSecretName: `${team}/own/runner`,
      network: '{vpcId: vpc-00000001, subnetIds: [subnet-00000001]}',
    },
  });
  const { shared, fleets } = stacksOf(emptyApp(), team, configs);
  return [shared, ...fleets].map((stack) => Template.fromStack(stack));
}

const TEMPLATES = { 'team-a': templatesOf('team-a'), 'team-b': templatesOf('team-b') };

/** The statements of all roles of an app. A reference within a stack becomes a text that only this app has. */
const statementsOf = (team: Team): PolicyStatement[] =>
  TEMPLATES[team].flatMap((template) => {
    const resources = Resources.parse(resolved(template.toJSON().Resources, team));
    const all = Object.values(resources).map(({ Type: type, Properties: properties }) => ({
      type,
      properties,
    }));
    return policiesAmong(all).flatMap(({ properties }) => Policy.parse(properties).PolicyDocument.Statement);
  });

/** A template with its references written out. */
function resolved(value: unknown, team: Team): unknown {
  if (Array.isArray(value)) return value.map((item) => resolved(item, team));
  if (typeof value !== 'object' || value === null) return value;
  const [[key, content] = ['', undefined]] = Object.entries(value);
  if (key === 'Ref') return pseudo(String(content), team);
  if (key === 'Fn::GetAtt') return `${team}:${[content].flat().join('.')}`;
  if (key === 'Fn::Join') {
    const [separator, parts] = z.tuple([z.string(), z.array(z.unknown())]).parse(content);
    return parts.map((part) => resolved(part, team)).join(separator);
  }
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, resolved(item, team)]));
}

function pseudo(name: string, team: Team): string {
  const parameters: Record<string, string> = {
    'AWS::AccountId': '111122223333',
    'AWS::Partition': 'aws',
    'AWS::Region': 'eu-west-1',
    'AWS::StackName': team,
  };
  return parameters[name] ?? `${team}:${name}`;
}

const STATEMENTS = { 'team-a': statementsOf('team-a'), 'team-b': statementsOf('team-b') };

const arn = (service: string, resource: string) => `arn:aws:${service}:eu-west-1:111122223333:${resource}`;

/** What the roles of a stack do with what is the stack's. */
const requestsOn = (team: Team): Record<string, Request> => {
  const group = arn('autoscaling', `autoScalingGroup:0f0f0f0f:autoScalingGroupName/${team}-linux`);
  const context = {
    'aws:ResourceTag/circleci-runners:stack': team,
    'aws:ResourceTag/circleci-runners:spot': team,
  };
  return {
    'read a scaler secret': {
      action: 'secretsmanager:GetSecretValue',
      resource: arn('secretsmanager', `secret:${team}/own/scaler-AbCdEf`),
    },
    'read a runner secret': {
      action: 'secretsmanager:GetSecretValue',
      resource: arn('secretsmanager', `secret:${team}/own/runner-AbCdEf`),
    },
    'publish a metric': {
      action: 'cloudwatch:PutMetricData',
      resource: '*',
      context: { 'cloudwatch:namespace': `CircleCIRunnerAutoscaler/${team}` },
    },
    'read settings': { action: 'ssm:GetParameter', resource: arn('ssm', `parameter/${team}/fleets/linux`) },
    'set a capacity': { action: 'autoscaling:SetDesiredCapacity', resource: group, context },
    'change a group': { action: 'autoscaling:UpdateAutoScalingGroup', resource: group, context },
    'suspend launches': { action: 'autoscaling:SuspendProcesses', resource: group, context },
    'end an instance': { action: 'autoscaling:TerminateInstanceInAutoScalingGroup', resource: group },
    // AWS checks each resource of a launch; this is the one that decides.
    'launch from a template': {
      action: 'ec2:RunInstances',
      resource: arn('ec2', 'launch-template/lt-0123456789abcdef0'),
      context,
    },
    'give an instance a role': {
      action: 'iam:PassRole',
      resource: `arn:aws:iam::111122223333:role/${team}/${team}-linux-FleetInstanceRole`,
      context: { 'iam:PassedToService': 'ec2.amazonaws.com' },
    },
  };
};

/** The namespaces of metrics that alarms and dashboards name. */
function namespacesIn(value: unknown): string[] {
  if (typeof value === 'string')
    return [...value.matchAll(/\["([\w/]+)","[A-Z]\w+","Fleet"/g)].map(([, namespace = '']) => namespace);
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, item]) =>
    key === 'Namespace' ? [String(item)] : namespacesIn(item),
  );
}

const mayAny = (team: Team, request: Request) => allows(STATEMENTS[team], request);

describe("a stack's roles", () => {
  const OTHER: Record<Team, Team> = { 'team-a': 'team-b', 'team-b': 'team-a' };
  const cases = TEAMS.flatMap((team) =>
    Object.keys(requestsOn(team)).map((what) => ({ team, other: OTHER[team], what })),
  );

  it.each(cases)("of $team may $what of theirs, and not of $other's", ({ team, other, what }) => {
    const own = requestsOn(team)[what];
    const others = requestsOn(other)[what];
    if (own === undefined || others === undefined) throw new Error(`No request ${what}`);
    expect(mayAny(team, own)).toBe(true);
    expect(mayAny(team, others)).toBe(false);
  });

  it('publish no metric under the name of one of the other app, whose fleets may be called alike', () => {
    const watched = TEAMS.map((team) => {
      const all = TEMPLATES[team].flatMap((template) => namespacesIn(template.toJSON()));
      return [...new Set(all)].filter((namespace) => !namespace.startsWith('AWS/'));
    });
    expect(watched).toEqual(TEAMS.map((team) => [`CircleCIRunnerAutoscaler/${team}`]));
  });

  it.each(TEAMS)('of %s name nothing of the other stack', (team) => {
    expect(JSON.stringify(STATEMENTS[team])).not.toContain(OTHER[team]);
  });

  it.each(TEAMS)(
    'of %s reach everything in the account only where it says nothing or is bound by a condition',
    (team) => {
      const everything = STATEMENTS[team].filter(
        ({ Resource, Condition }) => Resource.includes('*') && Object.keys(Condition).length === 0,
      );
      const changing = everything
        .flatMap(({ Action }) => Action)
        .filter((action) => !/:(Describe|List|Get)/.test(action));
      // The delivery of the execution log, which the CDK allows the state machine.
      expect(changing.filter((action) => !action.startsWith('logs:'))).toEqual([]);
    },
  );
});
