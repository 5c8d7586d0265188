import { text } from 'node:stream/consumers';
import { PutSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import password from '@inquirer/password';
import { Command } from 'commander';
import { FleetsInvalid } from '../fleets/load.ts';
import { logicalId } from '../fleets/names.ts';
import { stackOption, UsageError } from './command-line/arguments.ts';
import { namedFleet, refuseNotDeployed } from './command-line/fleets.ts';
import { type CliCommand, nameAndMessage, type Shell } from './command-line/run.ts';
import { readOutputs } from './deployed/outputs.ts';

const define = (shell: Shell) =>
  new Command('npm run secrets --')
    .description(
      'Stores the two tokens of a deployed fleet in Secrets Manager. The functions count tasks with the personal API token; runners claim tasks with the resource class token. The command asks for both and does not show them. Without a terminal, it reads them from standard input, one on each line.',
    )
    .argument('<fleet>', 'a deployed fleet of fleets.yaml')
    .option('--fleets <file>', 'the fleets file', 'fleets.yaml')
    .addOption(stackOption())
    .action((name: string, options: Options) => storeSecrets(name, options, shell));

interface Options {
  fleets: string;
  stack: string;
}

async function storeSecrets(name: string, options: Options, { terminal, stdin }: Shell): Promise<void> {
  const fleet = namedFleet(options.fleets, name, undefined, { stack: options.stack });
  const outputs = await readOutputs(options.stack);
  const id = logicalId(name);
  const scalerSecret = outputs[`${id}ScalerSecretName`];
  const runnerSecret = outputs[`${id}RunnerSecretName`];
  if (scalerSecret === undefined || runnerSecret === undefined) refuseNotDeployed(name, options.stack);

  const [apiToken, classToken] = await readTokens(stdin);
  const client = new SecretsManagerClient({});
  const scaler = JSON.stringify({
    resource_class: fleet.resourceClass,
    circleci_url: fleet.circleciUrl,
    circle_token: apiToken,
  });
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
      'Standard input must have two lines: the personal API token, then the resource class token. Nothing was stored.',
    );
  }
  return [apiToken, classToken];
}

const ask = (message: string) =>
  password({ message, mask: true, validate: (value) => value.trim() !== '' || 'Enter the token.' }).then(
    (value) => value.trim(),
  );

export const secrets: CliCommand = {
  define,
  usageErrors: [FleetsInvalid],
  promptClosed: 'Nothing was stored.',
  describeError: nameAndMessage,
};
