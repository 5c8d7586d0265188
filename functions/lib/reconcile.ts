/**
 * What a fleet has left behind, or keeps although it does nothing: the group, EC2 and CircleCI's inventory of runners,
 * compared by instance id. Pure. It finds more than may be repaired: what runs a job is never touched, and only the
 * instance itself knows whether it does. So a repair needs evidence, and without it a finding is only reported.
 */

import type { FleetSeen, SeenInstance, SeenMember, SeenVolume } from './fleet-seen.ts';
import type { Inventory, ListedRunner } from './inventory.ts';
import { describeMissing, evidenceOf, IN_CONTACT, type Lifetimes } from './reconcile-evidence.ts';

export interface ReconcileSettings {
  /** `undefined` if an older deployment wrote the settings. */
  lifetimes: Lifetimes | undefined;
  /** How many runners of the class are outside of the group, as the fleet's owner knows. */
  otherRunners: number;
}

export type LeftoverKind =
  | 'in no group'
  | 'never connected'
  | 'too old'
  | 'leaving'
  | 'in standby'
  | 'volume'
  | 'interface'
  | 'versions'
  | 'runner';

/** What repairs a finding. */
export type Repair =
  /** Terminate the instance in EC2: it is in no group. */
  | { action: 'terminate-instance'; instance: string }
  /** Terminate the member in its group and lower the desired capacity, as the instance itself does. */
  | { action: 'terminate-member'; instance: string }
  /** Write down since when the volume is known to be detached, because EC2 does not say it. */
  | { action: 'mark-volume'; volume: string; detachedAt: number }
  | { action: 'delete-volume'; volume: string }
  | { action: 'delete-versions'; template: string; versions: number[] };

export interface Leftover {
  kind: LeftoverKind;
  /** The id of the instance, volume, interface or launch template, or the name of the runner. */
  resource: string;
  /** Since when, in milliseconds since the epoch; `null` if it is not known. */
  since: number | null;
  says: string;
  /** What may be done; `null` if the finding is only reported. */
  repair: Repair | null;
  /** Why it may be done, or why not. */
  because: string;
}

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** AWS's lists differ for some minutes after a launch. */
const YOUNG = 15 * MINUTE;

/** An instance leaves by itself at its age limit, after up to seven minutes of retries. */
const AGE_MARGIN = 30 * MINUTE;

/** How long a member may leave or be in standby. */
const STUCK = 2 * HOUR;

/** How long a volume must have been detached: a person may look at it. It may have been in use for months before. */
const VOLUME_KEPT = 7 * DAY;
const VOLUME_YOUNG = HOUR;

/** With more unused versions than that, the oldest of them are deleted. AWS takes 200 in a call. */
const MOST_UNUSED_VERSIONS = 30;
const DELETED_VERSIONS = 20;

/** How much one run repairs at most: a mistake must not reach a whole fleet before a person sees the first ones. */
export const MOST_REPAIRS = 3;

/**
 * Compares what was read, and says what is left behind.
 *
 * @param now Milliseconds since the epoch.
 */
export function reconcile(seen: FleetSeen, settings: ReconcileSettings, now: number): Leftover[] {
  const instances = (seen.instances ?? []).filter(({ kept }) => !kept);
  const members = new Map(seen.members.map((member) => [member.id, member]));
  const found = [
    ...instances.flatMap((instance) => {
      const member = members.get(instance.id);
      return (
        (member === undefined
          ? strayOf(instance, seen, settings, now)
          : memberFinding(instance, member, seen, settings, now)) ?? []
      );
    }),
    ...seen.members.flatMap((member) => stuckOf(member, instances, now) ?? []),
  ].sort((a, b) => (a.since ?? now) - (b.since ?? now));
  const all = [...found, ...leftovers(seen, now), ...strangers(seen, settings)];
  // Whatever is wrong with the inventory: no repair without a whole one.
  if ('runners' in seen.inventory) return all;
  const why = describeMissing(seen.inventory);
  return all.map((finding) =>
    finding.repair === null ? finding : { ...finding, repair: null, because: why },
  );
}

/** How many repairs one run tries at most: AWS may refuse those of instances that lack the tag of the role. */
export const MOST_TRIES = 20;

