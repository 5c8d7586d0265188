import { readFileSync } from 'node:fs';
import { Duration, RemovalPolicy, Stack, Validations } from 'aws-cdk-lib';
import { Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import { DefinitionBody, LogLevel, StateMachine, StateMachineType } from 'aws-cdk-lib/aws-stepfunctions';
import { Construct } from 'constructs';
import type { FleetConfig } from '../fleets/load.ts';
import { DETACHED_TAG, RECONCILE_TAG, STACK_TAG } from '../functions/lib/tags.ts';
import { FleetParameter } from './fleet-parameter.ts';
import { FleetSecret } from './fleet-secret.ts';
import { allow } from './permissions.ts';
import { RunnerGroup } from './runner-group.ts';
import type { ScalerNetwork } from './scaler-network.ts';
import { Shared } from './shared.ts';
import { TaskFunction } from './task-function.ts';

export interface ReconcileWorkflowProps {
  app: string;
  fleets: FleetConfig[];
  /** Where the functions run. */
  network: ScalerNetwork;
}

/** A step reads for 30 s at most, and its function gets 60 s from the workflow. */
const TIMEOUT = Duration.seconds(70);

/** The state machine that finds what fleets leave behind and its functions. */
export class ReconcileWorkflow extends Construct {
  readonly stateMachine: StateMachine;

  constructor(scope: Construct, id: string, { app, fleets, network }: ReconcileWorkflowProps) {
    super(scope, id);
    const find = new TaskFunction(this, 'FindLeftovers', {
      network,
      entry: 'find-leftovers',
      description:
        "Compares a fleet's group, EC2 and CircleCI's runners, says what is left behind, and how long boots took",
      timeout: TIMEOUT,
    });
    const repair = new TaskFunction(this, 'RepairLeftovers', {
      network,
      entry: 'repair-leftovers',
      description: 'Looks again, and ends what cannot be running a job, of fleets with reconcile: repair',
      timeout: TIMEOUT,
    });
    for (const { executionRole } of [find, repair]) allowReads(app, executionRole, fleets);
    allowConsoles(app, find.executionRole);
    // Otherwise its role reads what the other one reads, and changes nothing.
    if (fleets.some(repairs)) allowRepairs(app, repair.executionRole);
    const role = new Role(this, 'StateMachineRole', {
      assumedBy: new ServicePrincipal('states.amazonaws.com'),
      path: Shared.rolePath(app, 'reconcile'),
    });
    allow(role, {
      actions: ['lambda:InvokeFunction'],
      resources: [find.functionArn, repair.functionArn],
    });
    const name = Shared.reconcileName(app);
    const definition = readFileSync(new URL('../statemachine/reconcile.asl.json', import.meta.url), 'utf8');
    this.stateMachine = new StateMachine(this, 'StateMachine', {
      stateMachineName: name,
      stateMachineType: StateMachineType.EXPRESS,
      role,
      definitionBody: DefinitionBody.fromString(definition),
      definitionSubstitutions: {
        FindLeftoversFunctionArn: find.functionArn,
        RepairLeftoversFunctionArn: repair.functionArn,
      },
      logs: {
        level: LogLevel.ALL,
        includeExecutionData: true,
        destination: new LogGroup(this, 'ExecutionLog', {
          logGroupName: `/aws/vendedlogs/states/${name}`,
          retention: RetentionDays.TWO_WEEKS,
          removalPolicy: RemovalPolicy.DESTROY,
        }),
      },
    });
    Validations.of(role).acknowledge({
      id: 'AwsSolutions-IAM5[Resource::*]',
      reason:
        'The delivery of logs, which the CDK allows for the execution log, has no resources: https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html',
    });
    Validations.of(this.stateMachine).acknowledge({
      id: 'AwsSolutions-SF2',
      reason: 'The execution log holds each state with its input, output and times already.',
    });
  }
}

const repairs = ({ reconcile }: FleetConfig) => reconcile === 'repair';

const AUTO_SCALING = ['AutoScalingGroups', 'AutoScalingInstances', 'ScalingActivities', 'WarmPool'];
const EC2 = ['Instances', 'LaunchTemplates', 'LaunchTemplateVersions', 'NetworkInterfaces', 'Volumes'];

/** Allows a role to read what is compared. Of the runner secret, it may only see when it was stored. */
function allowReads(app: string, role: Role, fleets: FleetConfig[]): void {
  FleetParameter.allowRead(app, role);
  FleetSecret.allowReadScalers(app, role, fleets);
  FleetSecret.allowDatesOfRunners(app, role, fleets);
  allow(role, {
    actions: [
      ...AUTO_SCALING.map((what) => `autoscaling:Describe${what}`),
      ...EC2.map((what) => `ec2:Describe${what}`),
    ],
    resources: ['*'],
    wildcard:
      'The actions support no resources: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html',
  });
}

/** Allows a role to read the consoles of the app's instances, which say how long their boots took. */
function allowConsoles(app: string, role: Role): void {
  allow(role, {
    actions: ['ec2:GetConsoleOutput'],
    resources: [Stack.of(role).formatArn({ service: 'ec2', resource: 'instance', resourceName: '*' })],
    conditions: { StringEquals: { [`aws:ResourceTag/${STACK_TAG}`]: app } },
    wildcard: 'Instances have ids that EC2 gives them; a tag restricts them to those of the app.',
  });
}

/** Allows a role to repair fleets with `reconcile: repair`. The deployment gives what they have a tag that says so. */
function allowRepairs(app: string, role: Role): void {
  RunnerGroup.allowAllOf(app, role, ['TerminateInstanceInAutoScalingGroup'], {
    tags: { [RECONCILE_TAG]: 'repair' },
  });
  const tags = {
    [`aws:ResourceTag/${STACK_TAG}`]: app,
    [`aws:ResourceTag/${RECONCILE_TAG}`]: 'repair',
  };
  const arn = (resource: string) => Stack.of(role).formatArn({ service: 'ec2', resource, resourceName: '*' });
  allow(role, {
    actions: ['ec2:TerminateInstances', 'ec2:DeleteVolume', 'ec2:DeleteLaunchTemplateVersions'],
    resources: ['instance', 'volume', 'launch-template'].map(arn),
    conditions: { StringEquals: tags },
    wildcard: 'They have ids that EC2 gives them; two tags restrict them to fleets that want repairs.',
  });
  allow(role, {
    actions: ['ec2:CreateTags'],
    resources: [arn('volume')],
    conditions: { 'ForAllValues:StringEquals': { 'aws:TagKeys': [DETACHED_TAG] }, StringEquals: tags },
    wildcard: 'Volumes have ids that EC2 gives them; two tags restrict them to fleets that want repairs.',
  });
}
