import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { closest } from 'fastest-levenshtein';
import { parse as parseYaml } from 'yaml';
import * as z from 'zod';

/** Name of the stack; the names of what it deploys begin with it. */
export const STACK_NAME = 'circleci-runners';

/**
 * `fleets.yaml`, the one file an adopter edits. This definition parses it, generates `fleets.schema.json` for
 * editors, and its descriptions are the reference in docs/configuration.md. Every fault is reported at once,
 * by key path, with what was given and what would do.
 */

/** Not `z.int`: its fault would keep the rules about two settings from being checked. */
const wholeNumber = (what: string, least: number, most: number) => {
  const error = `must be a whole number from ${least} to ${most}, ${what}`;
  return z
    .number({ error })
    .refine((value) => Number.isInteger(value) && value >= least && value <= most, { error })
    .meta({ type: 'integer', minimum: least, maximum: most });
};

/** A text by its pattern; editors show the message as well. */
const text = (what: string, pattern: RegExp) => {
  const error = `must be ${what}`;
  return z.string({ error }).regex(pattern, { error }).meta({ patternErrorMessage: error });
};

const SECONDS = { s: 1, m: 60, h: 3_600 };

/** User data holds the script, and EC2 takes 16 KB of it. */
const INSTALL_SCRIPT_BYTES = 6 * 1024;

/** Seconds, or a number with its unit: `5`, `5s`, `5m`, `5h`. */
const duration = (what: string, least: number, most: number) => {
  const error = `must be ${what} from ${least} s to ${most} s: seconds, or a number with its unit such as 5s, 5m or 5h`;
  const number = z.int({ error }).min(least, { error }).max(most, { error });
  const withUnit = z
    .string({ error })
    .regex(/^\d+\s*[smh]$/, { error })
    .meta({ patternErrorMessage: error });
  return z
    .union([number, withUnit], { error })
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
const FLEET_NAME_FAULT =
  'must be named by a letter and at most 31 more letters, digits, hyphens and underscores';

/** Scheme, host, perhaps a port and a path: what the API's paths can be appended to, and a shell can quote. */
const SERVER_URL = /^https?:\/\/[A-Za-z0-9.-]+(:\d+)?(\/[A-Za-z0-9._~/-]*)?$/;

const SECRET_NAME = /^[A-Za-z0-9/_+=.@-]{1,512}$/;

const INSTANCE_TYPE = /^[a-z0-9-]+\.[a-z0-9-]+$/;
const isInstanceType = (value: unknown) => typeof value === 'string' && INSTANCE_TYPE.test(value);

const VpcOfYours = z.strictObject({
  vpcId: text('the id of a VPC, such as vpc-0123456789abcdef0', /^vpc-([0-9a-f]{8}|[0-9a-f]{17})$/).describe(
    'The VPC.',
  ),
  subnetIds: z
    .array(
      text('the id of a subnet, such as subnet-0123456789abcdef0', /^subnet-([0-9a-f]{8}|[0-9a-f]{17})$/),
      { error: 'must be a list of subnets of the VPC' },
    )
    .min(1, { error: 'must name at least one subnet of the VPC' })
    .describe('Subnets of the VPC, from which instances can reach the internet.'),
});

const Network = z.union([z.enum(['default-vpc', 'new-vpc']), VpcOfYours], {
  error: 'must be default-vpc, new-vpc, or the vpcId and subnetIds of a VPC of yours',
});

const Fleet = z
  .strictObject(
    {
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
        .prefault('5s')
        .describe('How often CircleCI is asked for the counts: seconds, or with a unit, from 1 s to 60 s.'),
      idleTimeout: duration('a time', 10, 86_400)
        .prefault('5m')
        .describe('How long a runner waits for a task before it leaves; longer than three poll intervals.'),
      maxRunTime: duration('a time', 60, 432_000)
        .prefault('5h')
        .describe('How long one task may run before the runner ends it.'),
      circleciUrl: text('a URL such as https://runner.circleci.com, without a query or a user', SERVER_URL)
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
      sshCidr: text('an IPv4 range such as 203.0.113.7/32', z.regexes.cidrv4)
        .optional()
        .describe('From where SSH is let in. Without it no port is open, and Session Manager is the way in.'),
      install: text('the path of a script', /\S/)
        .optional()
        .describe(
          `A shell script of at most ${INSTALL_SCRIPT_BYTES / 1024} KB, by its path beside this file, that installs what the fleet's jobs need. It runs as root at boot.`,
        ),
      scalerSecretName: text('the name of a secret, not its ARN', SECRET_NAME)
        .optional()
        .describe(
          'An existing secret with resource_class and circle_token. Without it the stack makes one, without a value.',
        ),
      runnerSecretName: text('the name of a secret, not its ARN', SECRET_NAME)
        .optional()
        .describe(
          'An existing secret with the resource class token. Without it the stack makes one, without a value.',
        ),
      alarmEmail: text('an e-mail address', z.regexes.email)
        .optional()
        .describe("Who is told of the fleet's alarms. AWS asks that address to confirm first."),
      tags: z
        .record(
          text('a tag of 1 to 128 characters that does not begin with aws:', /^(?!aws:).{1,128}$/i),
          text('a text of at most 256 characters, in quotes if it looks like a number', /^.{0,256}$/),
          { error: 'must be a map of tags to their values' },
        )
        .default({})
        .describe("Tags of all of the fleet's resources, instances and volumes included."),
    },
    { error: 'must be a map of settings' },
  )
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
  })
  .describe('A fleet: an Auto Scaling group of runners for one CircleCI resource class.');

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
          if (!FLEET_NAME.test(name)) fault([name], FLEET_NAME_FAULT);
          const id = logicalId(name).toLowerCase();
          const twin = ids.get(id);
          if (twin !== undefined)
            fault([name], `must differ from ${twin} in more than hyphens, underscores and case`);
          ids.set(id, name);
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
      { when: ({ value }) => isMap(value) },
    ),
  )
  .meta({
    description: 'Fleets by name: letters, digits, hyphens and underscores, a letter first.',
    minProperties: 1,
    propertyNames: { pattern: FLEET_NAME.source, patternErrorMessage: FLEET_NAME_FAULT },
  });

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

