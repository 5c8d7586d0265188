import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { PAUSED_TAG, STACK_TAG } from '../../functions/lib/tags.ts';
import { fleetsWith } from '../support/fleets.ts';
import { allows, PolicyStatement, type Request } from '../support/policies.ts';
import { SynthesisedTemplate } from './template.ts';

/** The policies that docs/security.md asks its reader to add, as they stand there. */
const published = [...readFileSync('docs/security.md', 'utf8').matchAll(/```json\n(.*?)```/gs)].map(
  ([, json = '']) => JSON.parse(json),
);

const template = SynthesisedTemplate.of(fleetsWith({ linux: { logs: 'true' }, spot: { spot: '{}' } }));

describe('the service control policy for the tags', () => {
  const { Statement } = z
    .object({ Statement: z.array(PolicyStatement) })
    .parse(published.find((policy) => 'Statement' in policy));
  const role = (name: string) => `arn:aws:iam::111122223333:role/${name}`;
  /** The functions that set tags, as the names of their roles begin. */
  const taggers = template
    .statements()
    .filter(({ actions }) => actions.includes('autoscaling:CreateOrUpdateTags'))
    .flatMap(({ roles }) => roles.map((written) => written.replace(/^Role\((.*)\)$/, '$1')));

  /** Whether the policy leaves the request to the principal's own permissions. */
  const leaves = (principal: string, tags: string[], action = 'CreateOrUpdateTags') => {
    const everything = PolicyStatement.parse({ Effect: 'Allow', Action: '*', Resource: '*' });
    const request: Request = {
      action: `autoscaling:${action}`,
      resource:
        'arn:aws:autoscaling:eu-west-1:111122223333:autoScalingGroup:0:autoScalingGroupName/circleci-runners-linux',
      context: { 'aws:PrincipalArn': principal, 'aws:TagKeys': tags },
    };
    return allows([everything, ...Statement], request);
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
      principal: role('circleci-runners-WorkflowCountUnclaimedPa-AbCdEfGhIjKl'),
      tags: [PAUSED_TAG],
      left: false,
    },
  ])('for $who says $left', ({ principal, tags, left }) => {
    expect(leaves(principal, tags)).toBe(left);
    expect(leaves(principal, tags, 'DeleteTags')).toBe(left);
  });

  it('leaves the tags to each function that sets some', () => {
    expect(taggers.toSorted()).toEqual([
      'GroupSettingsPartsRole',
      'WorkflowDescribeActivitiesPartsRole',
      'WorkflowUpdateGroupPartsRole',
    ]);
    for (const tagger of taggers) {
      // CloudFormation cuts the logical id for the name of a role.
      const principal = role(`circleci-runners-${tagger.slice(0, 24)}-AbCdEfGhIjKl`);
      expect(leaves(principal, ['circleci-runners:on-demand-for'])).toBe(true);
    }
  });

  it('takes no other permission away', () => {
    expect(leaves(role('developer'), [], 'DescribeTags')).toBe(true);
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
