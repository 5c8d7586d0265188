import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App, type Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import * as z from 'zod';
import { checkFleets } from '../fleets/load.ts';
import { STACK_NAME } from '../fleets/names.ts';
import { stacksOf } from '../infra/stacks.ts';

/** Writes docs/permissions.md from the templates of an app with one fleet. `npm run generate` starts it. */

const OneOrMore = z.union([z.unknown().array(), z.unknown()]).transform((value) => [value].flat());
const Statement = z.object({
  Action: OneOrMore,
  Resource: OneOrMore,
  Condition: z.record(z.string(), z.record(z.string(), z.unknown())).default({}),
});
const Role = z.object({
  AssumeRolePolicyDocument: z.object({
    Statement: z.array(z.object({ Principal: z.object({ Service: z.unknown() }) })),
  }),
  ManagedPolicyArns: z.array(z.unknown()).default([]),
});
const Policy = z.object({
  Roles: z.array(z.object({ Ref: z.string() })),
  PolicyDocument: z.object({ Statement: z.array(Statement) }),
});
const Resources = z.record(z.string(), z.object({ Type: z.string(), Properties: z.unknown() }));

/** What a role is for, by the end of its logical id. */
const PURPOSES: [end: string, title: string, why: string][] = [
  [
    'ReadSettingsPartsRole',
    'Read Settings',
    'reads the settings of the fleet, and checks that its scaler secret is complete',
  ],
  [
    'CountUnclaimedPartsRole',
    'Count Unclaimed',
    'counts waiting tasks at CircleCI with the token in the scaler secret',
  ],
  [
    'CountRunningPartsRole',
    'Count Running',
    'counts running tasks at CircleCI with the token in the scaler secret',
  ],
  ['DescribeGroupPartsRole', 'Describe Group', 'reads the Auto Scaling group'],
  [
    'DescribeActivitiesPartsRole',
    'Describe Activities',
    'reads the launches of the group, and records how far it has counted them',
  ],
  ['ComputeCapacityPartsRole', 'Compute Capacity', 'decides'],
  ['UpdateGroupPartsRole', 'Update Group', 'writes the desired capacity, and suspends launches that fail'],
  ['FindLeftoversPartsRole', 'Find Leftovers', 'finds what a fleet has left behind'],
  [
    'RepairLeftoversPartsRole',
    'Repair Leftovers',
    'ends what cannot be running a job, in fleets with `reconcile: repair`. Without such a fleet, as here, it only reads',
  ],
  [
    'GroupSettingsPartsRole',
    'Group settings',
    'protects instances from scale-in during deployments, and guards the deletion of a fleet',
  ],
  [
    'WorkflowStateMachineRole',
    'Workflow',
    'invokes the functions, counts failures, sends messages about failing launches',
  ],
  [
    'ReconcileStateMachineRole',
    'Reconcile workflow',
    'invokes the two functions that find and repair leftovers',
  ],
  ['SchedulerRole', 'Scheduler', 'starts the executions'],
  [
    'InstanceRole',
    'Instance',
    'is the role of the instances of one fleet: it reads the token of its class, completes its launch and leaves its group. A fleet adds what its `install` script may do by [`roles` and `installPermissions`](instance-life.md#what-an-install-script-may-do)',
  ],
];

interface RoleOf {
  stack: string;
  id: string;
  role: z.infer<typeof Role>;
  statements: z.infer<typeof Statement>[];
}

/** Every role of the stacks with its statements. */
function rolesOf(stacks: Stack[]): RoleOf[] {
  return stacks.flatMap((stack) => {
    const resources = Resources.parse(Template.fromStack(stack).toJSON().Resources);
    const policies = Object.values(resources)
      .filter(({ Type }) => Type === 'AWS::IAM::Policy')
      .map(({ Properties }) => Policy.parse(Properties));
    return Object.entries(resources)
      .filter(([, { Type }]) => Type === 'AWS::IAM::Role')
      .map(([id, { Properties }]) => ({
        stack: stack.stackName,
        id,
        role: Role.parse(Properties),
        statements: policies
          .filter(({ Roles }) => Roles.some(({ Ref }) => Ref === id))
          .flatMap(({ PolicyDocument }) => PolicyDocument.Statement),
      }));
  });
}