/**
 * Architecture of an instance type's processor, by its name: a `g` among the letters behind the generation is
 * Graviton. https://docs.aws.amazon.com/ec2/latest/instancetypes/instance-type-names.html
 */
export function architectureOf(instanceType: string): 'arm64' | 'x86_64' {
  return /^(a1|[a-z]+\d+[a-z-]*g[a-z0-9]*)\./.test(instanceType) ? 'arm64' : 'x86_64';
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
    throw new FleetsInvalid(`${file} is not YAML: ${(error as Error).message.trimEnd()}`);
  }
  const parsed = Fleets.safeParse(raw);
  const scripts = readInstallScripts(dirname(file), raw);
  const faults = [
    ...(parsed.error?.issues ?? []).flatMap((issue) => describeFault(issue, raw)),
    ...scripts.faults,
  ];
  if (!parsed.success || faults.length > 0) {
    throw new FleetsInvalid(
      [`${file} has ${faults.length === 1 ? 'a fault' : `${faults.length} faults`}:`, ...faults].join('\n  '),
    );
  }
  return Object.entries(parsed.data).map(([name, fleet]) => ({
    ...fleet,
    name,
    installScript: scripts.contents.get(name),
  }));
}

/** Reads the `install` script of each fleet, whatever else is wrong with the fleet. */
function readInstallScripts(directory: string, raw: unknown) {
  const contents = new Map<string, string>();
  const faults: string[] = [];
  for (const [name, fleet] of Object.entries(isMap(raw) ? raw : {})) {
    const { install } = Object(fleet);
    if (typeof install !== 'string' || install.trim() === '') continue;
    const fault = (wanted: string, seen: unknown) =>
      faults.push(`${name}.install: must be ${wanted}, got ${quote(install)} (${seen})`);
    try {
      const script = readFileSync(resolve(directory, install), 'utf8');
      const size = Buffer.byteLength(script);
      if (size > INSTALL_SCRIPT_BYTES) {
        fault(
          `a script of at most ${INSTALL_SCRIPT_BYTES} bytes that downloads the rest, because user data holds it`,
          `${size} bytes`,
        );
      }
      contents.set(name, script);
    } catch (error) {
      fault('the path of a script from where this file is', (error as Error).message);
    }
  }
  return { contents, faults };
}

/** One line for each fault: where, what would do, what was given. */
function describeFault(issue: z.core.$ZodIssue, raw: unknown): string[] {
  const where = issue.path.join('.') || '(top level)';
  if (issue.code === 'unrecognized_keys') {
    // Not the value: what is in the wrong place may be a secret.
    const known = Object.keys(issue.path.length > 1 ? VpcOfYours.shape : Fleet.shape);
    return issue.keys.map(
      (key) => `${where}.${key}: is not a setting; the nearest one is ${closest(key, known)}`,
    );
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
  const given = valueAt(raw, issue.path);
  if (issue.code === 'invalid_key') return [`${where}: ${issue.issues[0]?.message}`];
  if (issue.code === 'custom' && issue.path.length < 2) return [`${where}: ${issue.message}`];
  return [`${where}: ${issue.message}, got ${quote(given)}`];
}

/** A value as a fault shows it: not all of a long one, and nothing of a map, which may hold anything. */
function quote(value: unknown): string {
  if (value === undefined || value === null) return 'nothing';
  if (isMap(value)) return 'a map';
  if (Array.isArray(value)) return `[${cut(value.map(quote).join(', '))}]`;
  return cut(typeof value === 'string' ? JSON.stringify(value) : String(value));
}

const cut = (text: string) => (text.length > 80 ? `${text.slice(0, 80)}...` : text);

const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function valueAt(raw: unknown, path: PropertyKey[]): unknown {
  return path.reduce<unknown>((value, key) => Object(value)[key], raw);
}
