import { AwsSolutionsChecks } from 'cdk-nag';
import type { FleetConfig } from '../../fleets/load.ts';
import { appOf } from './template.ts';

/** What the AwsSolutions rules of cdk-nag find in the stack of these fleets, and has not been accepted with a reason. */
export function violationsOf(fleets: FleetConfig[]): { rule: string; path: string }[] {
  const { app } = appOf(fleets);
  return new AwsSolutionsChecks(app)
    .validateScope(app)
    .violations.flatMap(({ ruleName, violatingResources }) =>
      violatingResources.map(({ constructPath }) => ({ rule: ruleName, path: constructPath ?? '' })),
    );
}
