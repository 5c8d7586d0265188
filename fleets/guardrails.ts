import * as z from 'zod';
import { CIRCLECI_CLOUD } from '../functions/lib/circleci-url.ts';
import { SERVER_URL, SERVER_URL_FORM } from './settings/circleci-url.ts';
import { cidr, proxyUrl, RANGE, withoutSlash } from './settings/network.ts';
import { dollars, text, wholeNumber } from './settings/parts.ts';
import { policyArn, statements } from './settings/rights.ts';

/**
 * The definition of `guardrails.yaml`: what `fleets.yaml` may ask for. It has another owner than `fleets.yaml`, so that a
 * change to `fleets.yaml` alone cannot take a secret or spend without a limit. ceilings.ts compares the two files.
 */

const TYPE_FORM = 'an instance type or a pattern, such as m7i.large, m7i.* or c*';
const typePattern = () => text(TYPE_FORM, /^[a-z0-9.*-]{1,30}$/);

const allowed = (otherwise: boolean, what: string) =>
  z.boolean({ error: 'must be true or false' }).default(otherwise).describe(what);

/** What instance types may be at most, if they are chosen by their attributes. */
const LargestRequirements = z.strictObject(
  {
    vCpus: wholeNumber('the largest `vCpus.max`', 1, 1_024).describe('Largest `vCpus.max`.'),
    memoryGiB: wholeNumber('the largest `memoryGiB.max`', 1, 32_768).describe('Largest `memoryGiB.max`.'),
  },
  { error: 'must be a map of vCpus and memoryGiB, or false' },
);

const DEFAULT_REQUIREMENTS = { vCpus: 64, memoryGiB: 256 };

const counted = (what: string, otherwise: number) => wholeNumber(what, 1, 1_000_000).default(otherwise);

