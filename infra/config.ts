import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { InstanceArchitecture, InstanceType } from 'aws-cdk-lib/aws-ec2';
import { closest } from 'fastest-levenshtein';
import { parse as parseYaml } from 'yaml';
import * as z from 'zod';

/**
 * `fleets.yaml`, the one file an adopter edits. This definition parses it, generates `fleets.schema.json` for
 * editors, and its descriptions are the reference in docs/configuration.md. Every fault is reported at once,
 * by key path, with what was given and what would do.
 */

const wholeNumber = (what: string, least: number, most: number) =>
  z
    .int({ error: `must be ${what}, a whole number from ${least} to ${most}` })
    .min(least, { error: `must be ${what}, a whole number from ${least} to ${most}` })
    .max(most, { error: `must be ${what}, a whole number from ${least} to ${most}` });

const text = (what: string, pattern: RegExp) =>
  z.string({ error: `must be ${what}` }).regex(pattern, { error: `must be ${what}` });

const SECONDS = { s: 1, m: 60, h: 3_600 };

/** Seconds, or a number with its unit: `5`, `5s`, `5m`, `5h`. */
const duration = (what: string, least: number, most: number) => {
  const error = `must be ${what} from ${least} s to ${most} s: seconds, or a number with its unit such as 5s, 5m or 5h`;
  return z
    .union([z.int(), z.string().regex(/^\d+\s*[smh]$/)], { error })
    .transform((value) =>
      typeof value === 'number'
        ? value
        : Number.parseInt(value, 10) * SECONDS[value.at(-1) as keyof typeof SECONDS],
    )
    .refine((seconds) => seconds >= least && seconds <= most, { error });
};

/** https://circleci.com/docs/reference/runner-api: namespace, slash, class. */
const RESOURCE_CLASS = /^[a-z0-9_-]+\/[A-Za-z0-9:_+-]+$/;

const FLEET_NAME = /^[A-Za-z][A-Za-z0-9_-]{0,31}$/;

const INSTANCE_TYPE = /^[a-z0-9-]+\.[a-z0-9-]+$/;
const isInstanceType = (value: unknown) => typeof value === 'string' && INSTANCE_TYPE.test(value);

const Network = z.union(
  [
    z.enum(['default-vpc', 'new-vpc']),
    z.strictObject({
      vpcId: text('the id of a VPC, such as vpc-0123456789abcdef0', /^vpc-[0-9a-f]+$/),
      subnetIds: z
        .array(text('the id of a subnet, such as subnet-0123456789abcdef0', /^subnet-[0-9a-f]+$/), {
          error: 'must be a list of subnets of the VPC',
        })
        .min(1, { error: 'must name at least one subnet of the VPC' }),
    }),
  ],
  {
    error: 'must be default-vpc, new-vpc, or the vpcId and subnetIds of a VPC of yours',
  },
);

