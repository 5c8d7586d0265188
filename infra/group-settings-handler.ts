import { setTimeout as sleep } from 'node:timers/promises';
import type { Metrics } from '@aws-lambda-powertools/metrics';
import {
  AutoScalingClient,
  type AutoScalingGroup,
  CreateOrUpdateTagsCommand,
  DescribeAutoScalingGroupsCommand,
  paginateDescribeAutoScalingGroups,
  SetInstanceProtectionCommand,
  SuspendProcessesCommand,
  UpdateAutoScalingGroupCommand,
} from '@aws-sdk/client-auto-scaling';
import { forApp, ownApp } from '../functions/lib/advice.ts';
import { connectionSettings } from '../functions/lib/client-settings.ts';
import { fleetMetrics, publishMetrics } from '../functions/lib/metrics.ts';
import { printable } from '../functions/lib/printable.ts';
import { DELETION_REFUSED_TAG, STACK_ID_TAG, STACK_TAG } from '../functions/lib/tags.ts';
import { answer, checkedRequest } from './group-settings-request.ts';

/**
 * How long the function works: as long as Lambda allows, because an instance that boots keeps its protection until it is
 * in service. It is less than the function's timeout, because CloudFormation waits an hour for an answer that Lambda cuts
 * off.
 */
export const WORK_SECONDS = 870;

/** Milliseconds between two looks at the group. They become longer, because EC2 Auto Scaling throttles. */
const FIRST_LOOKS_AFTER = [500, 1_000, 2_000];
const LOOKS_AFTER = 5_000;

/** Maximum number of instances in one call. */
const BATCH = 50;

/** What the function calls, and how it waits. */
interface Dependencies {
  autoScaling: AutoScalingClient;
  sleep: (milliseconds: number, signal: AbortSignal) => Promise<void>;
  metrics: Metrics;
}

/** A copy of the function that calls something else. */
type Handler = (event: unknown) => Promise<void>;

/** Retries, unlike the clients of the steps, because no workflow retries this function. */
export const PRODUCTION: Dependencies = {
  autoScaling: new AutoScalingClient({ ...connectionSettings, maxAttempts: 3 }),
  sleep: (milliseconds, signal) => sleep(milliseconds, undefined, { signal }),
  metrics: fleetMetrics(),
};

/**
 * Settings of a group for which CloudFormation has no property. When the stack is created or updated, it suspends the
 * rebalancing of zones, which would terminate instances that run jobs. When the stack is deleted, it refuses that
 * until a second deletion, if there are instances. Otherwise it removes their protection, which would delay the deletion
 * for an hour and then make it fail. Before the alarm on missing heartbeats is made, it publishes one. When the shared stack is created or updated, it refuses that if the update would delete fleets.
 *
 * @throws RequestRefused if the event is not CloudFormation's for a stack of this app. Then nothing is called and nobody answered.
 */
export const handler: Handler & { with(world: Dependencies): Handler } = Object.assign(
  handlerIn(PRODUCTION),
  {
    with: handlerIn,
  },
);

function handlerIn(world: Dependencies): Handler {
  return (event) => handle(event, world);
}

async function handle(event: unknown, world: Dependencies): Promise<void> {
  const request = checkedRequest(event, process.env);
  const about = request.ResourceProperties.GroupName ?? process.env.STACK_NAME;
  const deadline = AbortSignal.timeout(WORK_SECONDS * 1_000);
  let failure: string | undefined;
  try {
    await answerFor(request, { ...world, abortSignal: deadline });
  } catch (thrown) {
    const error = thrown as Error;
    const why = deadline.aborted
      ? `not done within ${WORK_SECONDS} s, because instances still boot. Delete the stack again`
      : `${error.name}: ${error.message}`;
    failure = printable(forApp(ownApp(), `${request.RequestType} of the settings of ${about}: ${why}`));
    console.error(failure);
  }
  const what = request.ResourceProperties.Alarm === undefined ? 'settings' : 'heartbeat';
  await answer(request, `${about}-${what}`, failure);
}

