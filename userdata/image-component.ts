import { stringify } from 'yaml';
import type { FleetConfig } from '../fleets/load.ts';
import { environmentOfRunner, environmentOfSettings, proxyEnvironment } from './environment.ts';
import { LIB, linesOf, PREPARING, UPDATES, userdata, writing } from './files.ts';

/**
 * The documents of the components with which EC2 Image Builder makes an image: what it runs on the machine from which the
 * image is made, and on an instance of the new image. They run the scripts that prepare an instance at its first boot.
 * https://docs.aws.amazon.com/imagebuilder/latest/userguide/toe-use-documents.html
 */

/** The most characters of a document: https://docs.aws.amazon.com/imagebuilder/latest/APIReference/API_CreateComponent.html */
export const MOST_CHARACTERS = 16_000;

/** How long the preparation may take, in seconds. EC2 Image Builder itself ends a step after two hours. */
const BUILD_SECONDS = 3_600;

export interface ImageInputs {
  fleet: Pick<
    FleetConfig,
    | 'runner'
    | 'defaultRunner'
    | 'instanceTypes'
    | 'instanceRequirements'
    | 'docker'
    | 'httpProxy'
    | 'noProxy'
    | 'logs'
  >;
  /** Bucket and key of the fleet's install script. */
  installObject: string | undefined;
  installSha256: string | undefined;
}

const CONFIG = '/etc/autoscaler';
const UNITS = '/etc/systemd/system';

/** What the scripts read; the same as at a boot, as far as it concerns what is installed. */
const environmentOf = ({ fleet, installObject, installSha256 }: ImageInputs) => ({
  BOOT_TIMEOUT_SECONDS: BUILD_SECONDS,
  INSTALL_OBJECT: installObject ?? '',
  ...(installSha256 !== undefined && { INSTALL_SHA256: installSha256 }),
  ...environmentOfRunner(fleet),
  DOCKER: environmentOfSettings(fleet).DOCKER,
  // The name of the log group is the fleet's. Here it says that the agent is installed.
  LOG_GROUP_NAME: fleet.logs ? 'any' : '',
  UPDATES: `"${UPDATES.join(' ')}"`,
  ...proxyEnvironment(fleet),
});

interface DocumentStep {
  name: string;
  commands: string[];
}

/** A document with these phases. Each step is one script. */
const documentOf = (description: string, phases: Record<string, DocumentStep[]>): string =>
  stringify(
    {
      name: description,
      schemaVersion: 1,
      phases: Object.entries(phases).map(([name, steps]) => ({
        name,
        steps: steps.map((step) => ({
          name: step.name,
          action: 'ExecuteBash',
          inputs: { commands: [`${['set -euo pipefail', ...step.commands].join('\n')}\n`] },
        })),
      })),
    },
    { lineWidth: 0 },
  );

/** Writes scripts to where instances have them, and the environment, which the scripts of this step get. */
const filesOf = (
  inputs: ImageInputs,
  scripts: Record<string, string>,
  units: Record<string, string> = {},
): string[] => [
  `mkdir -p ${LIB} ${CONFIG}`,
  ...writing({
    ...Object.fromEntries(
      Object.entries({
        ...PREPARING,
        ...(inputs.fleet.logs && { 'ship-logs': 'ship-logs.sh' }),
        ...scripts,
      }).map(([name, file]) => [`${LIB}/${name}`, userdata(file)]),
    ),
    ...units,
  }),
  `cat >${CONFIG}/environment <<'END'`,
  `${linesOf(environmentOf(inputs))}END`,
  `chmod 0755 ${LIB}/*`,
];

const WITH_ENVIRONMENT = `set -a; . ${CONFIG}/environment; set +a`;

/** What makes an image: the preparation, the removal of what is the machine's own, and the check that nothing is left. */
export const buildComponent = (inputs: ImageInputs): string =>
  documentOf('What a boot installs', {
    build: [
      {
        name: 'Prepare',
        commands: [
          ...filesOf(inputs, { 'image-build': 'image-build.sh', 'image-clean': 'image-clean.sh' }),
          '# The machine must not update itself meanwhile, and instances must not.',
          `systemctl stop --no-block ${UPDATES.join(' ')} || true`,
          `systemctl mask --no-reload ${UPDATES.join(' ')} || true`,
          WITH_ENVIRONMENT,
          `${LIB}/image-build`,
        ],
      },
      { name: 'Clean', commands: [`${LIB}/image-clean`] },
    ],
    validate: [
      {
        name: 'LeftBehind',
        commands: [
          userdata('image-verify.sh')
            .replace(/^#!.*\n/, '')
            .trimEnd(),
        ],
      },
    ],
  });

/** The units of an instance, and what takes the place of the scripts that they start. */
const UNITS_TO_VERIFY = ['boot', 'boot-failed', 'leave', 'runner', 'watch'];
const STARTED_BY_UNITS = ['boot', 'leave-group', 'watch'];

/** What is tested on an instance of a new image before anything uses the image. */
export const testComponent = (inputs: ImageInputs): string =>
  documentOf('What a boot needs', {
    test: [
      {
        name: 'Test',
        commands: [
          ...filesOf(
            inputs,
            { 'image-test': 'image-test.sh', 'block-metadata': 'block-metadata.sh' },
            Object.fromEntries(
              UNITS_TO_VERIFY.map((name) => [
                `${UNITS}/autoscaler-${name}.service`,
                userdata(`autoscaler-${name}.service`),
              ]),
            ),
          ),
          `for script in ${STARTED_BY_UNITS.join(' ')}; do install -m 0755 /dev/null ${LIB}/$script; done`,
          'systemctl daemon-reload',
          WITH_ENVIRONMENT,
          `${LIB}/image-test`,
        ],
      },
    ],
  });
