import * as z from 'zod';
import { dollars, text, wholeNumber } from './parts.ts';
import { Scaler } from './scaler.ts';

const MOST_TASKS = 100_000;

/**
 * Each poll reads the groups of all fleets that share a plan with one call:
 * https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DescribeAutoScalingGroups.html
 */
const MOST_SHARING = 100;

/** Fleets whose CircleCI organisations share a plan. */
const Concurrency = z.strictObject(
  {
    limit: wholeNumber('the number of tasks that may run at the same time', 1, MOST_TASKS).describe(
      'Maximum number of tasks that all these fleets run at the same time.',
    ),
    fleets: z
      .array(z.string({ error: 'must be the name of a fleet' }), { error: 'must be a list of fleets' })
      .min(1, { error: 'must have at least one fleet' })
      .optional()
      .describe('Names of the fleets. Default: all fleets of the file.'),
  },
  { error: 'must be a map with a limit and fleets' },
);

/** The settings at the top of fleets.yaml, beside the fleets. No fleet can have their names. */
export const TOP_SETTINGS = {
  encryptionKey: text(
    'the ARN of a KMS key, such as arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab',
    // No alias: CloudWatch Logs accepts none, and policies cannot name one.
    /^arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key\/(mrk-[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$/,
  )
    .optional()
    .describe(
      "ARN of a KMS key of yours, in the stack's Region, that encrypts the secrets, the alarm topic, the dead-letter queue, the logs and the root volumes. [Its policy](security.md#a-key-of-your-own) must allow that before you deploy, and `encryptionKeys` of [guardrails.yaml](guardrails.md) must list it. Default: keys of AWS. A fleet cannot have this name.",
    ),
  scaler: Scaler.optional().describe(
    'Where the functions of the workflows run, and whom they trust, for a CircleCI server of a private network. `vpcId` and `subnetIds`, and optionally `securityGroupIds`: the VPC; [which endpoints it then needs](private-network.md#endpoints), and `networks` of [guardrails.yaml](guardrails.md) must allow it. `httpProxy` and `noProxy`: [the proxy](private-network.md#a-proxy) by which they reach CircleCI and AWS, which `scalerProxies` of the guardrails must list. `caCertificates`: the path of a PEM file with [authorities of your own](private-network.md#a-certificate-authority-of-your-own). Default: no VPC of yours, and the public authorities. A fleet cannot have this name.',
  ),
  maxHourlyCost: dollars('the maximum cost of the instances of all fleets')
    .optional()
    .describe(
      'Maximum cost of the instances of all fleets together in US dollars an hour. The deployment is refused if the fleets could cost more at their maximum sizes. A fleet cannot have this name.',
    ),
  concurrency: z
    .union([Concurrency, z.array(Concurrency).min(1)], {
      error: 'must be a map with a limit and fleets, or a list of such maps',
    })
    .optional()
    .describe(
      "Concurrency of your CircleCI plan: `limit`, how many tasks may run at the same time, and `fleets`, the fleets that share it (default: all). With several plans, a list. Fleets launch nothing for tasks beyond it. [The plan's concurrency](how-it-decides.md#the-plans-concurrency). A fleet cannot have this name.",
    ),
};

/** A plan's concurrency, and the fleets that share it, in the order of the file. */
export interface PlanConcurrency {
  limit: number;
  fleets: string[];
}

/** The plans of a file. */
export function plansOf(
  concurrency: z.infer<typeof TOP_SETTINGS.concurrency>,
  names: readonly string[],
): PlanConcurrency[] {
  if (concurrency === undefined) return [];
  const plans = Array.isArray(concurrency) ? concurrency : [concurrency];
  return plans.map(({ limit, fleets = names }) => ({
    limit,
    fleets: names.filter((name) => fleets.includes(name)),
  }));
}

/** What is wrong with the names of fleets in the plans, with the path of each. */
export function faultsOfPlans(
  concurrency: z.infer<typeof TOP_SETTINGS.concurrency>,
  names: readonly string[],
): { path: (string | number)[]; message: string }[] {
  if (concurrency === undefined) return [];
  const faults: { path: (string | number)[]; message: string }[] = [];
  const seen = new Set<string>();
  const plans = Array.isArray(concurrency) ? concurrency : [concurrency];
  plans.forEach(({ fleets }, plan) => {
    const inPlan = Array.isArray(concurrency) ? ['concurrency', plan] : ['concurrency'];
    const { length } = fleets ?? names;
    if (length > MOST_SHARING)
      faults.push({
        path: inPlan,
        message: `must be of at most ${MOST_SHARING} fleets, got ${length}: name those that share the plan in fleets`,
      });
    (fleets ?? names).forEach((name, index) => {
      const path = fleets === undefined ? inPlan : [...inPlan, 'fleets', index];
      if (!names.includes(name))
        faults.push({
          path,
          message: `must be the name of a fleet (${names.join(', ')}), got "${name}"`,
        });
      else if (seen.has(name))
        faults.push({ path, message: `must have each fleet once: ${name} is there already` });
      seen.add(name);
    });
  });
  return faults;
}