const Fleet = z
  .strictObject({
    resourceClass: text('a resource class, namespace/class', RESOURCE_CLASS).describe(
      'The CircleCI resource class whose tasks the fleet runs, as namespace/class.',
    ),
    instanceTypes: z
      .array(text('an EC2 instance type such as m7g.large', INSTANCE_TYPE), {
        error: 'must be a list of EC2 instance types such as [m7g.large]',
      })
      .min(1, { error: 'must name at least one EC2 instance type, such as [m7g.large]' })
      .describe(
        'EC2 instance types in order of preference, all of one architecture. The image follows from it.',
      ),
    minReplicas: wholeNumber('the fewest instances to keep', 0, 10_000)
      .default(0)
      .describe('The fewest instances that the group is asked to have.'),
    maxReplicas: wholeNumber('the most instances to have', 1, 10_000).describe(
      "The most instances that the group may have. CircleCI recommends the plan's concurrency limit for self-hosted runners.",
    ),
    pollInterval: duration('an interval', 1, 60)
      .default(5)
      .describe('How often CircleCI is asked for the counts: seconds, or with a unit, from 1 s to 60 s.'),
    idleTimeout: duration('a time', 10, 86_400)
      .default(300)
      .describe('How long a runner waits for a task before it leaves; longer than three poll intervals.'),
    maxRunTime: duration('a time', 60, 432_000)
      .default(18_000)
      .describe('How long one task may run before the runner ends it.'),
    circleciUrl: z
      .url({ protocol: /^https?$/, error: 'must be a URL such as https://runner.circleci.com' })
      .default('https://runner.circleci.com')
      .describe("CircleCI's runner API: the Cloud's, or https://<server-host> for CircleCI Server."),
    network: Network.default('default-vpc').describe(
      "Where instances run: the account's default VPC, one made for the fleet (public subnets, no NAT gateway), or a VPC of yours by id.",
    ),
    rootVolumeSize: wholeNumber('the size of the root volume in GiB', 8, 16_384)
      .default(30)
      .describe('Size of the encrypted gp3 root volume in GiB.'),
    keyPairName: text('the name of an EC2 key pair', /^[\x20-\x7e]{1,255}$/)
      .optional()
      .describe('An EC2 key pair for SSH. Without it no key is installed.'),
    sshCidr: text('an IPv4 range such as 203.0.113.7/32', /^(\d{1,3}\.){3}\d{1,3}\/\d{1,2}$/)
      .optional()
      .describe('From where SSH is let in. Without it no port is open, and Session Manager is the way in.'),
    install: text('the path of a script', /\S/)
      .optional()
      .describe(
        "A shell script, by its path beside this file, that installs what the fleet's jobs need. It runs as root at boot.",
      ),
    scalerSecretName: text('the name of a secret', /^[A-Za-z0-9/_+=.@-]{1,512}$/)
      .optional()
      .describe(
        'An existing secret with resource_class and circle_token. Without it the stack makes one, without a value.',
      ),
    runnerSecretName: text('the name of a secret', /^[A-Za-z0-9/_+=.@-]{1,512}$/)
      .optional()
      .describe(
        'An existing secret with the resource class token. Without it the stack makes one, without a value.',
      ),
    alarmEmail: z
      .email({ error: 'must be an e-mail address' })
      .optional()
      .describe("Who is told of the fleet's alarms. AWS asks that address to confirm first."),
    tags: z
      .record(
        z.string().min(1).max(128),
        z.string({ error: 'must be a text of at most 256 characters' }).max(256),
      )
      .default({})
      .describe("Tags of all of the fleet's resources, instances and volumes included."),
  })
  // `when`: a rule about two settings is checked as soon as these two are sound, whatever else is wrong.
  .refine((fleet) => fleet.maxReplicas >= fleet.minReplicas, {
    path: ['maxReplicas'],
    error: ({ input }) => `must be at least minReplicas (${Object(input).minReplicas})`,
    when: ({ value }) => sound(value, 'minReplicas', 'maxReplicas'),
  })
  .refine((fleet) => fleet.idleTimeout > 3 * fleet.pollInterval, {
    path: ['idleTimeout'],
    error: ({ input }) =>
      `must be longer than three times pollInterval (${Object(input).pollInterval} s), or runners leave before they are needed`,
    when: ({ value }) => sound(value, 'idleTimeout', 'pollInterval'),
  })
  .refine((fleet) => new Set(fleet.instanceTypes.map(architectureOf)).size <= 1, {
    path: ['instanceTypes'],
    error: 'must all be of one architecture, arm64 (Graviton) or x86_64, because they share one image',
    when: ({ value }) =>
      Array.isArray(Object(value).instanceTypes) && Object(value).instanceTypes.every(isInstanceType),
  });

/** Whether these settings were parsed to numbers. */
function sound(value: unknown, ...keys: string[]): boolean {
  return keys.every((key) => Number.isInteger(Object(value)[key]));
}

export const Fleets = z
  .record(z.string(), Fleet, { error: 'must be a map of fleet names to their settings' })
  .check(
    z.superRefine(
      (fleets, context) => {
        const fault = (path: string[], message: string) =>
          context.addIssue({ code: 'custom', path, message });
        if (Object.keys(fleets).length === 0) fault([], 'must have at least one fleet');
        const ids = new Map<string, string>();
        const classes = new Map<string, string>();
        for (const [name, fleet] of Object.entries(fleets)) {
          if (!FLEET_NAME.test(name)) {
            fault(
              [name],
              'must be named by a letter and at most 31 more letters, digits, hyphens and underscores',
            );
          }
          const twin = ids.get(logicalId(name));
          if (twin !== undefined)
            fault([name], `must differ from ${twin} in more than hyphens, underscores and case`);
          ids.set(logicalId(name), name);
          const resourceClass = Object(fleet).resourceClass;
          const rival = classes.get(resourceClass);
          if (rival !== undefined) {
            fault(
              [name, 'resourceClass'],
              `must differ from that of ${rival}: two fleets for one resource class would both launch for each task`,
            );
          }
          if (typeof resourceClass === 'string') classes.set(resourceClass, name);
        }
      },
      { when: ({ value }) => typeof value === 'object' && value !== null && !Array.isArray(value) },
    ),
  );

