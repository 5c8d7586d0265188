import { ArnFormat, Aws, Stack } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import { reconcileName } from '../fleets/names.ts';

/**
 * What the stack that all fleets share has, by name. The stacks of fleets refer to it by these names and import nothing:
 * CloudFormation would not change or delete what another stack imports.
 */
export class Shared {
  private readonly stack: Stack;

  /** @param app Name of the app, which is the name of the shared stack. */
  constructor(
    scope: Construct,
    readonly app: string,
  ) {
    this.stack = Stack.of(scope);
  }

  /** IAM has no Regions, and an app may be deployed in several. */
  static schedulerRoleName = (app: string) => `${app}-scheduler-${Aws.REGION}`;

  /**
   * The path of a role of the app, by which policies outside the app can name it: CloudFormation cuts long names of roles.
   * No app's name has a dot, so it is not the path of the instances of another app.
   */
  static rolePath = (app: string, use: string) => `/${app}.roles/${use}/`;

  /** The state machine that finds what fleets leave behind. */
  static reconcileName = reconcileName;

  static deadLettersName = (app: string) => `${app}-dead-letters`;

  get schedulerRoleArn(): string {
    return this.stack.formatArn({
      service: 'iam',
      region: '',
      resource: 'role',
      resourceName: Shared.schedulerRoleName(this.app),
    });
  }

  get stateMachineArn(): string {
    return this.arn('states', 'stateMachine', this.app);
  }

  get reconcileArn(): string {
    return this.arn('states', 'stateMachine', Shared.reconcileName(this.app));
  }

  get deadLettersArn(): string {
    return this.stack.formatArn({ service: 'sqs', resource: Shared.deadLettersName(this.app) });
  }

  get topicArn(): string {
    return this.stack.formatArn({ service: 'sns', resource: this.app });
  }

  get imagesArn(): string {
    return this.arn('lambda', 'function', `${this.app}-images`);
  }

  get groupSettingsArn(): string {
    return this.arn('lambda', 'function', `${this.app}-group-settings`);
  }

  /** The group of all schedules. */
  get scheduleGroup(): string {
    return this.app;
  }

  alarmArn(name: string): string {
    return this.arn('cloudwatch', 'alarm', name);
  }

  private arn(service: string, resource: string, resourceName: string): string {
    return this.stack.formatArn({
      service,
      resource,
      resourceName,
      arnFormat: ArnFormat.COLON_RESOURCE_NAME,
    });
  }
}
