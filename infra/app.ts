import { App } from 'aws-cdk-lib';
import { FleetsInvalid, loadFleets, STACK_NAME } from './config.ts';
import { AutoscalerStack } from './stack.ts';

const app = new App();
try {
  const fleets = loadFleets(app.node.tryGetContext('fleets') ?? 'fleets.yaml');
  new AutoscalerStack(app, STACK_NAME, fleets);
} catch (error) {
  if (!(error instanceof FleetsInvalid)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