export type FleetSettings = z.infer<typeof Fleet>;

/** A fleet as the rest of the project sees it: parsed, with its defaults. */
export interface FleetConfig extends FleetSettings {
  name: string;
  /** Contents of the `install` script. */
  installScript: string | undefined;
}

/** A `fleets.yaml` that cannot be used; the message lists every fault. */
export class FleetsInvalid extends Error {
  override readonly name = 'FleetsInvalid';
}

/** `linux-large` as CloudFormation outputs spell it: `LinuxLarge`. */
export function logicalId(fleetName: string): string {
  return fleetName
    .split(/[-_]/)
    .map((part) => part.charAt(0).toUpperCase() + part.slice(1))
    .join('');
}

/** Architecture of an instance type's processor, by its family: https://docs.aws.amazon.com/ec2/latest/instancetypes/instance-type-names.html */
export function architectureOf(instanceType: string): 'arm64' | 'x86_64' {
  return new InstanceType(instanceType).architecture === InstanceArchitecture.ARM_64 ? 'arm64' : 'x86_64';
}

/**
 * Reads and checks `fleets.yaml`.
 *
 * @throws FleetsInvalid with every fault by key path: what was given, and what would do.
 */
export function loadFleets(file: string): FleetConfig[] {
  let source: string;
  try {
    source = readFileSync(file, 'utf8');
  } catch (error) {
    throw new FleetsInvalid(`${file} cannot be read: ${(error as Error).message}`);
  }
  let raw: unknown;
  try {
    raw = parseYaml(source);
  } catch (error) {
    throw new FleetsInvalid(`${file} is not YAML: ${(error as Error).message}`);
  }
  const parsed = Fleets.safeParse(raw);
  if (!parsed.success) {
    const faults = parsed.error.issues.flatMap((issue) => describeFault(issue, raw));
    throw new FleetsInvalid(
      [`${file} has ${faults.length === 1 ? 'a fault' : `${faults.length} faults`}:`, ...faults].join('\n  '),
    );
  }
  return Object.entries(parsed.data).map(([name, fleet]) => ({
    ...fleet,
    name,
    installScript: fleet.install === undefined ? undefined : readInstallScript(file, name, fleet.install),
  }));
}

function readInstallScript(file: string, fleet: string, install: string): string {
  const path = resolve(dirname(file), install);
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new FleetsInvalid(
      `${file} has a fault:\n  ${fleet}.install: must be the path of a script beside this file, got ${JSON.stringify(install)}: ${(error as Error).message}`,
    );
  }
}

/** One line for each fault: where, what would do, what was given. */
function describeFault(issue: z.core.$ZodIssue, raw: unknown): string[] {
  const where = issue.path.join('.') || '(top level)';
  if (issue.code === 'unrecognized_keys') {
    // Not the value: what is in the wrong place may be a secret.
    return issue.keys.map((key) => {
      const known = Object.keys(
        'vpcId' in Object(valueAt(raw, issue.path)) ? { vpcId: 0, subnetIds: 0 } : Fleet.shape,
      );
      return `${where}.${key}: is not a setting; did you mean ${closest(key, known)}?`;
    });
  }
  if (issue.code === 'invalid_union') {
    const inner = issue.errors
      .flat()
      .filter((nested) => nested.path.length > 0 || nested.code === 'unrecognized_keys');
    if (inner.length > 0) {
      return inner.flatMap((nested) =>
        describeFault({ ...nested, path: [...issue.path, ...nested.path] }, raw),
      );
    }
  }
  const message = issue.code === 'invalid_key' ? issue.issues[0]?.message : issue.message;
  const given = valueAt(raw, issue.path);
  return [
    given === undefined
      ? `${where}: ${message}, got nothing`
      : `${where}: ${message}, got ${JSON.stringify(given)}`,
  ];
}

function valueAt(raw: unknown, path: PropertyKey[]): unknown {
  return path.reduce<unknown>((value, key) => Object(value)[key], raw);
}
