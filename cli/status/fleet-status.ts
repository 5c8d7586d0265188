/** The status of fleets, from what was read of them. Pure. */

import { listPrice } from '../../fleets/prices.ts';
import type { ListedRunner } from '../../functions/lib/inventory.ts';
import { IN_CONTACT } from '../../functions/lib/reconcile-evidence.ts';
import { effectiveSettings } from '../../functions/lib/schedules.ts';
import { NOT_CHECKED } from '../../functions/lib/zero.ts';
import { FAILURES } from '../../statemachine/failures.ts';
import { type AwaitingRecord, awaitingNow, failureNow } from '../deployed/awaiting.ts';
import type { BootTimes } from '../deployed/boots.ts';
import type { DecisionRecord } from '../deployed/decisions.ts';
import { type FleetGroup, type Member, newGroupAge, type PoolInstance } from '../deployed/groups.ts';
import type { FleetImage } from '../deployed/images.ts';
import { LAST_DECISIONS, type StatusReading } from './reads.ts';

/** Times are seconds. `null` means that it is not known. */
export interface FleetStatus {
  fleet: string;
  resourceClass: string | null;
  queue: number | null;
  running: number | null;
  desired: number;
  limits: { minReplicas: number; maxReplicas: number } | null;
  members: Record<Member['kind'], number>;
  /** Of the members in service, how many run a task by CircleCI's count. */
  busy: number | null;
  instances: DescribedMember[];
  /** How many instances the warm pool has, and those that were read; `null` if it has no warm pool. */
  warmPool: { size: number; instances: DescribedInstance[] | null } | null;
  decision: { secondsAgo: number; desired: number; reasons: string[] } | null;
  /** Why there is no decision: the fleet is new, or the log could not be read; `null` if it should have decided. */
  undecided: 'first execution due' | 'decisions not read' | null;
  /** What the fleet waits for before it decides anything, and what to do. */
  waits: string | null;
  /** The error at which its executions fail before they decide anything. */
  fails: string | null;
  /** What a count of 0 was not checked against, with the reason. */
  notChecked: string[];
  schedule: string | null;
  breaker: 'open' | 'closed';
  paused: { how: 'true' | 'drain'; since: string | null } | null;
  suspended: string[];
  /** Whether `Launch` is suspended for a drain. While the fleet drains no more, the next poll resumes it. */
  suspendedForDrain: boolean;
  nextPollSeconds: number | null;
  /** The alarms that ring, without the name of the fleet. */
  alarms: string[];
  /** How long the boots of the last day took; `null` if that was not read. */
  boots: BootTimes | null;
  /** The image that launches have, if it is built, since when, and the last build; `null` if that was not read. */
  image: {
    id: string;
    since: string;
    lastBuild: { build: string; status: string; created: string | null } | null;
  } | null;
  /** US dollars since the beginning of the month, at the list price of its most expensive type. */
  monthCost: number | null;
}

interface DescribedInstance {
  instance: string;
  state: string;
  age: number | null;
  doing: string;
}

interface DescribedMember extends DescribedInstance {
  /**
   * How long ago its runner connected first, was in contact, and was used last, by CircleCI's list; `null` if it is not
   * listed or was not read. `used` is `null` if it never was, or at a time that is not known.
   */
  runner: { connected: number; contact: number; used: number | null } | null;
}

/** How much later than by CircleCI's clock a task may have been counted, in milliseconds. */
const CLOCKS_DIFFER = 30_000;

/** A fleet is polled at least once a minute, and its log lines arrive seconds later. */
const SLOWEST_POLL = 60;

/**
 * @param prices The price of an hour by fleet, if fleets.yaml says more than the group does.
 * @param now Milliseconds since the epoch.
 */