async function answerFor(request: Checked, work: Work): Promise<void> {
  const { RequestType, ResourceProperties, OldResourceProperties } = request;
  const { GroupName: group, Alarm: alarm } = ResourceProperties;
  if (group === undefined) {
    if (RequestType !== 'Delete') await refuseFleetsOf(request.StackId, work);
  } else if (alarm !== undefined) {
    const fleet = group.slice(`${process.env.STACK_NAME}-`.length);
    if (RequestType === 'Create') publishMetrics(work.metrics, fleet, { PollDuration: 0 });
  } else if (RequestType === 'Delete') await prepareDeletion(group, request, work);
  else {
    refuseOtherGroup(group, OldResourceProperties?.GroupName);
    await suspendRebalancing(group, work);
  }
}

/** What the stack asks for would end jobs or take a fleet from another stack. */
class SettingsRefused extends Error {
  override readonly name = 'SettingsRefused';
}

type Checked = ReturnType<typeof checkedRequest>;

/** What a request is worked on with, until the signal. */
interface Work extends Dependencies {
  abortSignal: AbortSignal;
}

/**
 * Refuses an update of a stack with fleets of its own, as an older version made it. The update would delete them with their
 * jobs, because each fleet now has a stack. After the refusal CloudFormation rolls back, and deletes nothing.
 */
async function refuseFleetsOf(stackId: string, { autoScaling, abortSignal }: Work): Promise<void> {
  const own: string[] = [];
  for await (const page of paginateDescribeAutoScalingGroups({ client: autoScaling }, {}, { abortSignal })) {
    for (const group of page.AutoScalingGroups ?? []) {
      const older =
        tagOf(group, STACK_TAG) === process.env.STACK_NAME && tagOf(group, STACK_ID_TAG) === undefined;
      if (older || tagOf(group, 'aws:cloudformation:stack-id') === stackId)
        own.push(group.AutoScalingGroupName ?? '');
    }
  }
  if (own.length > 0)
    throw new SettingsRefused(
      `The stack still has the groups ${own.join(', ')}, which this deployment would delete with their jobs. Nothing is deleted. See docs/upgrading.md, "From one stack for all fleets"`,
    );
}

/** Refuses a fleet that would take the stack of another one, such as a_b and a-b. */
function refuseOtherGroup(group: string, before: string | undefined): void {
  if (before !== undefined && before !== group)
    throw new SettingsRefused(`The stack has the group ${before} already. Give the fleet another name`);
}

/** Ends the protection of the group's instances, if the stack made the group and nothing speaks against its deletion. */
async function prepareDeletion(group: string, { StackId, RequestId }: Checked, work: Work): Promise<void> {
  const described = await describe(group, work);
  if (described === undefined) return;
  const owner = tagOf(described, STACK_ID_TAG);
  if (owner !== StackId) throw new SettingsRefused(`The group belongs to ${owner ?? 'no stack'}`);
  await refuseWhileInUse(described, RequestId, work);
  await endProtection(group, work);
}

/**
 * Between how many milliseconds after the first refusal another request ends jobs. Earlier ones may be CloudFormation's own:
 * while it cleans up after an update, it tries up to three times to delete a resource. It documents no interval between
 * the attempts, and not whether they have the same RequestId.
 */
const CONFIRMED_FROM = 300_000;
const CONFIRMED_UNTIL = 3_600_000;

/** How many refused requests the tag keeps. The value of a tag has at most 256 characters, and a RequestId is a UUID. */
const KEPT_REQUESTS = 6;

/**
 * Refuses to delete a group whose instances may run jobs, unless another request was refused 5 to 60 minutes ago. A request
 * that was refused itself stays refused: Lambda can deliver an event twice, and calls again if CloudFormation did not
 * take the answer.
 */
