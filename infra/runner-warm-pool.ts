import { CfnWarmPool } from 'aws-cdk-lib/aws-autoscaling';
import type { Construct } from 'constructs';
import type { FleetConfig } from '../fleets/load.ts';
import type { RunnerGroup } from './runner-group.ts';

export interface RunnerWarmPoolProps {
  warmPool: NonNullable<FleetConfig['warmPool']>;
  group: RunnerGroup;
}

/** A fleet's warm pool: instances that have booted once and wait, stopped or hibernated. */
export class RunnerWarmPool extends CfnWarmPool {
  constructor(scope: Construct, id: string, { warmPool, group }: RunnerWarmPoolProps) {
    // The workflow sizes an `auto` pool, which starts empty.
    const size = warmPool.size === 'auto' ? 0 : warmPool.size;
    super(scope, id, {
      autoScalingGroupName: group.ref,
      // With one value for both, the pool has that size whatever the group's desired capacity is:
      // https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_PutWarmPool.html
      minSize: size,
      maxGroupPreparedCapacity: size,
      poolState: warmPool.state === 'stopped' ? 'Stopped' : 'Hibernated',
      // An instance that has run a job is not clean any more.
      instanceReusePolicy: { reuseOnScaleIn: false },
    });
  }
}
