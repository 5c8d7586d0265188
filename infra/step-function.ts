import { Duration } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import { METRIC_NAMESPACE } from '../functions/lib/metrics.ts';
import { NodeFunction } from './node-function.ts';
import type { Permission } from './permissions.ts';

export interface StepFunctionProps {
  /** The file's name in `functions/` without its ending, which is the state's name in kebab case. */
  entry: string;
  /** What the step does, for the Lambda console. */
  description: string;
  /** What the step may do beside writing its log. */
  permissions: Permission[];
}

/** The Lambda function of one Task state. */
export class StepFunction extends NodeFunction {
  constructor(scope: Construct, id: string, { entry, description, permissions }: StepFunctionProps) {
    super(scope, id, {
      name: entry,
      entry: `functions/${entry}.ts`,
      description,
      permissions,
      // Above every timeout that the workflow gives the step, so that the workflow's own is the one that counts.
      timeout: Duration.seconds(10),
      environment: {
        POWERTOOLS_SERVICE_NAME: entry,
        POWERTOOLS_LOG_LEVEL: 'INFO',
        POWERTOOLS_METRICS_NAMESPACE: METRIC_NAMESPACE,
      },
    });
  }
}
