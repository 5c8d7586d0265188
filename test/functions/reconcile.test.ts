import { describe, expect, it } from 'vitest';
import type { FleetSeen } from '../../functions/lib/fleet-seen.ts';
import { type ReconcileSettings, reconcile, repairsOf } from '../../functions/lib/reconcile.ts';
import { transitionAt } from '../../functions/lib/reconcile-reads.ts';
import {
  DAY,
  HEALTHY,
  HOUR,
  LIFETIMES,
  launched,
  MINUTE,
  member,
  NOW,
  runner,
  SETTINGS,
  seen,
  withOne,
} from '../support/fleet-seen.ts';

const ONE = 'i-0000000c';
const terminate = { action: 'terminate-instance', instance: ONE } as const;
const leave = { action: 'terminate-member', instance: ONE } as const;

it('finds nothing in a healthy fleet', () => {
  expect(reconcile(seen(), SETTINGS, NOW)).toEqual([]);
});

describe('an instance', () => {
  it.each<{
    case: string;
    fleet: FleetSeen;
    kind: string | undefined;
    repair?: object | null;
    because?: RegExp;
    settings?: Partial<ReconcileSettings>;
  }>([
    {
      case: 'in no group, whose runner never connected',
      fleet: withOne(launched(ONE, 2 * HOUR)),
      kind: 'in no group',
      repair: terminate,
      because: /never connected/,
    },
    {
      case: 'in no group, whose runner is in contact: a person may have detached it while a job runs',
      fleet: withOne(launched(ONE, 2 * HOUR), { silence: MINUTE }),
      kind: 'in no group',
      because: /in contact/,
    },
    {
      case: 'in no group, whose runner is silent for less than a job may take',
      fleet: withOne(launched(ONE, DAY), { silence: 5 * HOUR }),
      kind: 'in no group',
      because: /silent for 5 h, and a job may take 5 h/,
    },
    {
      case: 'in no group, whose runner is silent for longer than a job may take',
      fleet: withOne(launched(ONE, DAY), { silence: 6 * HOUR + MINUTE }),
      kind: 'in no group',
      repair: terminate,
      because: /silent for 6 h/,
    },
    {
      case: 'in no group, which was stopped more than a day ago',
      fleet: withOne(launched(ONE, 2 * DAY, { state: 'stopped', stoppedAt: NOW - DAY - MINUTE })),
      kind: 'in no group',
      repair: terminate,
      because: /stopped for more than a day/,
    },
    {
      case: 'in no group, which ran for weeks and was stopped today',
      fleet: withOne(launched(ONE, 20 * DAY, { state: 'stopped', stoppedAt: NOW - 23 * HOUR })),
      kind: 'in no group',
      because: /stopped within the last day/,
    },
    {
      case: 'in no group, which is stopped for a time that EC2 does not say',
      fleet: withOne(launched(ONE, 20 * DAY, { state: 'stopped' })),
      kind: 'in no group',
      because: /EC2 does not say since when/,
    },
    {
      case: 'in no group, which stops',
      fleet: withOne(launched(ONE, 2 * DAY, { state: 'stopping' })),
      kind: 'in no group',
      because: /it is stopping/,
    },
    {
      case: 'in no group, which only has the Name of the fleet',
      fleet: withOne(launched(ONE, 2 * HOUR, { fromTemplate: false })),
      kind: 'in no group',
      because: /only its Name/,
    },
    { case: 'that was launched just now', fleet: withOne(launched(ONE, 14 * MINUTE)), kind: undefined },
    {
      case: 'that was launched a quarter of an hour ago, and may still connect',
      fleet: withOne(launched(ONE, 16 * MINUTE)),
      kind: 'in no group',
      because: /may still connect/,
    },
    {
      case: 'in no group, if EC2 Auto Scaling does not say which are in another',
      fleet: withOne(launched(ONE, 2 * HOUR), {}, { inOtherGroups: undefined }),
      kind: undefined,
    },
    {
      case: 'in another group, or in the warm pool',
      fleet: withOne(launched(ONE, 2 * HOUR), {}, { inOtherGroups: new Set([ONE]) }),
      kind: undefined,
    },
    {
      case: 'that is terminated',
      fleet: withOne(launched(ONE, HOUR, { state: 'terminated' })),
      kind: undefined,
    },
    { case: 'that a person keeps', fleet: withOne(launched(ONE, 2 * HOUR, { kept: true })), kind: undefined },
    {
      case: 'in service, whose runner never connected',
      fleet: withOne(launched(ONE, 2 * HOUR), { lifecycleState: 'InService' }),
      kind: 'never connected',
      repair: leave,
      because: /so it never had a job/,
    },
    {
      case: 'in service for less than a boot and an idle time',
      fleet: withOne(launched(ONE, 15 * MINUTE), { lifecycleState: 'InService' }),
      kind: undefined,
    },
    {
      case: 'in service for just longer: CircleCI may list its runner late',
      fleet: withOne(launched(ONE, 35 * MINUTE), { lifecycleState: 'InService' }),
      kind: 'never connected',
      because: /may still connect/,
    },
    {
      case: 'that was launched before the token was stored, so that it may run jobs of another class',
      fleet: withOne(
        launched(ONE, 2 * HOUR),
        { lifecycleState: 'InService' },
        { tokenStoredAt: NOW - 90 * MINUTE },
      ),
      kind: 'never connected',
      because: /stored after its launch/,
    },
    {
      case: 'that may have a token that was stored wrongly: no other with that token is listed',
      fleet: withOne(
        launched(ONE, 40 * MINUTE),
        { lifecycleState: 'InService' },
        { tokenStoredAt: NOW - 50 * MINUTE },
      ),
      kind: 'never connected',
      because: /no runner with the same token/,
    },
    {
      case: 'that may have the token of a former resource class: no other of its launch template version is listed',
      fleet: withOne(launched(ONE, 2 * HOUR, { templateVersion: '1' }), { lifecycleState: 'InService' }),
      kind: 'never connected',
      because: /same version of the launch template/,
    },
    {
      case: 'whose launch template version EC2 does not say',
      fleet: withOne(launched(ONE, 2 * HOUR, { templateVersion: undefined }), {
        lifecycleState: 'InService',
      }),
      kind: 'never connected',
      because: /is not known/,
    },
    {
      case: 'of whose token nobody knows when it was stored',
      fleet: withOne(launched(ONE, 2 * HOUR), { lifecycleState: 'InService' }, { tokenStoredAt: undefined }),
      kind: 'never connected',
      because: /is not known/,
    },
    {
      case: 'that a person attached',
      fleet: withOne(launched(ONE, 2 * HOUR, { fromTemplate: false }), { lifecycleState: 'InService' }),
      kind: 'never connected',
      because: /attached it/,
    },
    {
      case: 'that is too old, with a runner in contact',
      fleet: withOne(launched(ONE, 7 * HOUR), { lifecycleState: 'InService', silence: MINUTE }),
      kind: 'too old',
      because: /may run a job/,
    },
    {
      case: 'that is too old, and silent for longer than a job',
      fleet: withOne(launched(ONE, 7 * HOUR), { lifecycleState: 'InService', silence: 6 * HOUR + MINUTE }),
      kind: 'too old',
      repair: leave,
      because: /silent for 6 h/,
    },
    {
      case: 'that is too old, and not listed any more',
      fleet: withOne(launched(ONE, 13 * HOUR), { lifecycleState: 'InService' }),
      kind: 'too old',
      repair: leave,
      because: /for 12 h or longer/,
    },
    {
      case: 'that is not listed any more, in a fleet whose jobs may take a day',
      fleet: withOne(launched(ONE, 13 * HOUR), { lifecycleState: 'InService' }),
      settings: { lifetimes: { ...LIFETIMES, runSeconds: 86_400, ageLimitSeconds: 88_200 } },
      kind: 'never connected',
      because: /a job may take 24 h/,
    },
    {
      case: 'just below its age limit and its margin',
      fleet: withOne(launched(ONE, 6 * HOUR - 1), { lifecycleState: 'InService', silence: MINUTE }),
      kind: undefined,
    },
    {
      case: 'in service, if the deployed settings are older than this release',
      fleet: withOne(launched(ONE, 7 * HOUR), { lifecycleState: 'InService' }),
      settings: { lifetimes: undefined },
      kind: undefined,
    },
    {
      case: 'in no group, if the deployed settings are older than this release',
      fleet: withOne(launched(ONE, 7 * HOUR)),
      settings: { lifetimes: undefined },
      kind: 'in no group',
      because: /npx cdk deploy/,
    },
    {
      case: 'that has been leaving for hours',
      fleet: withOne(launched(ONE, 3 * HOUR), {
        lifecycleState: 'Terminating:Wait',
        silence: MINUTE,
        since: NOW - 2 * HOUR,
      }),
      kind: 'leaving',
      because: /lifecycle hook/,
    },
    {
      case: 'that has been leaving for an hour',
      fleet: withOne(launched(ONE, 3 * HOUR), {
        lifecycleState: 'Terminating:Wait',
        silence: MINUTE,
        since: NOW - HOUR,
      }),
      kind: undefined,
    },
    {
      case: 'that has been in standby for hours',
      fleet: withOne(launched(ONE, 3 * HOUR), {
        lifecycleState: 'Standby',
        silence: MINUTE,
        since: NOW - 2 * HOUR,
      }),
      kind: 'in standby',
      because: /a person/,
    },
    {
      case: 'in standby since a time that nobody knows',
      fleet: withOne(launched(ONE, 3 * HOUR), { lifecycleState: 'Standby', silence: MINUTE }),
      kind: undefined,
    },
  ])('$case', ({ fleet, kind, repair = null, because = /./, settings = {} }) => {
    const findings = reconcile(fleet, { ...SETTINGS, ...settings }, NOW);
    expect(findings).toEqual(
      kind === undefined
        ? []
        : [expect.objectContaining({ kind, resource: ONE, repair, because: expect.stringMatching(because) })],
    );
  });

  it.each([
    { case: 'no inventory', inventory: { missing: 'CircleCI answered 503' }, because: /503/ },
    { case: 'a 404', inventory: { none: true as const }, because: /404/ },
  ])('is only reported with $case', ({ inventory, because }) => {
    const findings = reconcile(withOne(launched(ONE, 2 * HOUR), {}, { inventory }), SETTINGS, NOW);
    const stray = findings.find(({ kind }) => kind === 'in no group');
    expect(stray).toMatchObject({ repair: null, because: expect.stringMatching(because) });
    expect(repairsOf(findings)).toEqual([]);
  });

  it.each([
    { case: 'most members are not listed', connected: 2, others: 3, free: false },
    { case: 'half of the members are listed', connected: 2, others: 2, free: true },
  ])('if $case, is repaired: $free', ({ connected, others, free }) => {
    const ids = Array.from({ length: connected + others }, (_, index) => `i-0000001${index}`);
    const fleet = seen({
      members: ids.map((id) => member(id)),
      instances: ids.map((id) => launched(id, 2 * HOUR)),
      inventory: { runners: ids.slice(0, connected).map((id) => runner(id, MINUTE)), at: NOW },
    });
    expect(repairsOf(reconcile(fleet, SETTINGS, NOW)).length > 0).toBe(free);
  });

  it('is only reported if CircleCI lists no runner in contact: its list may be old', () => {
    const fleet = seen({
      members: [],
      instances: [launched(ONE, DAY)],
      inventory: { runners: [runner(ONE, 8 * HOUR)], at: NOW },
    });
    expect(reconcile(fleet, SETTINGS, NOW)).toMatchObject([
      { kind: 'in no group', repair: null, because: expect.stringContaining('may be old') },
    ]);
  });
});