export const Guardrails = z
  .strictObject(
    {
      instanceTypes: z
        .array(typePattern(), {
          error: 'must be a list of instance types and patterns such as [m7i.*, c7i.*]',
        })
        .min(1, { error: 'must name at least one instance type or pattern' })
        .optional()
        .describe(
          'Instance types that fleets may have. `*` stands for any text. Default: `[c*, m*, r*, t2.*, t3*, t4g.*]`, the general families.',
        ),
      instanceRequirements: z
        .union([z.literal(false), LargestRequirements], {
          error: 'must be a map of vCpus and memoryGiB, or false',
        })
        .optional()
        .describe(
          `Largest \`vCpus.max\` and \`memoryGiB.max\` of \`instanceRequirements\`, which must then have both, or \`false\`: fleets may name types only. Default: \`false\` if \`instanceTypes\` is set here, because EC2 may choose a type that the list does not have; otherwise \`{vCpus: ${DEFAULT_REQUIREMENTS.vCpus}, memoryGiB: ${DEFAULT_REQUIREMENTS.memoryGiB}}\`.`,
        ),
      maxInstances: counted('the maximum number of instances of a fleet', 500).describe(
        'Largest `maxReplicas` and `minReplicas` of each fleet, those of schedules included.',
      ),
      maxHourlyCost: dollars('the maximum cost of the instances of a fleet')
        .default(100)
        .describe(
          'Most that the instances of each fleet may cost at their maximum size, in US dollars an hour. A root volume counts with what it costs in us-east-1 beyond the default one, also in a warm pool. Traffic and the CPU credits of t types do not count.',
        ),
      maxInstancesOfAllFleets: counted('the maximum number of instances of all fleets', 1_000).describe(
        'Most instances of all fleets of the app together: those of the file, and deployed ones that the file no longer has, if the synthesis can see the account.',
      ),
      maxHourlyCostOfAllFleets: dollars('the maximum cost of the instances of all fleets')
        .default(200)
        .describe('Most that the instances of all these fleets may cost together, in US dollars an hour.'),
      hourlyPrices: z
        .record(typePattern(), dollars('the On-Demand price of an instance'), {
          error: 'must be a map of instance types or patterns to their prices',
        })
        .default({})
        .describe(
          'On-Demand prices in US dollars an hour, by instance type or pattern, for the ceilings of cost. The first pattern that fits counts. Without one, the list prices of us-east-1 count. A type of the families c, m, r and t without a list price counts with 0.12 dollars for each vCPU. A fleet with `instanceRequirements` counts with the most vCPUs, at 0.15 dollars each, or the most GiB of memory, at 0.012 dollars each, whichever is more. `hourlyPrice` of `fleets.yaml` does not count, because that file has another owner.',
        ),
      circleciUrls: z
        .array(text(SERVER_URL_FORM, SERVER_URL), { error: 'must be a list of URLs' })
        .default([CIRCLECI_CLOUD])
        .describe(
          'URLs that `circleciUrl` may be. Runners send the resource class token there. A URL of this machine, for tests, is always allowed.',
        ),
      secretPrefixes: z
        .array(
          text(
            'the beginning of names of secrets that ends with a slash, such as acme/circleci/',
            /^[A-Za-z0-9_+=.@-][A-Za-z0-9/_+=.@-]{0,254}\/$/,
          ),
          { error: 'must be a list of beginnings of names of secrets' },
        )
        .optional()
        .describe(
          'What the names of `scalerSecretName` and `runnerSecretName` may begin with. Default: the name of the stack and a slash, `circleci-runners/`.',
        ),
      encryptionKeys: z
        .array(
          text(
            'the ARN of a KMS key or a pattern with an account, such as arn:aws:kms:eu-west-1:111122223333:key/*',
            /^arn:aws[a-z-]*:kms:(\*|[a-z0-9-]+):\d{12}:key\/(\*|[0-9a-z-]{32,40})$/,
          ),
          { error: 'must be a list of ARNs of KMS keys' },
        )
        .default([])
        .describe(
          'KMS keys that `encryptionKey` may be. `*` stands for any text in the place of the Region and of the id. Whoever owns a key can make what it encrypts unreadable, so the account must be named.',
        ),
      scalerProxies: z
        .array(proxyUrl({ readers: 'read the functions', users: 'functions' }), {
          error: 'must be a list of URLs of proxies',
        })
        .default([])
        .describe(
          'Proxies that `scaler.httpProxy` may be. A proxy whose authority `scaler.caCertificates` trusts can read the personal API token, and both are in one file.',
        ),
      networks: z
        .array(
          text(
            'default-vpc, new-vpc, the id of a VPC or subnet, or vpc-* or subnet-* for any',
            /^(default-vpc|new-vpc|(vpc|subnet)-([0-9a-f]{8}|[0-9a-f]{17}|\*))$/,
          ),
          { error: 'must be a list of networks' },
        )
        .min(1, { error: 'must have at least one network' })
        .default(['default-vpc', 'new-vpc', 'vpc-*', 'subnet-*'])
        .describe(
          'Networks that fleets and `scaler` may have: `default-vpc`, `new-vpc`, ids of VPCs and of subnets. A fleet may have a VPC of yours if the VPC or each of its subnets is listed. If the fleet sets `securityGroupIds`, each subnet must be, because nothing else shows at the deployment that it is a subnet of that VPC. The same is true of `scaler`.',
        ),
      sshRanges: z
        .array(cidr(), { error: `must be a list of ranges, each ${RANGE}` })
        .optional()
        .describe(
          'Ranges in which `sshCidr` and the `cidr` of `sshRerun` must lie; `[]` allows neither. Default: any private range, and public ranges of at most /16 (IPv4) or /32 (IPv6).',
        ),
      instancePolicies: z
        .array(policyArn(true), { error: 'must be a list of ARNs of managed policies' })
        .default([])
        .describe(
          'Managed policies that `roles.instance` may name, as ARNs in which `*` stands for any text. Whoever can change `fleets.yaml` or an `install` script then has what they allow.',
        ),
      installPermissions: statements()
        .default([])
        .describe(
          'What `installPermissions` may allow, as a list of `actions` and `resources`, in which `*` stands for any text. Each action on each resource that a fleet names must be in one entry. Whoever can change `fleets.yaml` or an `install` script then has these rights.',
        ),
      allowInstanceMetadata: allowed(false, 'Whether `allowInstanceMetadata` may be true.'),
      allowDocker: allowed(true, 'Whether `docker` may be true.'),
      allowSessionManager: allowed(
        true,
        'Whether `sessionManager` may be true, which gives more permissions to the role of the instances.',
      ),
    },
    { error: 'must be a map of ceilings' },
  )
  .describe(
    'What `fleets.yaml` may ask for. Every ceiling has a default, which also holds without this file.',
  );

/** The ceilings of a deployment, with the defaults that depend on others. */
export type Ceilings = Required<
  Omit<z.infer<typeof Guardrails>, 'instanceTypes' | 'instanceRequirements' | 'secretPrefixes' | 'sshRanges'>
> & {
  instanceTypes: string[];
  instanceRequirements: false | { vCpus: number; memoryGiB: number };
  secretPrefixes: string[];
  /** `undefined` for the default, which is no list of ranges. */
  sshRanges: string[] | undefined;
};

const GENERAL_FAMILIES = ['c*', 'm*', 'r*', 't2.*', 't3*', 't4g.*'];

/** Completes what a file says, for a stack. */
export function ceilingsOf(given: z.infer<typeof Guardrails>, stack: string): Ceilings {
  const { instanceTypes, instanceRequirements, secretPrefixes, sshRanges, ...others } = given;
  return {
    ...others,
    instanceTypes: instanceTypes ?? GENERAL_FAMILIES,
    instanceRequirements:
      instanceRequirements ?? (instanceTypes === undefined ? DEFAULT_REQUIREMENTS : false),
    secretPrefixes: secretPrefixes ?? [`${stack}/`],
    sshRanges,
    scalerProxies: others.scalerProxies.map(withoutSlash),
  };
}