export function fleetStatuses(
  app: string,
  {
    groups,
    pools,
    decisions,
    awaiting,
    alarms,
    settings,
    launchedAt,
    hours,
    boots,
    images,
    runners,
    missing,
  }: StatusReading,
  prices: ReadonlyMap<string, number>,
  now: number,
): FleetStatus[] {
  return groups.map((group): FleetStatus => {
    const { fleet, members, desired, paused } = group;
    const deployed = settings.get(fleet);
    const own = decisions.filter((decision) => decision.fleet === fleet);
    const last = own.at(-1);
    const counted = own.findLast(({ unclaimed }) => unclaimed !== undefined);
    const inForce = deployed && effectiveSettings(deployed.capacity, now);
    const count = (kind: Member['kind']) => members.filter((member) => member.kind === kind).length;
    const inService = count('inService');
    const price = prices.get(fleet) ?? priceOf(group);
    const spent = hours.get(group.group);
    const busy = counted?.running === undefined ? null : Math.min(counted.running, inService);
    const listed = runners.get(fleet);
    const doingOf = describeRunners(group, listed, { busy, at: counted?.at ?? 0 }, now);
    return {
      fleet,
      resourceClass: deployed?.resourceClass ?? null,
      queue: counted?.unclaimed ?? null,
      running: counted?.running ?? null,
      desired,
      limits: inForce
        ? { minReplicas: inForce.inForce.minReplicas, maxReplicas: inForce.inForce.maxReplicas }
        : null,
      members: { pending: count('pending'), inService, leaving: count('leaving'), standby: count('standby') },
      busy,
      instances: members.map((member) =>
        describeMember(member, launchedAt.get(member.instance), doingOf(member), now),
      ),
      warmPool:
        group.warmPoolSize === undefined
          ? null
          : {
              size: pools.get(group.group)?.length ?? group.warmPoolSize,
              instances:
                pools
                  .get(group.group)
                  ?.map((each) => describePoolInstance(each, launchedAt.get(each.instance), now)) ?? null,
            },
      decision: last
        ? {
            secondsAgo: secondsSince(last.at, now),
            desired: last.decision.desired,
            reasons: last.decision.reasons,
          }
        : null,
      undecided: last ? null : whyUndecided(group, missing, now),
      waits: awaitingNow(fleet, { awaiting, decisions })?.waits ?? null,
      fails: describeFailure(failureNow(fleet, { awaiting, decisions })),
      notChecked: notCheckedIn(own),
      schedule: inForce?.reasons[0] ?? null,
      breaker: group.breakerOpen ? 'open' : 'closed',
      paused: paused ? { how: paused.how, since: paused.since ?? null } : null,
      suspended: group.suspended.map(({ process }) => process).filter((name) => name !== 'AZRebalance'),
      suspendedForDrain: group.suspendedForDrain,
      nextPollSeconds: nextPoll(own, now),
      alarms: ownAlarms(app, fleet, alarms),
      boots: boots.get(fleet) ?? null,
      image: describeImage(images.get(fleet)),
      monthCost: price === undefined || spent === undefined ? null : Math.round(spent * price * 100) / 100,
    };
  });
}

const describeFailure = (failure: AwaitingRecord['failure']): string | null =>
  failure === undefined ? null : `${failure.name}: ${failure.message}`;

function whyUndecided(group: FleetGroup, missing: readonly string[], now: number): FleetStatus['undecided'] {
  if (missing.some((what) => what.startsWith(LAST_DECISIONS))) return 'decisions not read';
  return newGroupAge(group, now) === undefined ? null : 'first execution due';
}

function describeImage(image: FleetImage | undefined): FleetStatus['image'] {
  if (image === undefined) return null;
  const { lastBuild } = image;
  return {
    id: image.image,
    since: new Date(image.at).toISOString(),
    lastBuild: lastBuild
      ? { build: lastBuild.build, status: lastBuild.status, created: lastBuild.created ?? null }
      : null,
  };
}

/** The first poll of an execution says it, so the last decision may not. */
function notCheckedIn(decisions: DecisionRecord[]): string[] {
  const first = decisions.findLast(({ poll }) => poll === 1);
  return (first?.decision.reasons ?? [])
    .filter((reason) => reason.startsWith(NOT_CHECKED))
    .map((reason) => reason.slice(NOT_CHECKED.length + 1));
}

const secondsSince = (at: number, now: number) => Math.max(Math.round((now - at) / 1_000), 0);

/** At the interval of the last two polls, and within a minute after the last one. */
function nextPoll(own: DecisionRecord[], now: number): number | null {
  const [before, last] = own.slice(-2);
  if (before === undefined) return null;
  const interval = last === undefined ? SLOWEST_POLL : Math.min((last.at - before.at) / 1_000, SLOWEST_POLL);
  const due = interval - secondsSince((last ?? before).at, now);
  return Math.max(Math.round(due), 0);
}

function describeMember(
  { instance, lifecycleState, kind }: Member,
  launchedAt: number | undefined,
  { says, runner }: RunnerSeen,
  now: number,
): DescribedMember {
  const age = ageOf(launchedAt, now);
  const doing = {
    pending: `boots${lasted(age)}`,
    inService: [says ?? 'in service', ...(says !== undefined && age === null ? [] : [launched(age)])].join(
      says === undefined ? ', ' : '; ',
    ),
    leaving: 'leaves',
    standby: 'in standby: a person took it out of service',
  }[kind];
  return { instance, state: lifecycleState, age, doing, runner };
}

/** What CircleCI's list says of a member, in words; without them, the list was not read. */
type RunnerSeen = Pick<DescribedMember, 'runner'> & { says?: string };

/**
 * What the runner of each member in service does, as far as CircleCI's list tells. The list has the time of the last use, and
 * does not say whether the use goes on. So a runner that was never used is idle, unless the count of running tasks contradicts
 * that. One that was used may be busy: it is if there is a task for each, and it is not if no task has run at all since.
 *
 * @param count.busy How many members run a task, by the count; `null` if that is not known.
 * @param count.at When that was counted: a task that began later is not in it.
 */
