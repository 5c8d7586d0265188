import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type Duration, RemovalPolicy, Stack, Stage } from 'aws-cdk-lib';
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
import { DISABLE_ASSET_STAGING_CONTEXT } from 'aws-cdk-lib/cx-api';
import { Construct } from 'constructs';
import { writeBundle } from './function-bundles.ts';
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
function codeOf(scope: Construct, { name, files }: NodeFunctionProps): Code {
  const folder = bundleFolder(scope, name);
  if (Stack.of(scope).bundlingRequired) {
    writeBundle(name, folder, files);
    return Code.fromAsset(folder);
  }
  mkdirSync(folder, { recursive: true });
  return Code.fromAsset(folder, { assetHash: name });
}

/** In the folder of the app, so that nothing is left elsewhere if the synthesis is cancelled. */
const bundleFolder = (scope: Construct, name: string) =>
  join(Stage.of(scope)?.assetOutdir ?? '.', `bundle.${name}`);

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
      code: codeOf(scope, props),
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
    // The CDK has a copy by now, unless it makes none: `cdk synth --no-staging`.
    if (!this.node.tryGetContext(DISABLE_ASSET_STAGING_CONTEXT))
      rmSync(bundleFolder(scope, props.name), { recursive: true });
    this.executionRole = role;
    this.plainName = functionName;
  }
}
