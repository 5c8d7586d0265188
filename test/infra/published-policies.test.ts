import { readFileSync } from 'node:fs';
import { Template } from 'aws-cdk-lib/assertions';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { PAUSED_TAG, STACK_TAG } from '../../functions/lib/tags.ts';
import { stacksOf } from '../../infra/stacks.ts';
import { fleetsWith } from '../support/fleets.ts';
import { allows, PolicyStatement, type Request } from '../support/policies.ts';
import { emptyApp, SynthesisedTemplate } from './template.ts';

/** The policies that docs/security.md asks its reader to add, as they stand there. */
const published = [...readFileSync('docs/security.md', 'utf8').matchAll(/```json\n(.*?)```/gs)].map(
  ([, json = '']) => JSON.parse(json),
);

const Resources = z.record(
  z.string(),
  z.object({ Type: z.string(), Properties: z.record(z.string(), z.unknown()).default({}) }),
);
const Refs = z.array(z.object({ Ref: z.string() }));

const template = SynthesisedTemplate.of(
  fleetsWith({ linux: { logs: 'true' }, spot: { spot: '{}' }, built: { image: '{build: weekly}' } }),
);

describe('the service control policy for the tags', () => {
  const { Statement } = z
    .object({ Statement: z.array(PolicyStatement) })
    .parse(published.find((policy) => 'Statement' in policy));
  const role = (name: string) => `arn:aws:iam::111122223333:role/${name}`;
  const everything = PolicyStatement.parse({ Effect: 'Allow', Action: '*', Resource: '*' });

  /** Whether the policy leaves the request to the principal's own permissions. */
  const leaves = (
    principal: string,
    tags: string[],
    action = 'autoscaling:CreateOrUpdateTags',
    policy = Statement,
  ) => {
    const request: Request = {
      action,
      resource:
        'arn:aws:autoscaling:eu-west-1:111122223333:autoScalingGroup:0:autoScalingGroupName/circleci-runners-linux',
      context: { 'aws:PrincipalArn': principal, 'aws:TagKeys': tags },
    };
    return allows([everything, ...policy], request);
  };

  it.each([
    { who: 'a developer', principal: role('developer'), tags: [PAUSED_TAG], left: false },
    {
      who: 'a developer, beside another tag',
      principal: role('developer'),
      tags: ['team', PAUSED_TAG],
      left: false,
    },
    { who: 'a developer, with other tags', principal: role('developer'), tags: ['team'], left: true },
    { who: 'a role that is called alike', principal: role('not-OPERATORS'), tags: [PAUSED_TAG], left: false },
    { who: 'an operator', principal: role('OPERATORS'), tags: [PAUSED_TAG], left: true },
    {
      who: 'a deployment',
      principal: role('cdk-hnb659fds-cfn-exec-role-111122223333-eu-west-1'),
      tags: [STACK_TAG],
      left: true,
    },
    {
      who: 'Count Unclaimed',
      principal: role(
        'circleci-runners.roles/count-unclaimed/circleci-runners-WorkflowCountUnclaimedPa-AbCdEfGhIjKl',
      ),
      tags: [PAUSED_TAG],
      left: false,
    },
    {
      who: 'a role that is called as Update Group',
      principal: role('circleci-runners-WorkflowUpdateGroupPartsRole-AbCdEfGhIjKl'),
      tags: [PAUSED_TAG],
      left: false,
    },
  ])('for $who says $left', ({ principal, tags, left }) => {
    expect(leaves(principal, tags)).toBe(left);
    for (const action of ['autoscaling:DeleteTags', 'ec2:CreateTags', 'ec2:DeleteTags'])
      expect(leaves(principal, tags, action)).toBe(left);
  });

  it.each(['circleci-runners', 'a', `app-${'x'.repeat(27)}`])(
    'leaves the tags to each function of the app %s that sets some, and to no other of its roles',
    (app) => {
      const policy = z
        .array(PolicyStatement)
        .parse(JSON.parse(JSON.stringify(Statement).replaceAll('role/circleci-runners', `role/${app}`)));
      const { shared } = stacksOf(
        emptyApp(),
        app,
        fleetsWith({ linux: { reconcile: 'repair' }, spot: { spot: '{}' } }),
      );
      const resources = Resources.parse(Template.fromStack(shared).toJSON().Resources);
      const taggers = Object.values(resources).flatMap(({ Type, Properties }) =>
        Type === 'AWS::IAM::Policy' &&
        /"(autoscaling:CreateOrUpdateTags|ec2:CreateTags)"/.test(JSON.stringify(Properties))
          ? Refs.parse(Properties.Roles).map(({ Ref }) => Ref)
          : [],
      );
      expect(taggers).toHaveLength(4);
      const left = Object.entries(resources).filter(([id, { Type, Properties }]) => {
        if (Type !== 'AWS::IAM::Role') return false;
        // Nothing says how CloudFormation cuts the names of the stack and of the role.
        const name = `${app.slice(0, 24)}-${id.slice(0, 24)}-AbCdEfGhIjKl`;
        const principal = role(`${String(Properties.Path ?? '/').slice(1)}${name}`);
        return leaves(
          principal,
          ['circleci-runners:on-demand-for'],
          'autoscaling:CreateOrUpdateTags',
          policy,
        );
      });
      expect(left.map(([id]) => id).toSorted()).toEqual(taggers.toSorted());
    },
  );

  it.each([
    { of: 'something of a fleet', stack: 'circleci-runners', left: false },
    { of: 'something else', stack: undefined, left: true },
  ])('for the deletion of all tags of $of at once says $left', ({ stack, left }) => {
    const request = (principal: string): Request => ({
      action: 'ec2:DeleteTags',
      resource: 'arn:aws:ec2:eu-west-1:111122223333:instance/i-0123456789abcdef0',
      context: {
        'aws:PrincipalArn': principal,
        ...(stack !== undefined && { [`aws:ResourceTag/${STACK_TAG}`]: stack }),
      },
    });
    expect(allows([everything, ...Statement], request(role('developer')))).toBe(left);
    expect(allows([everything, ...Statement], request(role('OPERATORS')))).toBe(true);
  });

  it('takes no other permission away', () => {
    expect(leaves(role('developer'), [], 'autoscaling:DescribeTags')).toBe(true);
  });
});