describe('what is left behind', () => {
  const volume = (createdAt: number, detachedAt?: number, kept = false) => ({
    id: 'vol-1',
    createdAt,
    detachedAt,
    gib: 30,
    kept,
  });
  it.each<{ case: string; more: Partial<FleetSeen>; found: object[] }>([
    {
      case: 'a volume of a year, which a person may have detached an hour ago',
      more: { volumes: [volume(NOW - 365 * DAY)] },
      found: [
        {
          kind: 'volume',
          since: null,
          repair: { action: 'mark-volume', volume: 'vol-1', detachedAt: NOW },
        },
      ],
    },
    {
      case: 'a volume that has been detached for more than a week',
      more: { volumes: [volume(NOW - 365 * DAY, NOW - 7 * DAY - MINUTE)] },
      found: [
        {
          kind: 'volume',
          since: NOW - 7 * DAY - MINUTE,
          repair: { action: 'delete-volume', volume: 'vol-1' },
        },
      ],
    },
    {
      case: 'a volume that was found to be detached less than a week ago',
      more: { volumes: [volume(NOW - 365 * DAY, NOW - 6 * DAY)] },
      found: [{ kind: 'volume', since: NOW - 6 * DAY, repair: null }],
    },
    { case: 'the volume of a launch', more: { volumes: [volume(NOW - 5 * MINUTE)] }, found: [] },
    {
      case: 'a volume that a person keeps',
      more: { volumes: [volume(NOW - 9 * DAY, NOW - 8 * DAY, true)] },
      found: [],
    },
    {
      case: 'a network interface',
      more: { interfaces: ['eni-1'] },
      found: [{ kind: 'interface', resource: 'eni-1', since: null, repair: null }],
    },
    {
      case: 'many versions of the launch template',
      more: { versions: { template: 'lt-1', unused: Array.from({ length: 31 }, (_, index) => index + 2) } },
      found: [
        {
          kind: 'versions',
          resource: 'lt-1',
          repair: {
            action: 'delete-versions',
            template: 'lt-1',
            versions: Array.from({ length: 20 }, (_, index) => index + 2),
          },
        },
      ],
    },
    {
      case: 'some versions of the launch template',
      more: { versions: { template: 'lt-1', unused: Array.from({ length: 30 }, (_, index) => index + 2) } },
      found: [],
    },
    {
      case: 'nothing, if nothing could be read',
      more: { instances: undefined, volumes: undefined, interfaces: undefined, versions: undefined },
      found: [],
    },
  ])('$case', ({ more, found }) => {
    expect(reconcile(seen(more), SETTINGS, NOW)).toEqual(found.map((each) => expect.objectContaining(each)));
  });

  it.each([
    {
      name: 'mac-mini',
      foreign: new Set<string>(),
      otherRunners: 0,
      says: /^it takes jobs of the resource class$/,
    },
    { name: 'mac-mini', foreign: new Set<string>(), otherRunners: 1, says: undefined },
    { name: 'i-0000000d', foreign: new Set<string>(), otherRunners: 0, says: /another account or region/ },
    { name: 'i-0000000d', foreign: new Set(['i-0000000d']), otherRunners: 0, says: /outside of the fleet/ },
  ])('a runner $name, with otherRunners $otherRunners: $says', ({ name, foreign, otherRunners, says }) => {
    const fleet = seen({ foreign });
    const runners = [...HEALTHY, name].map((each) => runner(each, MINUTE));
    const findings = reconcile(
      { ...fleet, inventory: { runners, at: NOW } },
      { ...SETTINGS, otherRunners },
      NOW,
    );
    expect(findings).toEqual(
      says === undefined
        ? []
        : [expect.objectContaining({ kind: 'runner', resource: name, says: expect.stringMatching(says) })],
    );
  });

  it('no runner of a member that EC2 does not list, as right after its launch', () => {
    const runners = [...HEALTHY, ONE].map((id) => runner(id, MINUTE));
    const { members, instances } = seen();
    const late = [...members, { id: ONE, lifecycleState: 'InService' }];
    const fleet = seen({ members: late, instances, inventory: { runners, at: NOW } });
    expect(reconcile(fleet, SETTINGS, NOW)).toEqual([]);
    expect(reconcile({ ...fleet, members }, SETTINGS, NOW)).toMatchObject([
      { kind: 'runner', resource: ONE },
    ]);
  });

  it('no runner whose instance has left: CircleCI lists it for 12 hours more', () => {
    const runners = [...HEALTHY.map((id) => runner(id, MINUTE)), runner('i-0000000e', 40 * MINUTE)];
    expect(reconcile(seen({ inventory: { runners, at: NOW } }), SETTINGS, NOW)).toEqual([]);
  });
});

it('begins with the oldest instance', () => {
  const ids = ['i-0000002a', 'i-0000002b', 'i-0000002c', 'i-0000002d'];
  const ages = [2, 9, 5, 7];
  const { instances = [] } = seen();
  const strays = ids.map((id, index) => launched(id, (ages[index] ?? 0) * HOUR));
  const repairs = repairsOf(reconcile(seen({ instances: [...(instances ?? []), ...strays] }), SETTINGS, NOW));
  expect(repairs.map(({ resource }) => resource)).toEqual(['i-0000002b', 'i-0000002d', 'i-0000002c']);
});

it.each([
  { reason: 'User initiated (2026-01-05 11:59:30 GMT)', at: Date.parse('2026-01-05T11:59:30Z') },
  { reason: 'User initiated shutdown (2026-01-05 11:59:30 GMT)', at: Date.parse('2026-01-05T11:59:30Z') },
  { reason: 'Server.SpotInstanceShutdown: Instance stopped', at: undefined },
  { reason: '', at: undefined },
  { reason: undefined, at: undefined },
])('EC2 says that an instance was stopped at $at: $reason', ({ reason, at }) => {
  expect(transitionAt(reason)).toBe(at);
});
