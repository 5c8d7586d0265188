import type { LaunchProcess } from './capacity.ts';
import { LAUNCH_SUSPENDED_TAG, SUSPENDED_FOR_DRAIN } from './tags.ts';

/** The name of the process: https://docs.aws.amazon.com/autoscaling/ec2/userguide/as-suspend-resume-processes.html */
export const LAUNCH = 'Launch';

/** For what the workflow suspends the process, as it writes it into the tag. */
export type SuspendedFor = 'breaker' | typeof SUSPENDED_FOR_DRAIN;

/**
 * How the reason begins if somebody called SuspendProcesses: `User suspended at 2026-01-05T08:00:00Z`. AWS suspends
 * `Launch` itself when launches have failed for a day, and documents no text for that.
 * https://docs.aws.amazon.com/autoscaling/ec2/userguide/as-suspend-resume-processes.html
 */
const BY_USER = /^User suspended/i;

/** The `Launch` process of a group as it is described. Pure. */
export function launchProcessOf({
  SuspendedProcesses,
  Tags,
}: {
  SuspendedProcesses: { ProcessName?: string | undefined; SuspensionReason?: string | undefined }[];
  Tags: { Key?: string | undefined; Value?: string | undefined }[];
}): LaunchProcess {
  const suspended = SuspendedProcesses.find(({ ProcessName }) => ProcessName === LAUNCH);
  const reason = suspended?.SuspensionReason ?? '';
  const record = Tags.find(({ Key }) => Key === LAUNCH_SUSPENDED_TAG);
  return {
    suspended: suspended !== undefined,
    byBreaker: record !== undefined,
    ...(record?.Value === SUSPENDED_FOR_DRAIN && { forDrain: true }),
    ...(reason !== '' && !BY_USER.test(reason) && { byAws: true }),
  };
}