async function refuseWhileInUse(
  described: AutoScalingGroup,
  RequestId: string,
  { autoScaling, abortSignal }: Work,
): Promise<void> {
  const { AutoScalingGroupName: group = '', Instances = [] } = described;
  const members = Instances.filter(
    ({ LifecycleState = '' }) => !/^(Warmed|Terminat|Detach)/.test(LifecycleState),
  );
  if (members.length === 0) return;
  const now = Date.now();
  // Tags allow few characters.
  const request = RequestId.replaceAll(/[^\w-]/g, '').slice(0, 36);
  const [date = '', ...refused] = (tagOf(described, DELETION_REFUSED_TAG) ?? '').split(' ');
  const age = now - Date.parse(date);
  // An older version wrote the date alone, which does not say whose request it was.
  const counts = refused.length > 0 && age >= 0 && age < CONFIRMED_UNTIL;
  if (counts && age >= CONFIRMED_FROM && !refused.includes(request)) return;
  const requests = counts ? [...new Set([...refused, request])].slice(-KEPT_REQUESTS) : [request];
  const Value = [counts ? date : new Date(now).toISOString(), ...requests].join(' ');
  const tag = { ResourceId: group, ResourceType: 'auto-scaling-group', Key: DELETION_REFUSED_TAG };
  const Tags = [{ ...tag, Value, PropagateAtLaunch: false }];
  await autoScaling.send(new CreateOrUpdateTagsCommand({ Tags }), { abortSignal });
  const fleet = group.slice(`${process.env.STACK_NAME}-`.length);
  throw new SettingsRefused(
    `The fleet has ${members.length} instances, which may run jobs. It still follows its queue. Run npm run drain -- ${fleet}, and delete the stack again when no instance is left. Or delete it again 5 to 60 minutes after the first refusal, which ends their jobs`,
  );
}

const tagOf = (group: AutoScalingGroup | undefined, key: string): string | undefined =>
  group?.Tags?.find(({ Key }) => Key === key)?.Value;

async function suspendRebalancing(group: string, { autoScaling, abortSignal }: Work): Promise<void> {
  try {
    await autoScaling.send(
      new SuspendProcessesCommand({ AutoScalingGroupName: group, ScalingProcesses: ['AZRebalance'] }),
      { abortSignal },
    );
  } catch (error) {
    // An emulator without this action has no rebalancing to suspend. AWS always has the action.
    if ((error as Error).name !== 'InvalidAction') throw error;
    console.warn(`This endpoint cannot suspend AZRebalance of ${group}`);
  }
}

async function endProtection(group: string, work: Work): Promise<void> {
  const { autoScaling, abortSignal } = work;
  // First of all, because an execution of the workflow may still run and launch instances.
  await autoScaling.send(
    new UpdateAutoScalingGroupCommand({
      AutoScalingGroupName: group,
      NewInstancesProtectedFromScaleIn: false,
    }),
    { abortSignal },
  );
  for (let look = 0; ; look += 1) {
    const described = await describe(group, work);
    const held = (described?.Instances ?? []).filter(
      (instance) =>
        instance.ProtectedFromScaleIn && !/^(Terminat|Detach)/.test(instance.LifecycleState ?? ''),
    );
    if (held.length === 0) return;
    // A pending instance keeps its protection until it is in service, so the loop waits for it.
    const settable = held.filter((instance) =>
      /^(InService|\w*Standby)$/.test(instance.LifecycleState ?? ''),
    );
    await unprotect(
      group,
      settable.flatMap((instance) => instance.InstanceId ?? []),
      work,
    );
    await work.sleep(FIRST_LOOKS_AFTER[look] ?? LOOKS_AFTER, abortSignal);
  }
}

async function describe(group: string, { autoScaling, abortSignal }: Work) {
  const answer = await autoScaling.send(
    new DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: [group] }),
    { abortSignal },
  );
  return answer.AutoScalingGroups?.[0];
}

async function unprotect(group: string, ids: string[], { autoScaling, abortSignal }: Work): Promise<void> {
  for (let start = 0; start < ids.length; start += BATCH) {
    try {
      await autoScaling.send(
        new SetInstanceProtectionCommand({
          AutoScalingGroupName: group,
          InstanceIds: ids.slice(start, start + BATCH),
          ProtectedFromScaleIn: false,
        }),
        { abortSignal },
      );
    } catch (error) {
      // The call fails if one of the instances has begun to leave. The next round names the others again.
      if (!/is not in InService/.test((error as Error).message)) throw error;
    }
  }
}
