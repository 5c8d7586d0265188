import { DURATION_FORM, DURATION_WITH_UNITS, formatDuration } from './duration.ts';
import { fleetsSchema, guardrailsSchema } from './schema.ts';

interface SettingSchema {
  type?: string;
  const?: unknown;
  default?: unknown;
  description?: string;
  minimum?: number;
  maximum?: number;
  pattern?: string;
  enum?: string[];
  anyOf?: SettingSchema[];
}

const introduction = (description: string) => `# Configuration

\`fleets.yaml\` maps the name of each fleet to its settings. A fleet is one Auto Scaling group of runners for one
CircleCI resource class. Its name begins with a letter and has at most 31 more letters, digits, hyphens and
underscores, and does not begin with \`x-\`. \`npx cdk deploy --all -c fleets=other.yaml\` reads another file. Add \`-c stack=NAME\` to deploy it as [another
stack](operations.md#have-more-than-one-app).

${description}

The whole file is checked before anything is deployed, and every fault is reported at once: what is allowed, what was given,
and the line and column with an excerpt. The excerpt shows no value of another setting, because it may be a secret. The
first line of the file names its schema, so that editors complete and check it too.

Fleets can share settings by YAML merge keys: write \`linux: &shared\` at one fleet and \`<<: *shared\` in another, and set
there what differs. A fault of a shared setting names both places. Keys at the top of the file that begin with \`x-\` are ignored,
so settings that are of no fleet can be there: \`x-common: &common\`. Any other map at the top is a fleet.

A duration is ${DURATION_FORM.replace(/\b(\d\w+)\b/g, '`$1`')}.

\`npm run generate\` writes this page from the schema.
`;

const EXAMPLES = `## Examples

The smallest fleet, and a fleet with every setting:

\`\`\`yaml
maxHourlyCost: 25
encryptionKey: arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab
scaler:
  vpcId: vpc-0123456789abcdef0
  subnetIds: [subnet-0123456789abcdef0, subnet-0fedcba9876543210]
  httpProxy: http://proxy.acme.internal:3128
  noProxy: [.amazonaws.com]
concurrency:
  limit: 80
  fleets: [small, large]

small:
  resourceClass: acme/small
  instanceTypes: [t4g.medium]
  maxReplicas: 10
  zones: [eu-west-1a, eu-west-1b]
  roles:
    instance: [arn:aws:iam::111122223333:policy/artifacts]
  installPermissions:
    - actions: [s3:GetObject]
      resources: [arn:aws:s3:::acme-artifacts/*]

large:
  resourceClass: acme/large
  instanceTypes: [m6id.2xlarge, m5d.2xlarge]
  minReplicas: 1
  maxReplicas: 40
  maxHourlyCost: 20
  hourlyPrice: 0.4746
  headroom: 20%
  spareRunners: { max: 5 }
  waitingCost: 10
  maxSurge: 10
  recycleAfter: 4h
  schedules:
    - name: working hours
      start: 0 8 * * MON-FRI
      end: 0 18 * * MON-FRI
      timezone: Europe/Berlin
      minReplicas: 4
      maxReplicas: 60
  pollInterval: 5s
  quietPollInterval: 30s
  idleTimeout: 10m
  maxRunTime: 2h
  bootTimeout: 15m
  breaker:
    failures: 5
    window: 30m
  image: /acme/runner-image
  rootDevice: /dev/xvda
  runner:
    version: 3.1.13
    sha256: 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
  spot:
    percentage: 80
    onDemandBase: 2
  unsafeRetries: true
  network:
    vpcId: vpc-0123456789abcdef0
    subnetIds: [subnet-0123456789abcdef0, subnet-0fedcba9876543210]
  rootVolume:
    size: 100
    iops: 4000
    throughput: 500
    initializationRate: 300
  workingDirectory: instance-store
  docker: true
  keyPairName: operators
  sshCidr: 203.0.113.7/32
  sshRerun:
    cidr: 203.0.113.0/24
    address: private
  httpProxy: http://proxy.acme.internal:3128
  noProxy: [.acme.internal, 10.0.0.0/8]
  sessionManager: true
  allowInstanceMetadata: false
  logs: true
  reconcile: repair
  install: install-large.sh
  caCertificates: ca-certificates.pem
  scalerSecretName: circleci-runners/acme/scaler
  runnerSecretName: circleci-runners/acme/runner
  alarmEmail: ops@example.com
  alarmTopicArn: arn:aws:sns:eu-west-1:111122223333:alarms
  starvingAfter: 20m
  tags:
    team: platform
\`\`\`
`;

/** The reference as Markdown. */
export function configurationReference(): string {
  const { description, properties, additionalProperties: fleet } = JSON.parse(fleetsSchema());
  return [
    introduction(description),
    '## Settings of a fleet\n',
    table(fleet),
    '',
    '## Settings of all fleets\n',
    'These are at the top of the file, beside the fleets.\n',
    table({ properties }),
    '',
    EXAMPLES,
  ].join('\n');
}

function table(
  { properties, required = [] }: { properties: Record<string, SettingSchema>; required?: string[] },
  what = 'setting',
): string {
  const rows = Object.entries(properties).map(([name, setting]) => {
    const needed = required.includes(name) ? '**required**' : unset(setting.default);
    return `| \`${name}\` | ${form(setting)} | ${needed} | ${setting.description ?? ''} |`;
  });
  return [`| ${what} | form | default | description |`, '|---|---|---|---|', ...rows].join('\n');
}

