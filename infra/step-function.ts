import { fileURLToPath } from 'node:url';
import { Duration, RemovalPolicy, Stack } from 'aws-cdk-lib';
import { PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Architecture, LoggingFormat, Runtime } from 'aws-cdk-lib/aws-lambda';
import { NodejsFunction, OutputFormat } from 'aws-cdk-lib/aws-lambda-nodejs';
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';

export interface StepFunctionProps {
  /** The file's name in `functions/` without its ending, which is the state's name in kebab case. */
  entry: string;
  /** What the step does, for the Lambda console. */
  description: string;
  /** What the step may do beside writing its log. */
  permissions: { actions: string[]; resources: string[] }[];
}

/** The Lambda function of one Task state, with a role and a log group of its own. */
export class StepFunction extends NodejsFunction {
  constructor(scope: Construct, id: string, props: StepFunctionProps) {
    const functionName = `${Stack.of(scope).stackName}-${props.entry}`;
    // The function's parts live beside it in the tree, not inside it: they are its arguments.
    const parts = new Construct(scope, `${id}Parts`);
    const logGroup = new LogGroup(parts, 'LogGroup', {
      logGroupName: `/aws/lambda/${functionName}`,
      retention: RetentionDays.TWO_WEEKS,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    const role = new Role(parts, 'Role', { assumedBy: new ServicePrincipal('lambda.amazonaws.com') });
    logGroup.grantWrite(role);
    for (const permission of props.permissions) role.addToPolicy(new PolicyStatement(permission));
    super(scope, id, {
      functionName,
      description: props.description,
      entry: fileURLToPath(new URL(`../functions/${props.entry}.ts`, import.meta.url)),
      runtime: Runtime.NODEJS_24_X,
      architecture: Architecture.ARM_64,
      memorySize: 512,
      // Above every timeout that the workflow gives the step, so that the workflow's own is the one that counts.
      timeout: Duration.seconds(10),
      role,
      logGroup,
      loggingFormat: LoggingFormat.JSON,
      environment: { POWERTOOLS_SERVICE_NAME: props.entry, POWERTOOLS_LOG_LEVEL: 'INFO' },
      bundling: {
        format: OutputFormat.ESM,
        target: 'node24',
        minify: true,
        mainFields: ['module', 'main'],
        // With the SDK inside, the function runs what was tested, and starts faster.
        externalModules: [],
      },
    });
  }
}
