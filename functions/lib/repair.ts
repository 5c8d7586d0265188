import {
  DescribeAutoScalingInstancesCommand,
  TerminateInstanceInAutoScalingGroupCommand,
} from '@aws-sdk/client-auto-scaling';
import {
  CreateTagsCommand,
  DeleteLaunchTemplateVersionsCommand,
  DeleteVolumeCommand,
  TerminateInstancesCommand,
} from '@aws-sdk/client-ec2';
import { keyOf, type Leftover, MOST_REPAIRS, MOST_TRIES, type Repair, repairable } from './reconcile.ts';
import type { ReconcileClients } from './reconcile-reads.ts';
import { DETACHED_TAG } from './tags.ts';

export interface Repaired {
  resource: string;
  done: boolean;
  /** What was done, or why nothing was. */
  says: string;
}

/**
 * Repairs findings, one after the other, until `MOST_REPAIRS` are repaired. It goes on if AWS refuses one, so that the
 * oldest findings cannot keep the others from being repaired.
 *
 * @param findings What is found now.
 * @param before The keys of what was found before. Only what was found both times is repaired.
 */
export async function repairAll(
  clients: Pick<ReconcileClients, 'autoScaling' | 'ec2'>,
  groupName: string,
  findings: readonly Leftover[],
  before: readonly string[],
): Promise<Repaired[]> {
  const repaired: Repaired[] = [];
  const foundTwice = repairable(findings).filter((finding) => before.includes(keyOf(finding)));
  for (const finding of foundTwice.slice(0, MOST_TRIES)) {
    if (repaired.filter(({ done }) => done).length === MOST_REPAIRS) break;
    const { resource, repair } = finding;
    try {
      repaired.push({ resource, ...(await repairOne(clients, groupName, repair)) });
    } catch (error) {
      const { name, message } = error as Error;
      const [line = ''] = message.split('\n');
      repaired.push({ resource, done: false, says: `not repaired: ${name}: ${line}` });
    }
  }
  return repaired;
}

/**
 * Repairs one finding. Before it ends an instance, it looks again in which group the instance is.
 *
 * @returns What was done, or why nothing was.
 * @throws an error of AWS.
 */
export async function repairOne(
  clients: Pick<ReconcileClients, 'autoScaling' | 'ec2'>,
  groupName: string,
  repair: Repair,
): Promise<{ done: boolean; says: string }> {
  const { autoScaling, ec2 } = clients;
  switch (repair.action) {
    case 'terminate-member': {
      const { group, state } = await whereIs(clients, repair.instance);
      if (group !== groupName || state !== 'InService')
        return { done: false, says: `left alone: it is ${state ?? 'in no group'} now` };
      // As the instance itself does when it leaves: the next poll launches another one if tasks wait.
      await autoScaling.send(
        new TerminateInstanceInAutoScalingGroupCommand({
          InstanceId: repair.instance,
          ShouldDecrementDesiredCapacity: true,
        }),
      );
      return { done: true, says: 'terminated, and the desired capacity is lower by 1' };
    }
    case 'terminate-instance': {
      const { group } = await whereIs(clients, repair.instance);
      if (group !== undefined) return { done: false, says: `left alone: it is in group ${group} now` };
      await ec2.send(new TerminateInstancesCommand({ InstanceIds: [repair.instance] }));
      return { done: true, says: 'terminated' };
    }
    case 'mark-volume': {
      const Value = new Date(repair.detachedAt).toISOString();
      await ec2.send(
        new CreateTagsCommand({ Resources: [repair.volume], Tags: [{ Key: DETACHED_TAG, Value }] }),
      );
      return { done: true, says: 'marked: it can be deleted in a week' };
    }
    case 'delete-volume':
      await ec2.send(new DeleteVolumeCommand({ VolumeId: repair.volume }));
      return { done: true, says: 'deleted' };
    case 'delete-versions':
      return deleteVersions(clients, repair);
  }
}

async function whereIs(
  { autoScaling }: Pick<ReconcileClients, 'autoScaling'>,
  instance: string,
): Promise<{ group: string | undefined; state: string | undefined }> {
  const { AutoScalingInstances = [] } = await autoScaling.send(
    new DescribeAutoScalingInstancesCommand({ InstanceIds: [instance] }),
  );
  const found = AutoScalingInstances.find(({ InstanceId }) => InstanceId === instance);
  return { group: found?.AutoScalingGroupName, state: found?.LifecycleState };
}

async function deleteVersions(
  { ec2 }: Pick<ReconcileClients, 'ec2'>,
  { template, versions }: Extract<Repair, { action: 'delete-versions' }>,
): Promise<{ done: boolean; says: string }> {
  const { UnsuccessfullyDeletedLaunchTemplateVersions: left = [] } = await ec2.send(
    new DeleteLaunchTemplateVersionsCommand({ LaunchTemplateId: template, Versions: versions.map(String) }),
  );
  const [first] = left;
  return {
    done: left.length < versions.length,
    says: `deleted ${versions.length - left.length} versions${first === undefined ? '' : `, not version ${first.VersionNumber}: ${first.ResponseError?.Message ?? 'no reason given'}`}`,
  };
}