const GUARDRAILS = `# Guardrails

\`guardrails.yaml\` sets ceilings: what [\`fleets.yaml\`](configuration.md) may ask for. Give the two files different
owners, so that a change to \`fleets.yaml\` alone cannot take a secret, open a port to everybody or spend without a limit.
[Security](security.md#somebody-who-can-change-fleetsyaml) shows a \`CODEOWNERS\` file.

The file is optional, and each ceiling in it is. Without it, the defaults below hold.

The file is \`guardrails.yaml\` in the folder in which you run the commands. The context value \`guardrails\` of \`cdk.json\`
names another one. \`cdk synth\`, \`cdk deploy\`, \`npm start\`, \`npm run simulate -- --fleet\` and the other commands that
read \`fleets.yaml\` compare it with the guardrails. They report everything that is above a ceiling at once: the key path,
the ceiling, what was given, the name of the ceiling in brackets, and the place in the file:

\`\`\`text
fleets.yaml asks for more than guardrails.yaml allows:
  linux.maxReplicas: must be at most 100, got 10000 (maxInstances)
    fleets.yaml:5:16
    5 |   maxReplicas: 10000
      |                ^^^^^
  linux.allowInstanceMetadata: must be false, got true (allowInstanceMetadata)
    fleets.yaml:6:26
    6 |   allowInstanceMetadata: true
      |                          ^^^^
\`\`\`

\`npm run generate\` writes this page from the schema.

## Ceilings
`;

const GUARDRAILS_EXAMPLE = `## Example

\`\`\`yaml
# yaml-language-server: $schema=./guardrails.schema.json
instanceTypes: [m7i.*, m7g.*, c7i.*]
instanceRequirements: {vCpus: 16, memoryGiB: 64}
maxInstances: 100
maxHourlyCost: 25
maxInstancesOfAllFleets: 250
maxHourlyCostOfAllFleets: 60
hourlyPrices:
  m7i.metal-24xl: 4.8384
circleciUrls: [https://circleci.acme.example]
secretPrefixes: [circleci-runners/, acme/circleci/]
encryptionKeys: [arn:aws:kms:eu-west-1:111122223333:key/*]
scalerProxies: [http://proxy.acme.internal:3128]
networks: [vpc-0123456789abcdef0, subnet-0123456789abcdef0, subnet-0fedcba9876543210]
sshRanges: [203.0.113.0/24]
instancePolicies: [arn:aws:iam::111122223333:policy/artifacts]
installPermissions:
  - actions: [s3:GetObject, s3:ListBucket]
    resources: [arn:aws:s3:::acme-artifacts, arn:aws:s3:::acme-artifacts/*]
allowInstanceMetadata: false
allowDocker: true
allowSessionManager: true
\`\`\`

## What has no ceiling

- \`image\`, \`install\`, \`caCertificates\` and \`httpProxy\` decide what runs on the fleet's own instances and what they trust. So does whoever
  writes its jobs.
- \`alarmEmail\` and \`alarmTopicArn\` decide who gets the fleet's alarms, \`tags\` how its resources are tagged. If your
  account grants permissions by tags, require a review of \`fleets.yaml\` as well.
- The volumes of an \`image\` without \`rootDevice\`, traffic, and the CPU credits of t types do not count as costs.
- The scaler secret of a fleet can never be the runner secret of a fleet, whatever the guardrails say. The instances would
  read a personal API token. The role of an instance is also forbidden to read it, whatever \`installPermissions\` say.
- \`roles\` and \`installPermissions\` with \`docker\` need \`allowInstanceMetadata\`, whatever the lists say: jobs could use
  them.

## Prefixes, not tags

A secret of your own must have a name that begins with an allowed prefix. A tag on the secret would work as well, as a
condition of the roles' policies. We chose prefixes: they are checked without a request to AWS, so a pull request's check
shows the fault with its key path. A missing tag would show after the deployment, as a refused read. If the names of your
secrets follow no prefix, list whole folders in \`secretPrefixes\`, and restrict the secrets by a resource policy.
`;

/** The reference of `guardrails.yaml` as Markdown. */
export function guardrailsReference(): string {
  const schema = JSON.parse(guardrailsSchema());
  return [GUARDRAILS, table(schema, 'ceiling'), '', GUARDRAILS_EXAMPLE].join('\n');
}

function unset(value: unknown): string {
  if (value === undefined) return 'not set';
  if (Array.isArray(value)) return value.length === 0 ? 'none' : `\`[${value.join(', ')}]\``;
  if (typeof value !== 'object' || value === null) return `\`${value}\``;
  const inner = Object.entries(value).map(([key, item]) => `${key}: ${item}`);
  return inner.length === 0 ? 'none' : `\`{${inner.join(', ')}}\``;
}

function form(setting: SettingSchema): string {
  if (setting.const !== undefined) return `\`${setting.const}\``;
  if (setting.enum !== undefined) return setting.enum.map((value) => `\`${value}\``).join(' or ');
  const [least, withUnit] = setting.anyOf ?? [];
  if (withUnit?.pattern === DURATION_WITH_UNITS.source)
    return `${formatDuration(least?.minimum ?? 0)} to ${formatDuration(least?.maximum ?? 0)}`;
  if (setting.anyOf !== undefined) return [...new Set(setting.anyOf.map(form))].join(', or ');
  if (setting.type === 'integer' || setting.type === 'number')
    return `${setting.minimum} to ${setting.maximum}`;
  const names: Record<string, string> = {
    string: 'text',
    array: 'list',
    object: 'map',
    boolean: '`true` or `false`',
  };
  return names[setting.type ?? ''] ?? '';
}
