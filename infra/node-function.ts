import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type Duration, RemovalPolicy, Stack } from 'aws-cdk-lib';
import { Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import {
  ApplicationLogLevel,
  Architecture,
  Code,
  LoggingFormat,
  Runtime,
  SystemLogLevel,
} from 'aws-cdk-lib/aws-lambda';
import { NodejsFunction, OutputFormat } from 'aws-cdk-lib/aws-lambda-nodejs';
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import { Shared } from './shared.ts';

/** How a function is bundled into one file. It includes the SDK, so that it runs the version that was tested and starts faster. */
export const BUNDLING = {
  format: OutputFormat.ESM,
  target: 'node24',
  minify: true,
  mainFields: ['module', 'main'],
  externalModules: [],
};

export interface NodeFunctionProps {
  /** The function's name after the stack's. */
  name: string;
  /** The source file, by its path from the root of the project. */
  entry: string;
  /** What the function does, for the Lambda console. */
  description: string;
  timeout: Duration;
  /** Environment variables. Default: Lambda's own. */
  environment?: Record<string, string>;
}

/** The bundle that the package has of a function. In the repository there is none: the CDK bundles the source. */
function prebuilt(name: string): { code?: Code; handler?: string } {
  const folder = fileURLToPath(new URL(`../bundles/${name}`, import.meta.url));
  return existsSync(folder) ? { code: Code.fromAsset(folder), handler: 'index.handler' } : {};
}

/** A Lambda function bundled from one source file, with a role and a log group of its own. */
export class NodeFunction extends NodejsFunction {
  /** The function's role, which may write the function's log and what others allow it. */
  readonly executionRole: Role;

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
      entry: fileURLToPath(new URL(`../${props.entry}`, import.meta.url)),
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
      bundling: BUNDLING,
      ...prebuilt(props.name),
    });
    this.executionRole = role;
  }
}