/** A value of a template as a reader writes it: what CloudFormation fills in is in capitals. */
function written(value: unknown): string {
  if (typeof value === 'string') return value;
  const {
    Ref,
    'Fn::GetAtt': attribute,
    'Fn::Join': joined,
    'Fn::Sub': text,
  } = z
    .looseObject({
      Ref: z.string().optional(),
      'Fn::GetAtt': z.tuple([z.string(), z.string()]).optional(),
      'Fn::Join': z.tuple([z.string(), z.array(z.unknown())]).optional(),
      'Fn::Sub': z.string().optional(),
    })
    .parse(value);
  if (joined !== undefined) return joined[1].map(written).join(joined[0]);
  if (text !== undefined) return text.replaceAll(/\$\{AWS::(\w+)\}/g, (_, name: string) => pseudo(name));
  if (attribute !== undefined) return `(${attribute[0].replace(/[0-9A-F]{8}$/, '')})`;
  if (Ref?.startsWith('AWS::')) return pseudo(Ref.slice('AWS::'.length));
  if (Ref !== undefined) return `(${Ref.replace(/[0-9A-F]{8}$/, '')})`;
  return JSON.stringify(value);
}

const pseudo = (name: string) =>
  ({ Region: 'REGION', AccountId: 'ACCOUNT', Partition: 'aws', URLSuffix: 'amazonaws.com' })[name] ?? name;

const code = (text: string) => `\`${text.replace('arn:aws:', '')}\``;

