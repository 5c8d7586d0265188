import { DURATION_FORM, DURATION_WITH_UNITS, formatDuration } from './duration.ts';
import { fleetsSchema } from './schema.ts';

interface Setting {
  type?: string;
  default?: unknown;
  description?: string;
  minimum?: number;
  maximum?: number;
  pattern?: string;
  enum?: string[];
  anyOf?: Setting[];
}

const introduction = (description: string) => `# Configuration

\`fleets.yaml\` maps the name of each fleet to its settings. A fleet is one Auto Scaling group of runners for one
CircleCI resource class. Its name begins with a letter and has at most 31 more letters, digits, hyphens and
underscores. \`npx cdk deploy -c fleets=other.yaml\` reads another file. Add \`-c stack=NAME\` to deploy it as [another
stack](operations.md#have-more-than-one-stack).

${description}

The whole file is checked before anything is deployed, and every fault is reported at once: where it is, what is allowed,
and what was given. The first line of the file names its schema, so that editors complete and check it too.

A duration is ${DURATION_FORM.replace(/\b(\d\w+)\b/g, '`$1`')}.

\`npm run generate\` writes this page from the schema.
`;

const EXAMPLES = `## Examples

The smallest fleet, and a fleet with every setting:

\`\`\`yaml
maxHourlyCost: 25

small:
  resourceClass: acme/small
  instanceTypes: [t4g.medium]
  maxReplicas: 10

large:
  resourceClass: acme/large
  instanceTypes: [m6id.2xlarge, m5d.2xlarge]
  minReplicas: 1
  maxReplicas: 40
  maxHourlyCost: 20
  hourlyPrice: 0.4746
  headroom: 20%
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
  install: install-large.sh
  scalerSecretName: acme/circleci/scaler
  runnerSecretName: acme/circleci/runner
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

function table({ properties, required = [] }: { properties: Record<string, Setting>; required?: string[] }) {
  const rows = Object.entries(properties).map(([name, setting]) => {
    const needed = required.includes(name) ? '**required**' : unset(setting.default);
    return `| \`${name}\` | ${form(setting)} | ${needed} | ${setting.description ?? ''} |`;
  });
  return ['| setting | form | default | description |', '|---|---|---|---|', ...rows].join('\n');
}

function unset(value: unknown): string {
  if (value === undefined) return 'not set';
  if (typeof value !== 'object' || value === null) return `\`${value}\``;
  const inner = Object.entries(value).map(([key, item]) => `${key}: ${item}`);
  return inner.length === 0 ? 'none' : `\`{${inner.join(', ')}}\``;
}

function form(setting: Setting): string {
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
