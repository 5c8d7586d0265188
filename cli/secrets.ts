import { text } from 'node:stream/consumers';
import { AutoScalingClient } from '@aws-sdk/client-auto-scaling';
import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { SSMClient } from '@aws-sdk/client-ssm';
import password from '@inquirer/password';
import { Command } from 'commander';
import { type FleetConfig, FleetsInvalid, loadFleets } from '../fleets/load.ts';
import { forApp } from '../functions/lib/advice.ts';
import { AWS_CLIENT } from './aws/client.ts';
import { numberOption, refuseVain, stackOption, UsageError } from './command-line/arguments.ts';
import { hasNoFile, otherFleet, refuseNotDeployed, refuseUnknown } from './command-line/fleets.ts';
import { type CliCommand, nameAndMessage, type Shell } from './command-line/run.ts';
import { type DeployedFleet, deployedFleet } from './deployed/fleets.ts';
import {
  faultOfApiToken,
  membersOf,
  type StoredSecret,
  storedSecret,
  untilGone,
} from './deployed/rotation.ts';
import { readSettings } from './deployed/settings.ts';
import { storeSecret } from './deployed/stored-secret.ts';
import { untilEnded } from './terminal/ending.ts';

/** How often `--rotate` looks for instances with the old token. */
const EVERY_SECONDS = 10;

const define = (shell: Shell) =>
  new Command('npm run secrets --')
    .description(
      'Stores the two tokens of a deployed fleet in Secrets Manager. The functions count tasks with the personal API token; runners claim tasks with the resource class token. The command asks for both and does not show them. Without a terminal, it reads them from standard input, one on each line.',
    )
    .argument('<fleet>', 'a deployed fleet')
    .option('--age', 'store nothing; show when each token was stored')
    .option('--json', 'store nothing; print when each token was stored, as one JSON object')
    .option(
      '--rotate',
      'replace one or both tokens: make the new ones in CircleCI first, and keep the old ones until the command says that no instance has them any more. Leave a token empty to keep it',
    )
    .option('--no-wait', 'with --rotate: do not wait until the instances with the old token are gone')
    .option(
      '--every <seconds>',
      `with --rotate: how often to look for those instances (default: ${EVERY_SECONDS})`,
      numberOption(1, 600),
    )
    .option('--force', 'store the personal API token even if CircleCI does not answer it with a count')
    .option('--fleets <file>', 'the fleets file', 'fleets.yaml')
    .addOption(stackOption())
    .action((name: string, options: Options, command: Command) => {
      refuseContradictions(options, command);
      return manageSecrets(name, { ...options, hasFile: !hasNoFile(command) }, shell);
    });

interface Options {
  age?: boolean;
  json?: boolean;
  rotate?: boolean;
  wait: boolean;
  every?: number;
  force?: boolean;
  fleets: string;
  stack: string;
}

async function manageSecrets(
  name: string,
  options: Options & { hasFile: boolean },
  shell: Shell,
): Promise<void> {
  const app = options.stack;
  const inFile = options.hasFile ? loadFleets(options.fleets, { stack: app }) : [];
  const isInFile = inFile.some((each) => each.name === name);
  const found = await deployedFleet(app, name).catch((error) => {
    if (isInFile) throw error;
    return undefined;
  });
  if (found === undefined && isInFile) refuseNotDeployed(name, app);
  const given = inFile.find((each) => each.name === name);
  // A secret that the file names may also be that of a deployed fleet which the file does not have.
  const running = isInFile && given?.scalerSecretName === undefined ? [] : await deployedFleets(app);
  const [first, second]: [TokenFleet[], TokenFleet[]] = isInFile ? [inFile, running] : [running, inFile];
  const known = [...first, ...second.filter((each) => !first.some((other) => other.name === each.name))];
  const fleet = known.find((each) => each.name === name);
  if (found === undefined || fleet === undefined) {
    if (!options.hasFile) {
      refuseUnknown(
        app,
        running.map((each) => each.name),
        name,
      );
      refuseNotDeployed(name, app);
    }
    throw new UsageError(
      `${otherFleet(
        'The fleet',
        `one of ${options.fleets}${running.length === 0 ? '' : ', or a deployed one'}`,
        // Its settings may be there although its stack has no outputs.
        known.map((each) => each.name).filter((each) => each !== name),
        [name],
      )}. To read another file: --fleets FILE`,
    );
  }
  const sharing = known.filter(
    (other) => other.name === name || other.scalerSecretName === found.scalerSecret,
  );
  const deployed: Deployed = { ...found, app, fleet, sharing };
  if (options.hasFile && !isInFile)
    shell.terminal.note(
      `${options.fleets} does not have the fleet ${name}. Its resource class is the deployed one, ${fleet.resourceClass}.`,
    );
  if (options.age || options.json) await showAges(deployed, options, shell);
  else if (options.rotate) await rotate(deployed, options, shell);
  else {
    const [apiToken, classToken] = await readTokens(fleet, options, shell.stdin);
    await store(deployed, apiToken, classToken, shell);
    shell.terminal.printProse(`Stored the tokens in ${deployed.scalerSecret} and ${deployed.runnerSecret}.`);
  }
}

