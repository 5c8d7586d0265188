import { App } from 'aws-cdk-lib';
import { FleetsInvalid } from '../fleets/load.ts';
import { addStacks } from './stacks.ts';

try {
  addStacks(new App());
} catch (error) {
  if (!(error instanceof FleetsInvalid)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