/** The findings that a run may repair, the costliest first. */
export const repairable = (findings: readonly Leftover[]): (Leftover & { repair: Repair })[] =>
  findings.filter((finding): finding is Leftover & { repair: Repair } => finding.repair !== null);

/** The findings that one run repairs if AWS refuses none. */
export const repairsOf = (findings: readonly Leftover[]): (Leftover & { repair: Repair })[] =>
  repairable(findings).slice(0, MOST_REPAIRS);

/** The same finding at another time has the same key. */
export const keyOf = ({ kind, resource }: Pick<Leftover, 'kind' | 'resource'>): string =>
  `${kind} ${resource}`;

/** The kinds that cost money as long as they last, or run no job although they could. */
const COSTLY: readonly LeftoverKind[] = ['in no group', 'never connected', 'too old', 'leaving', 'volume'];

/** The findings for which an alarm rings. */
export const costlyOf = (findings: readonly Leftover[]): Leftover[] =>
  findings.filter(({ kind }) => COSTLY.includes(kind));

const EXISTS = /^(pending|running|stopping|stopped)$/;

function strayOf(
  instance: SeenInstance,
  seen: FleetSeen,
  settings: ReconcileSettings,
  now: number,
): Leftover | undefined {
  const { id, state, launchedAt, fromTemplate } = instance;
  const elsewhere = seen.inOtherGroups === undefined || seen.inOtherGroups.has(id);
  if (!EXISTS.test(state) || elsewhere || now - launchedAt < YOUNG) return undefined;
  const says = `it is ${state} and in no group, so nothing ends it`;
  const finding = { kind: 'in no group' as const, resource: id, since: launchedAt, says };
  if (!fromTemplate)
    return only(
      finding,
      "only its Name says that it is of the fleet: the fleet's launch template did not launch it",
    );
  const { free, because } = evidenceOf(instance, seen, settings.lifetimes, now);
  return free
    ? { ...finding, repair: { action: 'terminate-instance', instance: id }, because }
    : only(finding, because);
}

function memberFinding(
  instance: SeenInstance,
  { lifecycleState }: SeenMember,
  seen: FleetSeen,
  settings: ReconcileSettings,
  now: number,
): Leftover | undefined {
  const { lifetimes } = settings;
  if (lifetimes === undefined || lifecycleState !== 'InService' || instance.state !== 'running')
    return undefined;
  const finding = uselessMember(instance, seen.inventory, lifetimes, now);
  if (finding === undefined) return undefined;
  if (!instance.fromTemplate)
    return only(finding, "the fleet's launch template did not launch it: a person attached it to the group");
  const { free, because } = evidenceOf(instance, seen, lifetimes, now);
  return free
    ? { ...finding, repair: { action: 'terminate-member', instance: instance.id }, because }
    : only(finding, because);
}

function uselessMember(
  { id, launchedAt }: SeenInstance,
  inventory: Inventory,
  { bootSeconds, idleSeconds, ageLimitSeconds }: Lifetimes,
  now: number,
): Omit<Leftover, 'repair' | 'because'> | undefined {
  const connectBy = launchedAt + (bootSeconds + idleSeconds) * 1_000;
  const leaveBy = launchedAt + ageLimitSeconds * 1_000 + AGE_MARGIN;
  const isListed = runnersIn(inventory).some(({ name }) => name === id);
  if (now > leaveBy)
    return {
      kind: 'too old',
      resource: id,
      since: leaveBy,
      says: 'it is older than any job allows, and has not left by itself',
    };
  if (now > connectBy && !isListed && !('missing' in inventory))
    return {
      kind: 'never connected',
      resource: id,
      since: connectBy,
      says: 'it is in service, and CircleCI does not list its runner',
    };
  return undefined;
}

