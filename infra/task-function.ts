import { Duration, Stack } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import { advisedEnvironment } from './advised-app.ts';
import { NodeFunction } from './node-function.ts';
import type { ScalerNetwork } from './scaler-network.ts';

/** The name of the file beside the function's code, which Lambda puts into `/var/task`. */
const CA_FILE = 'ca-certificates.pem';

export interface TaskFunctionProps {
  /** Name of the file in `functions/` without its ending: the state's name in kebab case. */
  entry: string;
  /** What the function does, for the Lambda console. */
  description: string;
  /** Where the function runs. */
  network: ScalerNetwork;
  /** Default: 10 s. */
  timeout?: Duration;
}

/** The Lambda function of one Task state. */
export class TaskFunction extends NodeFunction {
  constructor(
    scope: Construct,
    id: string,
    { entry, description, network, timeout = Duration.seconds(10) }: TaskFunctionProps,
  ) {
    super(scope, id, {
      name: entry,
      description,
      // Above each timeout that the workflow gives a Task, so that the workflow's timeout ends it.
      timeout,
      environment: {
        ...advisedEnvironment(scope, Stack.of(scope).stackName),
        POWERTOOLS_SERVICE_NAME: entry,
        POWERTOOLS_LOG_LEVEL: 'INFO',
        ...network.proxy,
        // Node reads the file before anything else runs.
        ...(network.caFile !== undefined && { NODE_EXTRA_CA_CERTS: `/var/task/${CA_FILE}` }),
      },
      ...(network.caFile !== undefined && { files: { [CA_FILE]: network.caFile } }),
    });
    network.attach(this);
  }
}
