import { App } from 'aws-cdk-lib';
import { FleetsInvalid } from '../fleets/load.ts';
import { CircleCiRunners } from './circleci-runners.ts';
import { compareWithAccount } from './deployed-fleets.ts';
import { TemplateRules } from './template-rules.ts';

try {
  const app = new App();
  const { stacks } = new CircleCiRunners(app, 'Runners');
  TemplateRules.addTo(app, stacks.fleets);
  await compareWithAccount(stacks, process.env);
} catch (error) {
  if (!(error instanceof FleetsInvalid)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
