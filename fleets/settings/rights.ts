import * as z from 'zod';
import { eachOnce, isSet, text } from './parts.ts';

/** What the role of the instances may do beside what every instance needs. It is for `install` scripts. */

/** https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html: managed policies of a role */
const MOST_POLICIES = 10;

/**
 * Characters of all statements as JSON. A role's own policies may have 10,240:
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
 */
const MOST_CHARACTERS = 4_000;

/** Each part of a partition's name. No `?`: a ceiling could not say whether it covers it. */
const PARTITION = 'arn:aws[a-z-]*';

const POLICY_FORM =
  'the ARN of a managed policy, such as arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess or arn:aws:iam::111122223333:policy/artifacts';

const ACTION_FORM = 'an action of AWS, such as s3:GetObject';

const RESOURCE_FORM =
  'an ARN, in which * stands for any text, such as arn:aws:s3:::acme-artifacts/*, or "*" for actions without resources';

/** The ARN of a managed policy, or a pattern of such ARNs. */
export const policyArn = (pattern: boolean) =>
  text(
    pattern ? `${POLICY_FORM}, in which * stands for any text` : POLICY_FORM,
    new RegExp(`^${PARTITION}:iam::(aws|\\d{12}):policy/[A-Za-z0-9_+=,.@/${pattern ? '*' : ''}-]{1,512}$`),
  );

/** Statements of a policy that allow actions on resources. */
export const statements = () =>
  z
    .array(
      z.strictObject(
        {
          actions: z
            .array(text(ACTION_FORM, /^[a-z0-9-]{1,64}:[A-Za-z0-9*]{1,128}$/), {
              error: 'must be a list of actions of AWS',
            })
            .min(1, { error: 'must have at least one action' })
            .describe('Actions of AWS, such as `s3:GetObject`. `*` stands for any text after the colon.'),
          resources: z
            .array(
              text(
                RESOURCE_FORM,
                new RegExp(
                  `^(\\*|${PARTITION}:[a-z0-9-]{1,64}:[a-z0-9*-]*:(\\d{12}|\\*)?:[A-Za-z0-9_+=,.@:/*-]{1,1000})$`,
                ),
              ),
              { error: 'must be a list of ARNs' },
            )
            .min(1, { error: 'must have at least one resource' })
            .describe('ARNs of resources, in which `*` stands for any text, or `"*"`.'),
        },
        { error: 'must be a map of actions and resources' },
      ),
      { error: 'must be a list of maps of actions and resources' },
    )
    .refine((given) => JSON.stringify(given).length <= MOST_CHARACTERS, {
      error: `must be at most ${MOST_CHARACTERS} characters together, because IAM limits the policies of a role: use patterns, or a managed policy in roles.instance`,
    });

/** What the role of the instances may do beside what every instance needs. */
export interface InstanceRights {
  roles?: { instance: string[] } | undefined;
  installPermissions?: z.infer<ReturnType<typeof statements>> | undefined;
}

/** The ARNs that these rights name, each with the path of its setting in a fleet. */
export const arnsOf = ({ roles, installPermissions = [] }: InstanceRights) => [
  ...(roles?.instance ?? []).map((arn) => ({ setting: 'roles.instance', arn })),
  ...installPermissions.flatMap(({ resources }) =>
    resources.filter((arn) => arn !== '*').map((arn) => ({ setting: 'installPermissions', arn })),
  ),
];

const JOBS_CANNOT =
  'Jobs cannot use them, because they cannot reach the metadata, unless `allowInstanceMetadata` is `true`. A fleet with `docker` must have both or neither.';

export const RIGHTS_SETTINGS = {
  roles: z
    .strictObject(
      {
        instance: z
          .array(policyArn(false), { error: 'must be a list of ARNs of managed policies' })
          .min(1, { error: 'must have at least one policy, or leave out roles' })
          .max(MOST_POLICIES, { error: `must be at most ${MOST_POLICIES} policies` })
          .refine(isSet, eachOnce('must have each policy once'))
          .meta({ uniqueItems: true })
          .describe('ARNs of managed policies for the role of the instances.'),
      },
      {
        error:
          'must be a map of instance, such as { instance: [arn:aws:iam::111122223333:policy/artifacts] }',
      },
    )
    .optional()
    .describe(
      `\`instance\`: managed policies that the role of the instances has beside its own permissions, for [the \`install\` script](instance-life.md#what-an-install-script-may-do). ${JOBS_CANNOT} [Guardrails](guardrails.md) must list each policy.`,
    ),
  installPermissions: statements()
    .optional()
    .describe(
      `What [the \`install\` script](instance-life.md#what-an-install-script-may-do) may do in AWS, as a list of \`actions\` and \`resources\`, such as \`[{ actions: [s3:GetObject], resources: ["arn:aws:s3:::acme-artifacts/*"] }]\`. ${JOBS_CANNOT} [Guardrails](guardrails.md) must list it.`,
    ),
};
