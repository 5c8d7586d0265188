import { expect, it } from 'vitest';
import { keyOf, MOST_REPAIRS, MOST_TRIES, reconcile } from '../../functions/lib/reconcile.ts';
import type { ReconcileClients } from '../../functions/lib/reconcile-reads.ts';
import { repairAll } from '../../functions/lib/repair.ts';
import { HOUR, launched, NOW, SETTINGS, seen } from '../support/fleet-seen.ts';

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