describe('the policy of a topic of your own', () => {
  const [statements = []] = [...readFileSync('docs/operations.md', 'utf8').matchAll(/```json\n(.*?)```/gs)]
    .map(([, json = '']) => json)
    .filter((json) => json.includes('sns:Publish'))
    .map((json) => z.array(z.looseObject({})).parse(JSON.parse(json)))
    .map((all) => all.map(({ Principal, ...statement }) => PolicyStatement.parse(statement)));
  const ofRoles = statements.filter(({ Condition }) => 'ArnLike' in Condition);

  it("lets the workflow's role publish, and no other role of the account", () => {
    const { Path } = template.the('AWS::IAM::Role', 'WorkflowStateMachineRole').properties;
    const may = (role: string) =>
      allows(ofRoles, {
        action: 'sns:Publish',
        resource: 'TOPIC_ARN',
        context: { 'aws:PrincipalArn': `arn:aws:iam::ACCOUNT:role${role}` },
      });
    expect(may(`${Path}circleci-runners-WorkflowStateMachineRole-AbCdEfGhIjKl`)).toBe(true);
    expect(may('/circleci-runners-WorkflowStateMachineRole-AbCdEfGhIjKl')).toBe(false);
    expect(may('/circleci-runners.roles/update-group/x')).toBe(false);
  });
});

describe('the policy of a key of your own', () => {
  const Principal = z.union([z.object({ Service: z.string() }), z.object({ AWS: z.string() })]);
  const statements = z
    .array(z.looseObject({ Principal }))
    .parse(published.find(Array.isArray))
    .map(({ Principal: principal, ...statement }) => ({
      principal: Object.values(principal)[0],
      statement: PolicyStatement.parse(statement),
    }));
  const may = (who: string, action: string, context: Record<string, string> = {}) =>
    allows(
      statements.filter(({ principal }) => principal === who).map(({ statement }) => statement),
      { action: `kms:${action}`, resource: '*', context },
    );

  it('lets alarms of the account publish to the topic', () => {
    const alarms = (account: string) =>
      may('cloudwatch.amazonaws.com', 'GenerateDataKey', { 'aws:SourceAccount': account });
    expect([alarms('111122223333'), alarms('444455556666')]).toEqual([true, false]);
  });

  it('lets CloudWatch Logs encrypt each log group of the stack, and no other', () => {
    const logs = (name: string) =>
      may('logs.eu-west-1.amazonaws.com', 'GenerateDataKey', {
        'kms:EncryptionContext:aws:logs:arn': `arn:aws:logs:eu-west-1:111122223333:log-group:${name}`,
      });
    const names = template
      .all('AWS::Logs::LogGroup')
      .map(({ properties }) => String(properties.LogGroupName));
    expect(names.length).toBeGreaterThan(8);
    expect(names.filter((name) => !logs(name))).toEqual([]);
    expect(logs('/aws/lambda/payments')).toBe(false);
  });

  it('lets EC2 Auto Scaling use volumes, and grant the key to services of AWS alone', () => {
    const group =
      'arn:aws:iam::111122223333:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling';
    const grant = (of: string) => may(group, 'CreateGrant', { 'kms:GrantIsForAWSResource': of });
    expect([grant('true'), grant('false')]).toEqual([true, false]);
    for (const action of ['Decrypt', 'GenerateDataKeyWithoutPlaintext', 'ReEncryptFrom', 'DescribeKey']) {
      expect(may(group, action)).toBe(true);
    }
    expect(may(group, 'ScheduleKeyDeletion')).toBe(false);
  });
});