function describeRunners(
  { members }: FleetGroup,
  listed: readonly ListedRunner[] | undefined,
  { busy, at }: { busy: number | null; at: number },
  now: number,
): (member: Member) => RunnerSeen {
  if (listed === undefined) return () => ({ runner: null });
  const found = new Map(listed.map((runner) => [runner.name, runner]));
  const inService = members.filter(({ kind }) => kind === 'inService');
  const neverUsed = inService.filter(({ instance }) => {
    const runner = found.get(instance);
    return runner !== undefined && runner.lastUsed === undefined;
  }).length;
  // Somebody else's runners, and members that leave or are in standby, may have some of the counted tasks.
  const mayHaveSome = ({ name, lastConnected }: ListedRunner) =>
    now - lastConnected <= IN_CONTACT && !inService.some(({ instance }) => instance === name);
  const areAllBusy =
    busy === inService.length &&
    !listed.some(mayHaveSome) &&
    !members.some(({ kind }) => kind === 'leaving' || kind === 'standby');
  const useOf = (lastUsed: number) =>
    busy === 0 && lastUsed < at - CLOCKS_DIFFER ? 'idle' : areAllBusy ? 'runs a task' : 'may run a task';
  const agrees = busy !== null && neverUsed <= inService.length - busy;
  return ({ instance }) => {
    const runner = found.get(instance);
    if (runner === undefined) return { runner: null, says: 'CircleCI lists no runner of it' };
    const connected = secondsSince(runner.firstConnected, now);
    const contact = secondsSince(runner.lastConnected, now);
    const { lastUsed } = runner;
    const used = lastUsed === undefined || Number.isNaN(lastUsed) ? null : secondsSince(lastUsed, now);
    const says =
      contact * 1_000 > IN_CONTACT
        ? `its runner was last seen ${shortTime(contact)} ago`
        : lastUsed === undefined
          ? agrees
            ? `idle for ${shortTime(connected)}, no task so far`
            : `no task so far, by CircleCI's list`
          : `${useOf(lastUsed)}: ${used === null ? 'last use not known' : `last used ${shortTime(used)} ago`}`;
    return { runner: { connected, contact, used }, says };
  };
}

function describePoolInstance(
  { instance, lifecycleState }: PoolInstance,
  launchedAt: number | undefined,
  now: number,
): DescribedInstance {
  const age = ageOf(launchedAt, now);
  const state = lifecycleState.replace(/^Warmed:/, '');
  const doing = state.startsWith('Pending')
    ? `boots for the warm pool, ${launched(age)}`
    : state.startsWith('Terminat')
      ? 'leaves the warm pool'
      : `${state === 'Running' ? 'runs' : state.toLowerCase()} in the warm pool, ${launched(age)}`;
  return { instance, state: lifecycleState, age, doing };
}

const ageOf = (launchedAt: number | undefined, now: number) =>
  launchedAt === undefined ? null : secondsSince(launchedAt, now);

const lasted = (age: number | null) => (age === null ? '' : ` for ${shortTime(age)}`);

const launched = (age: number | null) =>
  age === null ? 'launched at an unknown time' : `launched ${shortTime(age)} ago`;

/** The price of the group's most expensive type, of those that it names or has. */
function priceOf({ types, members }: FleetGroup): number | undefined {
  const all = types.length > 0 ? types : members.map(({ type }) => type);
  const prices = all.flatMap((type) => listPrice(type) ?? []);
  return prices.length === 0 || prices.length < all.length ? undefined : Math.max(...prices);
}

/** Composite alarms only say that another one rings, so they are left out if one does. */
export function ownAlarms(app: string, fleet: string, names: string[]): string[] {
  const prefix = `${app}-${fleet}-`;
  const kinds = names.flatMap((name) => (name.startsWith(prefix) ? [name.slice(prefix.length)] : []));
  // A fleet `a` and a fleet `a-b`: kinds have no hyphen.
  const own = kinds.filter((kind) => !kind.includes('-'));
  const causes = own.filter((kind) => kind !== 'NeedsYou');
  return (causes.length > 0 ? causes : own).map(headingOf);
}

/** An alarm as the runbook names it: `CircleCiRefuses` is "CircleCI Refuses". */
function headingOf(kind: string): string {
  const failure = Object.entries(FAILURES).find(([name]) => name === kind)?.[1];
  return failure ?? kind.replaceAll(/(?<=[a-z])(?=[A-Z])/g, ' ');
}

/** A duration in one number: `40 s`, `12 min`, `3 h`, `2 d`. */
export function shortTime(seconds: number): string {
  if (seconds < 100) return `${Math.round(seconds)} s`;
  if (seconds < 99.5 * 60) return `${Math.round(seconds / 60)} min`;
  if (seconds < 48 * 3_600) return `${Math.round(seconds / 3_600)} h`;
  return `${Math.round(seconds / 86_400)} d`;
}
