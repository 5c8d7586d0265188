import { text } from 'node:stream/consumers';
import { PutSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import password from '@inquirer/password';
import { Command } from 'commander';
import { FleetsInvalid, loadFleets } from '../fleets/load.ts';
import { logicalId } from '../fleets/names.ts';
import { stackOption, UsageError } from './command-line/arguments.ts';
import { type CliCommand, nameAndMessage, type Shell } from './command-line/run.ts';
import { readOutputs } from './deployed/outputs.ts';

const define = (shell: Shell) =>
  new Command('npm run secrets --')
    .description(
      "Stores a deployed fleet's two tokens in Secrets Manager: the personal API token, with which tasks are counted,\nand the resource class token, with which runners claim them. It asks for them without showing them; where\nthere is no terminal it reads them from standard input, one a line.",
    )
    .argument('<fleet>', 'a fleet of fleets.yaml that is deployed')
    .option('--fleets <file>', 'the fleets file', 'fleets.yaml')
    .addOption(stackOption())
    .action((name: string, options: Options) => storeSecrets(name, options, shell));

interface Options {
  fleets: string;
  stack: string;
}

async function storeSecrets(name: string, options: Options, { terminal, stdin }: Shell): Promise<void> {
  const fleets = loadFleets(options.fleets);
  const fleet = fleets.find((candidate) => candidate.name === name);
  if (fleet === undefined) {
    const names = fleets.map((candidate) => candidate.name).join(', ');
    throw new UsageError(
      `The fleet must be one of ${options.fleets} (${names}), got ${JSON.stringify(name)}`,
    );
  }
  const outputs = await readOutputs(options.stack);
  const id = logicalId(name);
  const scalerSecret = outputs[`${id}ScalerSecretName`];
  const runnerSecret = outputs[`${id}RunnerSecretName`];
  if (scalerSecret === undefined || runnerSecret === undefined) {
    throw new UsageError(
      `Fleet ${name} is not deployed by stack ${options.stack}. Deploy it first: npx cdk deploy`,
    );
  }

  const [apiToken, classToken] = await readTokens(stdin);
  const client = new SecretsManagerClient({});
  const scaler = JSON.stringify({ resource_class: fleet.resourceClass, circle_token: apiToken });
  await client.send(new PutSecretValueCommand({ SecretId: scalerSecret, SecretString: scaler }));
  await client.send(new PutSecretValueCommand({ SecretId: runnerSecret, SecretString: classToken }));
  terminal.print(`Stored the tokens in ${scalerSecret} and ${runnerSecret}.`);
}

async function readTokens(stdin: Shell['stdin']): Promise<[string, string]> {
  const questions = ['Personal API token', 'Resource class token'] as const;
  if (stdin.isTTY) {
    return [await ask(questions[0]), await ask(questions[1])];
  }
  const [apiToken = '', classToken = ''] = (await text(stdin)).split('\n').map((line) => line.trim());
  if (apiToken === '' || classToken === '') {
    throw new UsageError(
      'Standard input must hold two lines: the personal API token, then the resource class token',
    );
  }
  return [apiToken, classToken];
}

const ask = (message: string) =>
  password({ message, mask: true, validate: (value) => value.trim() !== '' || 'It cannot be empty.' }).then(
    (value) => value.trim(),
  );

export const secrets: CliCommand = {
  define,
  wrongInput: [FleetsInvalid],
  promptClosed: 'Nothing was stored.',
  otherwise: nameAndMessage,
};
