import {
  AutoScalingClient,
  CreateAutoScalingGroupCommand,
  CreateLaunchConfigurationCommand,
  DescribeAutoScalingGroupsCommand,
} from '@aws-sdk/client-auto-scaling';
import { expect, it } from 'vitest';
import { type Answer, refusal, success } from '../support/instance-aws.ts';
import { describeScript, Instance, realPath, TARGET_STATE } from '../userdata/instance.ts';
import { startMoto } from './moto.ts';

/**
 * A hundred instances whose runners end in the same second, each with the script that leaves the group, against an AWS
 * that throttles. Which rate AWS allows TerminateInstanceInAutoScalingGroup is not published; it throttles by account
 * and region, with a bucket (https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html).
 */

const INSTANCES = 100;
/** Calls at once, and then in each second. */
const BUCKET = { size: 10, perSecond: 2 };
const GROUP = 'leaving-together';
const TERMINATE = 'TerminateInstanceInAutoScalingGroup';

/** Whether a call of this moment is within a bucket's rate. */
function bucket({ size, perSecond }: typeof BUCKET): () => boolean {
  let level = size;
  let last = performance.now();
  return () => {
    const now = performance.now();
    level = Math.min(size, level + ((now - last) / 1_000) * perSecond);
    last = now;
    if (level < 1) return false;
    level -= 1;
    return true;
  };
}

describeScript('a hundred instances that leave together', () => {
  it('all lower the desired capacity while AWS throttles them, and none is replaced', async () => {
    const moto = await startMoto();
    try {
      const settings = {
        endpoint: moto.endpoint,
        region: 'eu-west-1',
        credentials: { accessKeyId: 'moto', secretAccessKey: 'moto' },
      };
      const autoScaling = new AutoScalingClient(settings);
      await autoScaling.send(
        new CreateLaunchConfigurationCommand({
          LaunchConfigurationName: 'any',
          ImageId: 'ami-12c6146b',
          InstanceType: 't3.micro',
        }),
      );
      await autoScaling.send(
        new CreateAutoScalingGroupCommand({
          AutoScalingGroupName: GROUP,
          LaunchConfigurationName: 'any',
          MinSize: 0,
          MaxSize: INSTANCES,
          DesiredCapacity: INSTANCES,
          NewInstancesProtectedFromScaleIn: true,
          AvailabilityZones: ['eu-west-1a'],
        }),
      );
      const group = async () => {
        const { AutoScalingGroups: [found] = [] } = await autoScaling.send(
          new DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: [GROUP] }),
        );
        return { desired: found?.DesiredCapacity, members: found?.Instances ?? [] };
      };

      const allows = bucket(BUCKET);
      let throttled = 0;
      // AWS changes a group by one request after the other. Moto answers in threads, and loses changes among them.
      let before: Promise<unknown> = Promise.resolve();
      const terminate = async (body: string): Promise<Answer> => {
        if (!allows()) {
          throttled += 1;
          return refusal('Throttling', 'Rate exceeded');
        }
        const sent = before.then(() =>
          fetch(moto.endpoint, {
            method: 'POST',
            headers: {
              authorization:
                'AWS4-HMAC-SHA256 Credential=moto/20260101/eu-west-1/autoscaling/aws4_request, SignedHeaders=host, Signature=any',
              'content-type': 'application/x-www-form-urlencoded',
            },
            body,
          }),
        );
        before = sent.catch(() => undefined);
        const answer = await sent;
        return { status: answer.status, body: await answer.text() };
      };

      const { members } = await group();
      expect(members).toHaveLength(INSTANCES);
      const instances = await Promise.all(
        members.map(async ({ InstanceId: id = '' }) => {
          const instance = await Instance.start({
            metadata: { 'instance-id': id },
            environment: { INSTANCE_ID: id },
            kept: { launched: `${id}\n` },
            // Time passes for an instance as it does for AWS.
            commands: { sleep: `exec ${realPath('sleep')} "$@"` },
          });
          instance.clockIsReal();
          instance.answer = async ({ action, parameters }) => {
            if (action !== TERMINATE) return success(action);
            const answer = await terminate(
              new URLSearchParams({ Version: '2011-01-01', Action: action, ...parameters }).toString(),
            );
            if (answer.status === 200) instance.metadata.become(TARGET_STATE, 'Terminated');
            return answer;
          };
          return instance;
        }),
      );
      const ended = await Promise.all(instances.map((instance) => instance.run('leave-group', {}, 300_000)));

      expect(ended.map(({ status }) => status)).toEqual(members.map(() => 0));
      expect(throttled).toBeGreaterThan(INSTANCES);
      const calls = instances.flatMap((instance) => instance.calls);
      expect(calls.map(({ action }) => action)).not.toContain('SetInstanceHealth');
      expect(calls.filter(({ parameters }) => parameters.ShouldDecrementDesiredCapacity !== 'true')).toEqual(
        [],
      );
      expect(await group()).toEqual({ desired: 0, members: [] });
    } finally {
      moto.stop();
    }
  }, 300_000);
});
