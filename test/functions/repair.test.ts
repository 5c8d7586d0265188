import { describe, expect, it } from 'vitest';
import { keyOf, MOST_REPAIRS, MOST_TRIES, type Repair, reconcile } from '../../functions/lib/reconcile.ts';
import type { ReconcileClients } from '../../functions/lib/reconcile-reads.ts';
import { repairAll, repairOne } from '../../functions/lib/repair.ts';
import { HOUR, launched, NOW, SETTINGS, seen } from '../support/fleet-seen.ts';
import { clientsThat } from '../support/leftover-account.ts';

/** An account in which no instance is in a group, and the role may not end these instances. */
function accountThatRefuses(refused: readonly string[]) {
  const tried: string[] = [];
  const clients = {
    autoScaling: { send: async () => ({ AutoScalingInstances: [] }) },
    ec2: {
      send: async ({ input }: { input: { InstanceIds?: string[] } }) => {
        const [id = ''] = input.InstanceIds ?? [];
        tried.push(id);
        if (refused.includes(id)) throw Object.assign(new Error('no'), { name: 'UnauthorizedOperation' });
        return {};
      },
    },
  };
  return { tried, clients: clients as unknown as ReconcileClients };
}

/** Instances in no group, the oldest first. */
function findingsOf(count: number) {
  const strays = Array.from({ length: count }, (_, index) =>
    launched(`i-00000${100 + index}`, 10 * HOUR - index * 1_000),
  );
  const findings = reconcile(seen({ instances: [...(seen().instances ?? []), ...strays] }), SETTINGS, NOW);
  return { findings, ids: strays.map(({ id }) => id) };
}

it.each([
  { refused: 0, done: MOST_REPAIRS, tries: MOST_REPAIRS },
  { refused: 3, done: MOST_REPAIRS, tries: 3 + MOST_REPAIRS },
  { refused: MOST_TRIES + 5, done: 0, tries: MOST_TRIES },
])('$refused refusals leave $done repairs of a run', async ({ refused, done, tries }) => {
  const { findings, ids } = findingsOf(30);
  const { clients, tried } = accountThatRefuses(ids.slice(0, refused));
  const repaired = await repairAll(clients, 'group', findings, findings.map(keyOf));
  expect(repaired.filter((each) => each.done)).toHaveLength(done);
  expect(tried).toEqual(ids.slice(0, tries));
});

it('repairs only what was found before as well', async () => {
  const { findings, ids } = findingsOf(5);
  const { clients, tried } = accountThatRefuses([]);
  await repairAll(clients, 'group', findings, findings.slice(3).map(keyOf));
  expect(tried).toEqual(ids.slice(3));
});

it('marks a volume with the time since which it is known to be detached, and nothing else', async () => {
  const sent: object[] = [];
  const clients = { ec2: { send: async ({ input }: { input: object }) => sent.push(input) } };
  const volumes = [{ id: 'vol-1', createdAt: NOW - 400 * HOUR, detachedAt: undefined, gib: 30, kept: false }];
  const findings = reconcile(seen({ volumes }), SETTINGS, NOW);
  expect(
    await repairAll(clients as unknown as ReconcileClients, 'group', findings, findings.map(keyOf)),
  ).toEqual([{ resource: 'vol-1', done: true, says: 'marked: it can be deleted in a week' }]);
  const Value = new Date(NOW).toISOString();
  expect(sent).toEqual([{ Resources: ['vol-1'], Tags: [{ Key: 'circleci-runners:detached-since', Value }] }]);
});

/** What a repair does and asks for, in an account in which the instance is where `place` says. */
async function repair(repair: Repair, { place, left }: { place?: object[]; left?: object[] } = {}) {
  const writes: [string, object][] = [];
  const looks: object[] = [];
  const clients = clientsThat((operation, input) => {
    if (operation === 'DescribeAutoScalingInstances') {
      looks.push(input);
      return { ...(place && { AutoScalingInstances: place }) };
    }
    writes.push([operation, input]);
    return { ...(left && { UnsuccessfullyDeletedLaunchTemplateVersions: left }) };
  });
  return { answer: await repairOne(clients, 'own', repair), writes, looks };
}