/** @throws UsageError */
function refuseContradictions({ age, json, rotate, wait, force }: Options, command: Command): void {
  if (rotate && (age || json))
    throw new UsageError(
      `--rotate replaces tokens, and ${age ? '--age' : '--json'} only shows their age: give one of them.`,
    );
  if (force && (age || json))
    throw new UsageError(
      `--force stores tokens, and ${age ? '--age' : '--json'} only shows their age: give one of them.`,
    );
  refuseVain(command, {
    wait: { isThere: rotate === true, needs: '--rotate' },
    every: { isThere: rotate === true && wait, needs: '--rotate and without --no-wait' },
  });
}

/** What the tokens of a fleet depend on. */
type TokenFleet = Pick<
  FleetConfig,
  'name' | 'resourceClass' | 'circleciUrl' | 'scalerSecretName' | 'runnerSecretName' | 'encryptionKey'
>;

/** The fleets of an app as they are deployed, for one that the file does not have. */
async function deployedFleets(app: string): Promise<TokenFleet[]> {
  const settings = await readSettings(app, new SSMClient(AWS_CLIENT));
  return [...settings].map(([name, { resourceClass, circleciUrl, scalerSecretName, runnerSecretName }]) => ({
    name,
    resourceClass,
    circleciUrl,
    ...(scalerSecretName !== `${app}/${name}/scaler` && { scalerSecretName }),
    ...(runnerSecretName !== undefined &&
      runnerSecretName !== `${app}/${name}/runner` && { runnerSecretName }),
  }));
}

/** A deployed fleet, and what the fleets file, or its deployed settings, say about it. */
interface Deployed extends Omit<DeployedFleet, 'fleet'> {
  app: string;
  fleet: TokenFleet;
  /** All fleets that have its scaler secret, itself included. */
  sharing: TokenFleet[];
}

/** Stores tokens; an empty one stays as it is. */
async function store(
  { app, fleet, sharing, scalerSecret, runnerSecret }: Deployed,
  apiToken: string,
  classToken: string,
  { terminal }: Shell,
): Promise<void> {
  const client = new SecretsManagerClient(AWS_CLIENT);
  const { encryptionKey } = fleet;
  const put = async (name: string, value: string, named: boolean) => {
    const repaired = await storeSecret(client, { name, value, named, encryptionKey });
    if (repaired !== undefined) terminal.printProse(forApp({ app, fleetsFile: undefined }, repaired));
  };
  const classes = sharing.map(({ resourceClass }) => resourceClass);
  const value = JSON.stringify({
    resource_class: classes.length > 1 ? classes : fleet.resourceClass,
    circleci_url: fleet.circleciUrl,
    circle_token: apiToken,
  });
  if (apiToken !== '') await put(scalerSecret, value, fleet.scalerSecretName !== undefined);
  if (classToken !== '') await put(runnerSecret, classToken, fleet.runnerSecretName !== undefined);
}

const DAY = 86_400_000;

async function showAges(
  { fleet, scalerSecret, runnerSecret }: Deployed,
  options: Options,
  shell: Shell,
): Promise<void> {
  const client = new SecretsManagerClient(AWS_CLIENT);
  const found = {
    personalApiToken: await storedSecret(client, scalerSecret),
    resourceClassToken: await storedSecret(client, runnerSecret),
  };
  if (options.json) {
    shell.terminal.print(JSON.stringify({ fleet: fleet.name, ...found }));
    return;
  }
  const line = (what: string, { secret, storedAt }: StoredSecret) => {
    const age = storedAt && Math.floor((Date.now() - storedAt.getTime()) / DAY);
    const when = storedAt ? `${storedAt.toISOString().slice(0, 10)}, ${age} days ago` : 'never';
    shell.terminal.print(`${what.padEnd(20)}  stored ${when}  (${secret})`);
  };
  line('Personal API token', found.personalApiToken);
  line('Resource class token', found.resourceClassToken);
}

/**
 * Replaces tokens in the order in which runners and functions always have a valid one: both tokens are valid in CircleCI
 * until the instances that have read the old one are gone.
 */
