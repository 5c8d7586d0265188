import { App } from 'aws-cdk-lib';
import { FleetsInvalid } from '../fleets/load.ts';
import { STACK_NAME } from '../fleets/names.ts';
import { DEFAULT_FLEETS_FILE, forApp } from '../functions/lib/advice.ts';
import { folded } from '../functions/lib/fold.ts';
import { advisedApp } from './advised-app.ts';
import { CircleCiRunners } from './circleci-runners.ts';
import { compareWithAccount } from './deployed-fleets.ts';
import { TemplateRules } from './template-rules.ts';

const app = new App();
try {
  const { stacks } = new CircleCiRunners(app, 'Runners', {
    fleetsFile: String(app.node.tryGetContext('fleets') ?? DEFAULT_FLEETS_FILE),
  });
  TemplateRules.addTo(app, stacks.fleets);
  await compareWithAccount(stacks, process.env);
} catch (error) {
  if (!(error instanceof FleetsInvalid)) throw error;
  const stack: unknown = app.node.tryGetContext('stack');
  const text = forApp(advisedApp(app, typeof stack === 'string' ? stack : STACK_NAME), error.message);
  // The CDK gives the app its own terminal.
  console.error(process.stderr.isTTY ? folded(text, process.stderr.columns) : text);
  process.exitCode = 1;
}