describe('before it ends an instance, it looks again where the instance is', () => {
  const instance = 'i-0000000a';
  const at = (AutoScalingGroupName: string, LifecycleState: string, InstanceId = instance) => ({
    InstanceId,
    AutoScalingGroupName,
    LifecycleState,
  });

  it.each<{ case: string; place: object[] | undefined; says: string }>([
    {
      case: 'leaves by itself',
      place: [at('own', 'Terminating')],
      says: 'left alone: it is Terminating now',
    },
    { case: 'is in standby', place: [at('own', 'Standby')], says: 'left alone: it is Standby now' },
    { case: 'is in another group', place: [at('web', 'InService')], says: 'left alone: it is InService now' },
    { case: 'is gone', place: undefined, says: 'left alone: it is in no group now' },
    {
      case: 'is not the one that AWS describes',
      place: [at('own', 'InService', 'i-0000000b')],
      says: 'left alone: it is in no group now',
    },
  ])('and leaves a member alone that $case', async ({ place, says }) => {
    const { answer, writes, looks } = await repair(
      { action: 'terminate-member', instance },
      place && { place },
    );
    expect(answer).toEqual({ done: false, says });
    expect(looks).toEqual([{ InstanceIds: [instance] }]);
    expect(writes).toEqual([]);
  });

  it('and ends a member in service, with its place in the desired capacity', async () => {
    const { answer, writes } = await repair(
      { action: 'terminate-member', instance },
      { place: [at('web', 'Standby', 'i-0000000b'), at('own', 'InService')] },
    );
    expect(answer).toEqual({ done: true, says: 'terminated, and the desired capacity is lower by 1' });
    expect(writes).toEqual([
      ['TerminateInstanceInAutoScalingGroup', { InstanceId: instance, ShouldDecrementDesiredCapacity: true }],
    ]);
  });

  it.each(['own', 'web'])('and leaves an instance alone that is in group %s now', async (group) => {
    const { answer, writes } = await repair(
      { action: 'terminate-instance', instance },
      { place: [at(group, 'Pending')] },
    );
    expect(answer).toEqual({ done: false, says: `left alone: it is in group ${group} now` });
    expect(writes).toEqual([]);
  });

  it('and ends an instance that is in no group', async () => {
    const { answer, writes, looks } = await repair({ action: 'terminate-instance', instance });
    expect(answer).toEqual({ done: true, says: 'terminated' });
    expect(looks).toEqual([{ InstanceIds: [instance] }]);
    expect(writes).toEqual([['TerminateInstances', { InstanceIds: [instance] }]]);
  });
});

it('deletes a volume', async () => {
  const { answer, writes } = await repair({ action: 'delete-volume', volume: 'vol-1' });
  expect(answer).toEqual({ done: true, says: 'deleted' });
  expect(writes).toEqual([['DeleteVolume', { VolumeId: 'vol-1' }]]);
});

describe('versions of a launch template', () => {
  const failed = (VersionNumber: number, Message?: string) => ({
    VersionNumber,
    ...(Message !== undefined && { ResponseError: { Message } }),
  });

  it.each<{ case: string; left: object[] | undefined; done: boolean; says: string }>([
    { case: 'all', left: undefined, done: true, says: 'deleted 3 versions' },
    {
      case: 'some',
      left: [failed(4, 'It is the default.')],
      done: true,
      says: 'deleted 2 versions, not version 4: It is the default.',
    },
    {
      case: 'none',
      left: [failed(2), failed(3, 'no'), failed(4, 'no')],
      done: false,
      says: 'deleted 0 versions, not version 2: no reason given',
    },
  ])('are deleted, and the answer says why one was not: $case', async ({ left, done, says }) => {
    const { answer, writes } = await repair(
      { action: 'delete-versions', template: 'lt-1', versions: [2, 3, 4] },
      left && { left },
    );
    expect(answer).toEqual({ done, says });
    expect(writes).toEqual([
      ['DeleteLaunchTemplateVersions', { LaunchTemplateId: 'lt-1', Versions: ['2', '3', '4'] }],
    ]);
  });
});

it('says which error of AWS kept a finding from being repaired, in one line', async () => {
  const { findings, ids } = findingsOf(1);
  const clients = clientsThat((operation) => {
    if (operation !== 'TerminateInstances') return {};
    throw Object.assign(new Error('You are not authorized.\nEncoded authorization failure: xyz'), {
      name: 'UnauthorizedOperation',
    });
  });
  expect(await repairAll(clients, 'own', findings, findings.map(keyOf))).toEqual([
    {
      resource: ids[0],
      done: false,
      says: 'not repaired: UnauthorizedOperation: You are not authorized.',
    },
  ]);
});
