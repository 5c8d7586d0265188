import { App } from 'aws-cdk-lib';
import { FleetsInvalid } from '../fleets/load.ts';
import { compareWithAccount } from './deployed-fleets.ts';
import { addStacks } from './stacks.ts';

try {
  const stacks = addStacks(new App());
  await compareWithAccount(stacks, process.env);
} catch (error) {
  if (!(error instanceof FleetsInvalid)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
