import { Aws, Stack } from 'aws-cdk-lib';
import { ManagedPolicy, PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { LogGroup } from 'aws-cdk-lib/aws-logs';
import { describe, expect, it } from 'vitest';
import { refuseLargePolicies } from '../../infra/role-limits.ts';
import { fleetsWith } from '../support/fleets.ts';
import { appOf, emptyApp } from './template.ts';

/** The longest name of a secret. */
const secretNamed = (index: number) => `circleci-runners/${String(index).padStart(495, 's')}`;

/** Fleets with secrets of their own, and one whose role has as many managed policies as the settings allow. */
function synthesised(secrets: number) {
  const fleets = fleetsWith({
    linux: {},
    ...Object.fromEntries(
      Array.from({ length: secrets }, (_, index) => [
        `own-${index}`,
        { scalerSecretName: secretNamed(index) },
      ]),
    ),
  });
  const [linux, ...others] = fleets;
  if (linux === undefined) throw new Error('there is no fleet');
  const policies = Array.from(
    { length: 10 },
    (_, index) => `arn:aws:iam::111122223333:policy/policy-${index}`,
  );
  return appOf([{ ...linux, roles: { instance: policies } }, ...others]).app.synth();
}

describe('the policies of a role', () => {
  it('fit as long as IAM takes them, with ten managed policies', () => {
    expect(() => synthesised(8)).not.toThrow();
  });

  it('are refused when they do not fit: the synthesis says which role it is, and what to do', () => {
    expect(() => synthesised(20)).toThrow(
      /The policy of the role circleci-runners-linux\/Fleet\/InstanceRole would have about 1\d,\d{3} characters, and IAM allows 10,240\. The names of secrets of your own \(scalerSecretName, runnerSecretName\) are in it: let fleets share secrets, or give secrets shorter names$/m,
    );
  });

  it.each([
    { case: 'as many managed policies as IAM allows', named: 10, statements: 5, said: undefined },
    {
      case: 'one more, which the CDK makes',
      named: 10,
      statements: 12,
      said: 'The role Stack/Role would have 11 managed policies, and IAM allows 10. 1 of them hold what does not fit into its own policy.',
    },
    { case: 'ten which the CDK makes', named: 0, statements: 40, said: undefined },
    {
      case: 'more which the CDK makes',
      named: 0,
      statements: 80,
      said: 'shorter names',
    },
  ])('has $case', ({ named, statements, said }) => {
    const app = emptyApp();
    const stack = new Stack(app, 'Stack');
    const role = new Role(stack, 'Role', { assumedBy: new ServicePrincipal('ec2.amazonaws.com') });
    for (let index = 0; index < named; index += 1)
      role.addManagedPolicy(
        ManagedPolicy.fromManagedPolicyArn(stack, `Named${index}`, `arn:aws:iam::aws:policy/policy-${index}`),
      );
    // Names without references, whose lengths the CDK knows.
    for (let index = 0; index < statements; index += 1)
      role.addToPolicy(
        new PolicyStatement({
          actions: [`secretsmanager:GetSecretValue${index}`],
          resources: [`arn:aws:secretsmanager:eu-west-1:111122223333:secret:${'s'.repeat(900)}${index}`],
        }),
      );
    refuseLargePolicies(stack);
    if (said === undefined) expect(() => app.synth()).not.toThrow();
    else expect(() => app.synth()).toThrow(said);
  });

  it.each([
    { characters: 10_241, fits: false },
    { characters: 10_100, fits: true },
  ])('has $characters characters with the ARN of a resource: fits is $fits', ({ characters, fits }) => {
    const app = emptyApp();
    const stack = new Stack(app, 'Stack');
    const role = new Role(stack, 'Role', { assumedBy: new ServicePrincipal('lambda.amazonaws.com') });
    const { logGroupArn } = new LogGroup(stack, 'Log');
    const longest = `arn:aws-us-gov:logs:ap-northeast-1:111122223333:log-group:/aws/lambda/${'f'.repeat(64)}:*`;
    const allowed = (Action: string, Resource: string) => ({ Action, Effect: 'Allow', Resource });
    const secretIn = (partition: string, length: number) => `arn:${partition}:s:::${'s'.repeat(length)}`;
    // The CDK takes each of these for 150 characters, so it makes no managed policy of them.
    const lengths = Array.from({ length: 15 }, (_, index) => 540 + index);
    const statements = (length: number[]) =>
      length.map((each) => allowed(`s:A${each}`, secretIn('aws-us-gov', each)));
    const lengthOf = (length: number[]) =>
      JSON.stringify({
        Statement: [allowed('logs:PutLogEvents', longest), ...statements(length)],
        Version: '2012-10-17',
      }).length;
    const last = characters - lengthOf([...lengths, 100]) + 100;
    role.addToPolicy(new PolicyStatement({ actions: ['logs:PutLogEvents'], resources: [logGroupArn] }));
    for (const length of [...lengths, last])
      role.addToPolicy(
        new PolicyStatement({ actions: [`s:A${length}`], resources: [secretIn(Aws.PARTITION, length)] }),
      );
    expect(lengthOf([...lengths, last])).toBe(characters);
    refuseLargePolicies(stack);
    if (fits) expect(() => app.synth()).not.toThrow();
    else
      expect(() => app.synth()).toThrow(
        /The policy of the role Stack\/Role would have about 10,2\d\d characters/,
      );
  });
});