function table({ role, statements }: RoleOf): string[] {
  const services = role.AssumeRolePolicyDocument.Statement.map(({ Principal }) => written(Principal.Service));
  const managed = role.ManagedPolicyArns.map((arn) => written(arn).replace(/^.*\//, ''));
  return [
    `Assumed by \`${[...new Set(services)].join('`, `')}\`.${managed.length === 0 ? '' : ` AWS's policies: \`${managed.join('`, `')}\`.`}`,
    '',
    '| may | on | if |',
    '|---|---|---|',
    ...statements.map(({ Action, Resource, Condition }) => {
      const conditions = Object.entries(Condition).flatMap(([operator, keys]) =>
        Object.entries(keys).map(
          ([key, wanted]) =>
            `\`${key}\` ${operator} ${[wanted]
              .flat()
              .map((each) => code(written(each)))
              .join(', ')}`,
        ),
      );
      const cells = [
        Action.map((each) => code(written(each))),
        Resource.map((each) => code(written(each))),
        conditions,
      ];
      return `| ${cells.map((cell) => cell.join('<br>')).join(' | ')} |`;
    }),
    '',
  ];
}

/** The page. */
export function permissions(): string {
  const outdir = mkdtempSync(join(tmpdir(), 'permissions-'));
  const app = new App({
    outdir,
    context: { 'aws:cdk:bundling-stacks': [] },
    builtinCloudFormationValidation: false,
  });
  const fleet = { resourceClass: 'acme/linux', instanceTypes: ['m7g.large'], maxReplicas: 20 };
  const { shared, fleets } = stacksOf(app, STACK_NAME, checkFleets({ linux: fleet }, 'fleets.yaml'));
  const roles = rolesOf([shared, ...fleets]);
  rmSync(outdir, { recursive: true });
  const sections = PURPOSES.flatMap(([end, title, why]) => {
    const found = roles.filter(({ id }) => id.replace(/[0-9A-F]{8}$/, '').endsWith(end));
    return found.length === 0 ? [] : [`### ${title}`, '', `This role ${why}.`, '', ...found.flatMap(table)];
  });
  const named = roles.filter(({ id }) =>
    PURPOSES.some(([end]) => id.replace(/[0-9A-F]{8}$/, '').endsWith(end)),
  );
  const others = roles.filter((role) => !named.includes(role));
  if (others.length > 0)
    throw new Error(
      `tools/permissions.ts must say what these roles are for: ${others.map(({ id }) => id).join(', ')}`,
    );
  return `${[...HEAD, ...sections].join('\n').trimEnd()}\n`;
}

const HEAD = [
  '# Permissions',
  '',
  '`npm run generate` writes this page from the templates of an app with one fleet, `linux`, that has the fewest settings.',
  '`REGION` and `ACCOUNT` are those of the deployment; a name in parentheses is a resource of the same stack.',
  '[Security](security.md) says what somebody with such rights can and cannot do.',
  '',
  '## Who needs which rights',
  '',
  '| who | needs |',
  '|---|---|',
  '| whoever runs `npx cdk bootstrap` | an administrator, once for each account and region |',
  '| whoever deploys | `sts:AssumeRole` on the roles `cdk-*` of the bootstrap. CloudFormation then acts with the rights of its execution role. With `autoscaling:DescribeAutoScalingGroups` and `ssm:GetParameters`, the synthesis also compares the file with what is deployed |',
  '| whoever stores tokens | `secretsmanager:PutSecretValue` on the two secrets of the fleet, `cloudformation:DescribeStacks` and `autoscaling:DescribeAutoScalingGroups` |',
  "| whoever reads: `status`, `explain`, `doctor`, `reconcile` | AWS's policy `ReadOnlyAccess` is enough, and `secretsmanager:GetSecretValue` on scaler secrets for what asks CircleCI: `reconcile`, one check of `doctor`, and what each runner does in `status`. Of a policy of your own, `doctor` also needs `iam:GetPolicy`, with which it looks for the managed policies in `roles` |",
  '| whoever pauses, drains, recycles | the same, `autoscaling:CreateOrUpdateTags` and `ec2:CreateTags` |',
  '| `npm run execute` | the same, `states:StartSyncExecution` |',
  '',
  '## Boundaries, bootstrap and partitions',
  '',
  'All that CDK users set for an app holds for its stacks:',
  '',
  '- **A permissions boundary**: `"@aws-cdk/core:permissionsBoundary": { "name": "developers" }` in the context of `cdk.json` gives every',
  '  role that policy as its boundary. It must allow what the tables below list.',
  '- **A bootstrap of your own**: `@aws-cdk/core:bootstrapQualifier` in that context, or the `defaultStackSynthesizer` of',
  '  [an app of yours](library.md). `npm run doctor` reads the qualifier from `cdk.json`.',
  '- **Partitions**: the templates are for `aws`, `aws-us-gov` and `aws-cn`.',
  '',
  'Shown by `test/infra/partitions.test.ts`.',
  '',
  '## What a security review asks',
  '',
  '| question | answer |',
  '|---|---|',
  '| Which secrets are there, and who reads them? | two tokens, in Secrets Manager: the functions that count read one, instances of the class the other. [Neither is in a template, a log or the state of an execution](security.md#somebody-who-can-read-logs) |',
  '| Can our own key encrypt them? | [Yes](security.md#a-key-of-your-own): secrets, logs, topic, queue and volumes |',
  '| What can be reached from outside? | nothing: no public endpoint, and [security groups that let nobody in](security.md#a-job-on-another-instance), unless `sshCidr` or `sshRerun` is set |',
  '| Where do functions and instances send? | CircleCI, AWS, and what jobs and your `install` script need. [Private networks](private-network.md) says how to restrict that. [Nothing is sent to us](faq.md#does-it-send-data-to-anybody) |',
  '| What can a job do in AWS? | [nothing](security.md#a-job), unless it has `sudo` or Docker, or you [give it a role by OIDC](jobs.md#rights-in-aws) |',
  '| Why is an action allowed on `*`? | IAM has no resources for it, or a name is not known before a fleet is deployed. Each wildcard has its reason in the source, and a test fails without one |',
  '| What if a role, a token or the repository is taken over? | [Security](security.md) has a section for each, with the tests, and [what nothing prevents yet](security.md#what-nothing-prevents-yet) |',
  '| What do scanners find? | [cdk-nag, Checkov and cfn-guard](security.md#what-other-checkers-say) |',
  '| Which packages does it contain? | `npm run --silent sbom` lists them in CycloneDX; all are pinned, with checksums |',
  '| Who fixes vulnerabilities? | [SECURITY.md](../SECURITY.md) says how to report one, and how soon packages are updated |',
  '',
  '## What the deployed roles may do',
  '',
];
