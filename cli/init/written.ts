import { existsSync } from 'node:fs';
import { posix, relative } from 'node:path';
import { stringify } from 'yaml';
import type * as z from 'zod';
import type { Fleet } from '../../fleets/fleet.ts';
import { isMap } from '../../fleets/settings/parts.ts';

/** The files that `npm run init` writes. */

/** A fleet as `fleets.yaml` has it, without the defaults. */
export type WrittenFleet = z.input<typeof Fleet>;

type SettingName = keyof WrittenFleet;

/** What a comment says above each setting: what a person wants to know next. Lines fit into 80 columns. */
const COMMENTS: Partial<Record<SettingName, string[]>> = {
  resourceClass: ['Jobs name this class as resource_class.'],
  instanceTypes: ['In order of preference. EC2 takes the next type if the first has no', 'capacity.'],
  instanceRequirements: ['EC2 launches a type that has these attributes.'],
  spot: ["Spot costs less, and EC2 takes instances back with two minutes' notice."],
  maxReplicas: [
    'Maximum number of instances at a time. "minReplicas: 1" also keeps an idle',
    'runner, so that the first job does not wait for a boot.',
  ],
  network: ['Where instances run. They only need a way out to the internet.'],
  zones: ['The other zones of the region offer none of the types.'],
  image: ['docs/instance-life.md says what an image of your own needs.'],
  rootVolume: ['More throughput can shorten boots, and costs extra.'],
  alarmEmail: ['Gets the alarms. AWS first sends a message to this address: confirm it.'],
  alarmTopicArn: ['Gets the alarms. Its policy must allow CloudWatch to publish.'],
};

const ORDER: readonly string[] = [
  'resourceClass',
  'circleciUrl',
  'instanceTypes',
  'instanceRequirements',
  'spot',
  'minReplicas',
  'maxReplicas',
  'warmPool',
  'network',
  'zones',
  'keyPairName',
  'image',
  'rootDevice',
  'rootVolume',
  'alarmEmail',
  'alarmTopicArn',
  'tags',
] satisfies SettingName[];

/** What is not set yet, and what most people set next. */
const HINTS: readonly { unless: readonly SettingName[]; lines: readonly string[] }[] = [
  {
    unless: ['alarmEmail', 'alarmTopicArn'],
    lines: ['# Nobody gets the alarms yet:', '# alarmEmail: you@example.com'],
  },
  {
    unless: ['install'],
    lines: ['# A script that installs what your jobs need, as root at each boot:', '# install: install.sh'],
  },
];

/** @param schema Path of the JSON Schema, relative to the file. */
export function fleetsText(name: string, fleet: WrittenFleet, schema: string): string {
  const given = Object.entries(fleet).filter(([, value]) => value !== undefined);
  const rank = (key: string) => {
    const index = ORDER.indexOf(key);
    return index === -1 ? ORDER.length : index;
  };
  const settings = given
    .sort(([one], [other]) => rank(one) - rank(other))
    .flatMap(([key, value]) => [
      ...(COMMENTS[key as SettingName] ?? []).map((line) => `# ${line}`),
      ...settingLines(key, value),
    ]);
  const hints = HINTS.filter(({ unless }) => unless.every((key) => fleet[key] === undefined));
  return [
    `# yaml-language-server: $schema=${schema}`,
    '# Your editor completes every setting, and docs/configuration.md lists them.',
    '# After a change: npx cdk deploy --all',
    `${inline(name)}:`,
    ...[...settings, ...hints.flatMap(({ lines }) => lines)].map((line) => `  ${line}`),
    '',
  ].join('\n');
}

const settingLines = (key: string, value: unknown): string[] =>
  isMap(value) && Object.keys(value).length > 1
    ? [
        `${inline(key)}:`,
        ...Object.entries(value).map(([inner, each]) => `  ${inline(inner)}: ${inline(each)}`),
      ]
    : [`${inline(key)}: ${inline(value)}`];

const inline = (value: unknown) =>
  stringify(value, { collectionStyle: 'flow', flowCollectionPadding: false, lineWidth: 0 }).trim();

/** A first job for the fleet. It needs nothing that the image does not have. */
export const configText = (name: string, resourceClass: string): string =>
  [
    '# A first job for your runners: it says where it runs.',
    'version: 2.1',
    '',
    'workflows:',
    '  first:',
    '    jobs: [hello]',
    '',
    'jobs:',
    '  hello:',
    '    machine: true',
    `    # The class of fleet ${name} in fleets.yaml.`,
    `    resource_class: ${inline(resourceClass)}`,
    '    steps:',
    `      - run: 'echo "This runner is $(hostname), $(nproc) CPUs"; uname -a'`,
    '      # Then your own steps:',
    '      # - checkout',
    '      # - run: make test',
    '',
  ].join('\n');

/** The JSON Schema, in this repository or in the package that a project has installed. */
const SCHEMA = 'fleets.schema.json';
const SCHEMA_OF_PACKAGE = `node_modules/circleci-runner-autoscaler/${SCHEMA}`;

/** Path of the JSON Schema, from the current folder, as a file in another folder names it. */
export function schemaPath(folder: string): string {
  const schema = existsSync(SCHEMA) ? SCHEMA : SCHEMA_OF_PACKAGE;
  const path = relative(folder, schema).replaceAll('\\', '/');
  return path.startsWith('.') ? path : `./${posix.normalize(path)}`;
}