async function rotate(deployed: Deployed, options: Options, shell: Shell): Promise<void> {
  const { terminal, stdin } = shell;
  const { fleet, group } = deployed;
  const [apiToken, classToken] = await readTokens(fleet, options, stdin, 'may be empty');
  if (apiToken === '' && classToken === '')
    throw new UsageError('Both tokens are empty. Nothing was stored.');
  await store(deployed, apiToken, classToken, shell);
  if (apiToken !== '') {
    terminal.printProse(
      'Stored the personal API token. The functions use it from the next refusal, and in five minutes at most. Revoke the old one in CircleCI now.',
    );
  }
  if (classToken === '') return;
  terminal.printProse('Stored the resource class token. Instances that start from now on use it.');
  const members = await membersOf(new AutoScalingClient(AWS_CLIENT), group);
  const left = options.wait
    ? await untilEnded((ended) =>
        untilGone({ group, members, everySeconds: options.every ?? EVERY_SECONDS, signal: ended }, (number) =>
          terminal.note(`Instances that still have the old token: ${number}`),
        ),
      )
    : members;
  if (left.length === 0) {
    terminal.printProse(
      'No instance has the old resource class token any more. Delete it in CircleCI now: circleci runner token delete ID',
    );
    return;
  }
  terminal.printProse(
    `These instances still have the old resource class token: ${left.join(', ')}. Delete it in CircleCI when they are gone. Until then, it must stay valid.`,
  );
}

/** What the functions and the boot of an instance accept. */
const API_TOKEN = /^[\x21-\x7e]*$/;
const CLASS_TOKEN = /^[\w.~+/=:-]*$/;

const NO_TOKEN = 'has characters that no token has';

/**
 * The two tokens; an empty one is none. A person is asked for the second one only if the first one can be used.
 *
 * @throws UsageError, without a token, if the fleet would not work with one of them.
 */
async function readTokens(
  fleet: TokenFleet,
  options: Options,
  stdin: Shell['stdin'],
  empty?: 'may be empty',
): Promise<[string, string]> {
  if (stdin.isTTY) {
    const apiToken = await ask('Personal API token', API_TOKEN, empty);
    await refuseUseless(apiToken, fleet, options);
    const classToken = await ask('Resource class token', CLASS_TOKEN, empty);
    refuseSame(apiToken, classToken);
    return [apiToken, classToken];
  }
  const lines = (await text(stdin)).split('\n').map((line) => line.trim());
  const [apiToken = '', classToken = '', ...more] = lines;
  const missing = empty === undefined && (apiToken === '' || classToken === '');
  if (missing || more.some((line) => line !== '')) {
    throw new UsageError(
      'Standard input must have two lines: the personal API token, then the resource class token. Nothing was stored.',
    );
  }
  refuseSame(apiToken, classToken);
  for (const [what, token, form] of [
    ['personal API token', apiToken, API_TOKEN],
    ['resource class token', classToken, CLASS_TOKEN],
  ] as const)
    if (!form.test(token)) throw new UsageError(`The ${what} ${NO_TOKEN}. Nothing was stored.`);
  await refuseUseless(apiToken, fleet, options);
  return [apiToken, classToken];
}

function refuseSame(apiToken: string, classToken: string): void {
  if (apiToken !== '' && apiToken === classToken)
    throw new UsageError(
      'The two tokens must be different ones: the instances must not have the personal API token. Nothing was stored.',
    );
}

/** Refuses a personal API token with which CircleCI answers no count. */
async function refuseUseless(apiToken: string, fleet: TokenFleet, { force = false }: Options): Promise<void> {
  if (apiToken === '' || force) return;
  const fault = await faultOfApiToken(apiToken, fleet);
  if (fault !== undefined)
    throw new UsageError(
      `The personal API token cannot be used: ${fault.says}. Nothing was stored. To store it nevertheless, add --force.${fault.remedy === undefined ? '' : ` Otherwise ${fault.remedy}.`}`,
    );
}

const ask = (what: string, form: RegExp, empty?: 'may be empty') =>
  password({
    message: empty === undefined ? what : `New ${what.toLowerCase()} (empty: keep)`,
    mask: true,
    validate: (value) => {
      if (empty === undefined && value.trim() === '') return 'Enter the token.';
      return form.test(value.trim()) || `It ${NO_TOKEN}.`;
    },
  }).then((value) => value.trim());

export const secrets: CliCommand = {
  define,
  usageErrors: [FleetsInvalid],
  promptClosed: 'Nothing was stored.',
  describeError: nameAndMessage,
  aws: 'stack',
};
