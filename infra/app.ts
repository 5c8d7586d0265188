import { App } from 'aws-cdk-lib';
import { FleetsInvalid } from '../fleets/load.ts';
import { CircleCiRunners } from './circleci-runners.ts';
import { compareWithAccount } from './deployed-fleets.ts';

try {
  const { stacks } = new CircleCiRunners(new App(), 'Runners');
  await compareWithAccount(stacks, process.env);
} catch (error) {
  if (!(error instanceof FleetsInvalid)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