/** Nothing ends a member that a hook or a person holds in such a state, and only they know why. */
function stuckOf(
  { id, lifecycleState, since }: SeenMember,
  instances: SeenInstance[],
  now: number,
): Leftover | undefined {
  const kind = /^Terminating/.test(lifecycleState)
    ? 'leaving'
    : /Standby$/.test(lifecycleState)
      ? 'in standby'
      : undefined;
  if (kind === undefined || since === undefined || now - since < STUCK) return undefined;
  if (!instances.some((instance) => instance.id === id)) return undefined;
  const finding = { kind, resource: id, since } as const;
  return kind === 'leaving'
    ? only(
        { ...finding, says: `it has been ${lifecycleState} for hours` },
        'a lifecycle hook that the deployment did not make holds it, or EC2 does not end it',
      )
    : only(
        { ...finding, says: 'it is in standby, where it takes jobs and is not counted' },
        'a person put it there',
      );
}

/** Volumes, network interfaces and launch template versions: no job can run on them. */
function leftovers({ volumes, interfaces, versions }: FleetSeen, now: number): Leftover[] {
  return [
    ...(volumes ?? [])
      .filter(({ kept, createdAt }) => !kept && now - createdAt > VOLUME_YOUNG)
      .map((volume) => volumeFinding(volume, now)),
    ...(interfaces ?? []).map((id) =>
      only(
        { kind: 'interface', resource: id, since: null, says: 'no instance has it attached' },
        'it costs nothing, and a launch may be about to use it',
      ),
    ),
    ...(versions !== undefined && versions.unused.length > MOST_UNUSED_VERSIONS
      ? [versionsFinding(versions)]
      : []),
  ];
}

function volumeFinding({ id, detachedAt, gib }: SeenVolume, now: number): Leftover {
  const says = `${gib} GiB that no instance has attached`;
  const finding = { kind: 'volume' as const, resource: id, since: detachedAt ?? null, says };
  if (detachedAt === undefined)
    return {
      ...finding,
      repair: { action: 'mark-volume', volume: id, detachedAt: now },
      because: 'EC2 does not say since when, so it is marked first, and can be deleted a week later',
    };
  return now - detachedAt > VOLUME_KEPT
    ? {
        ...finding,
        repair: { action: 'delete-volume', volume: id },
        because: 'it has been so for more than a week',
      }
    : only(finding, 'a person may have detached it to look at it: that was found less than a week ago');
}

const versionsFinding = ({ template, unused }: { template: string; unused: number[] }): Leftover => ({
  kind: 'versions',
  resource: template,
  since: null,
  says: `${unused.length} of its versions are older than a month, and nothing uses them`,
  repair: { action: 'delete-versions', template, versions: unused.slice(0, DELETED_VERSIONS) },
  because: 'no group and no instance was launched from them',
});

/**
 * Runners in contact that are no instances of the fleet, beyond those that its owner knows. A member of the group is one of the
 * fleet also while EC2 does not list it, which is eventually consistent:
 * https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html
 */
function strangers(
  { inventory, instances, members, foreign }: FleetSeen,
  { otherRunners }: ReconcileSettings,
): Leftover[] {
  if (!('runners' in inventory) || instances === undefined) return [];
  const own = new Set([...instances, ...members].map(({ id }) => id));
  const others = inventory.runners.filter(
    ({ name, lastConnected }) => !own.has(name) && inventory.at - lastConnected <= IN_CONTACT,
  );
  if (others.length <= otherRunners) return [];
  return others.map((runner) =>
    only(
      { kind: 'runner', resource: runner.name, since: runner.firstConnected, says: whoIs(runner, foreign) },
      'it is no instance of the fleet. If it is yours, set otherRunners',
    ),
  );
}

const INSTANCE_ID = /^i-[0-9a-f]{8,17}$/;

function whoIs({ name }: ListedRunner, foreign: ReadonlySet<string> | undefined): string {
  if (!INSTANCE_ID.test(name)) return 'it takes jobs of the resource class';
  if (foreign === undefined) return 'it takes jobs of the resource class, and is named as an instance';
  return foreign.has(name)
    ? 'it takes jobs of the resource class, and is an instance outside of the fleet'
    : 'it takes jobs of the resource class, and is an instance of another account or region, or is gone';
}

const runnersIn = (inventory: Inventory) => ('runners' in inventory ? inventory.runners : []);

const only = (finding: Omit<Leftover, 'repair' | 'because'>, because: string): Leftover => ({
  ...finding,
  repair: null,
  because,
});
