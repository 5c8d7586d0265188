import { fileURLToPath } from 'node:url';
import { type Duration, RemovalPolicy, Stack } from 'aws-cdk-lib';
import { Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import {
  ApplicationLogLevel,
  Architecture,
  Code,
  Function as LambdaFunction,
  LoggingFormat,
  Runtime,
  SystemLogLevel,
} from 'aws-cdk-lib/aws-lambda';
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import { bundleWith } from './function-bundles.ts';
import { Shared } from './shared.ts';

export interface NodeFunctionProps {
  /** The function's name after the stack's: a key of `functionSources`. */
  name: string;
  /** What the function does, for the Lambda console. */
  description: string;
  timeout: Duration;
  /** Environment variables. Default: Lambda's own. */
  environment?: Record<string, string>;
  /** Files beside the bundle, as paths by their names there. Default: none. */
  files?: Record<string, string>;
}

/** The bundle, or an empty folder if nothing is deployed from this synthesis, as in `cdk destroy`. */
const codeOf = (name: string, needed: boolean, files: Record<string, string>) =>
  needed
    ? Code.fromAsset(bundleWith(name, files))
    : Code.fromAsset(fileURLToPath(new URL('.', import.meta.url)), { exclude: ['**'], assetHash: name });

/** A Lambda function bundled from one source file, with a role and a log group of its own. */
export class NodeFunction extends LambdaFunction {
  /** The function's role, which may write the function's log and what others allow it. */
  readonly executionRole: Role;
  /** The name as a text, where a reference to the function would be a circle. */
  readonly plainName: string;

  constructor(scope: Construct, id: string, props: NodeFunctionProps) {
    const functionName = `${Stack.of(scope).stackName}-${props.name}`;
    // The function's parts are beside it in the tree, not inside it, because they are its arguments.
    const parts = new Construct(scope, `${id}Parts`);
    const logGroup = new LogGroup(parts, 'LogGroup', {
      logGroupName: `/aws/lambda/${functionName}`,
      retention: RetentionDays.TWO_WEEKS,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    const role = new Role(parts, 'Role', {
      assumedBy: new ServicePrincipal('lambda.amazonaws.com'),
      path: Shared.rolePath(Stack.of(scope).stackName, props.name),
    });
    logGroup.grantWrite(role);
    super(scope, id, {
      functionName,
      description: props.description,
      code: codeOf(props.name, Stack.of(scope).bundlingRequired, props.files ?? {}),
      handler: 'index.handler',
      runtime: Runtime.NODEJS_24_X,
      architecture: Architecture.ARM_64,
      memorySize: 256,
      timeout: props.timeout,
      role,
      logGroup,
      loggingFormat: LoggingFormat.JSON,
      // Without Lambda's lines at the start and end of each call, which would be most of the log.
      systemLogLevelV2: SystemLogLevel.WARN,
      applicationLogLevelV2: ApplicationLogLevel.INFO,
      ...(props.environment !== undefined && { environment: props.environment }),
    });
    this.executionRole = role;
    this.plainName = functionName;
  }
}
