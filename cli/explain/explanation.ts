/** What was decided about a fleet and why, from what is on record. Pure. */

import type { Launch } from '../../functions/lib/breaker.ts';
import type { Learned } from '../../functions/lib/learned.ts';
import { learnedContexts } from '../../functions/lib/learned-contexts.ts';
import { sentence } from '../../functions/lib/sentence.ts';
import { type AwaitingRecord, awaitingNow } from '../deployed/awaiting.ts';
import type { BootTimes } from '../deployed/boots.ts';
import type { DecisionRecord } from '../deployed/decisions.ts';
import { type FleetGroup, newGroupAge } from '../deployed/groups.ts';
import { shortTime } from '../status/fleet-status.ts';
import { DECISIONS, type FailureRecord, type FleetHistory } from './reads.ts';

/** Times are milliseconds since the epoch, durations seconds. */
export interface Explanation {
  /** Whether something launches now or why nothing does; `undefined` for a time that is over. */
  now: string | undefined;
  polls: number;
  /** The decisions that changed something. */
  changes: { at: number; from: number; desired: number; reasons: string[] }[];
  /** The last decision of the time. */
  last: DecisionRecord | undefined;
  /** What held the capacity, by the reason without its numbers. */
  holds: { reason: string; polls: number; from: number; to: number }[];
  /** The executions that waited for the tokens of the fleet; `undefined` if none did. */
  awaiting: { waits: string; executions: number; from: number; to: number } | undefined;
  failures: { error: string; step: string; message: string; count: number; from: number; to: number }[];
  launches: {
    begun: number;
    succeeded: number;
    underway: number;
    /** Of those that came into service. */
    seconds: { least: number; mean: number; most: number } | undefined;
    failed: { at: number; afterSeconds: number; kind: string; reason: string }[];
  };
  /** How long the boots took, part by part. */
  boots: BootTimes;
  waits: Wait[];
  /** What the fleet has learned until now, whatever time is explained. */
  learned: { spares: LearnedContexts | undefined; peaks: { day: string; launches: number }[] } | undefined;
}

/** A time in which tasks waited. What did not happen in it is `undefined`. */
export interface Wait {
  from: number;
  /** `undefined` while tasks wait. */
  to: number | undefined;
  /** The most tasks that waited. */
  most: number;
  /** The interval of polls before it: no task can have waited longer before it was noticed. */
  noticedWithin: number | undefined;
  /** Until the desired capacity rose. */
  decided: number | undefined;
  /** From there until a launch began. */
  begun: number | undefined;
  /** From there until an instance was in service. */
  booted: number | undefined;
  /** From there until no task waited. */
  claimed: number | undefined;
}

/** Reasons that hold the capacity below what the tasks want, or that say that the tasks may be others. */
const HOLDS =
  /^(capped at|held|the fleet drains|nothing launches|the counts are doubtful|the counts were not checked|not written)/;

/** Polls are at most a minute apart, and logs arrive seconds later. */
const SILENT = 150;

/** How long what a poll decided may take to be seen in the group, in seconds. */
const APPLIED = 30;

export function explainHistory(
  { decisions, awaiting, failures, launches, boots, group, launchedAt, learned, missing }: FleetHistory,
  { to, untilNow }: { to: number; untilNow: boolean },
): Explanation {
  return {
    now: untilNow
      ? whyNothingLaunches({ decisions, awaiting, failures, launches, group, launchedAt, missing }, to)
      : undefined,
    polls: decisions.length,
    changes: decisions
      .filter(({ decision }) => decision.change)
      .map(({ at, decision: { from, desired, reasons } }) => ({ at, from, desired, reasons })),
    last: decisions.at(-1),
    holds: holdsIn(decisions),
    awaiting: awaitingIn(awaiting),
    failures: failuresIn(failures),
    launches: launchesIn(launches),
    boots,
    waits: waitsIn(decisions, launches),
    learned: learned && learnedIn(learned),
  };
}

/** What a fleet has learned of its tasks, and when that was last written. */
type LearnedContexts = ReturnType<typeof learnedContexts> & { at: number };

const DAY = 24 * 3_600_000;

const learnedIn = ({ spares, peaks = [] }: Learned): Explanation['learned'] => ({
  spares: spares && { at: spares.at * 1_000, ...learnedContexts(spares) },
  peaks: peaks.map(([day, launches]) => ({
    day: new Date(day * DAY).toISOString().slice(0, 10),
    launches,
  })),
});

const plural = (count: number, one: string, many = `${one}s`) => `${count} ${count === 1 ? one : many}`;

/** One sentence: what launches now, or why nothing does. The first cause counts. */
export function whyNothingLaunches(
  {
    decisions,
    awaiting,
    failures,
    launches,
    group,
    launchedAt,
    missing,
  }: Omit<FleetHistory, 'learned' | 'boots'>,
  now: number,
): string {
  const last = decisions.at(-1);
  const lastFailure = failures.at(-1);
  const nothing = (why: string) => `Nothing launches now: ${why}`;
  const pending = group.members.filter(({ kind }) => kind === 'pending');
  if (pending.length > 0) {
    const ages = pending.flatMap(({ instance }) => launchedAt.get(instance) ?? []);
    const since =
      ages.length === 0 ? '' : `, the first one since ${shortTime((now - Math.min(...ages)) / 1_000)}`;
    return `${plural(pending.length, 'instance boots', 'instances boot')} now${since}.`;
  }
  const underway = launches.filter(({ outcome }) => outcome === 'underway');
  if (underway.length > 0) {
    const [first] = underway.map(({ startedAt }) => startedAt).sort((a, b) => a - b);
    return `${plural(underway.length, 'launch is', 'launches are')} under way, the first one since ${shortTime((now - (first ?? now)) / 1_000)}, and ${underway.length === 1 ? 'has' : 'have'} no instance in the group yet.`;
  }
  if (group.paused !== undefined) {
    const waiting = last !== undefined && (now - last.at) / 1_000 <= SILENT ? (last.unclaimed ?? 0) : 0;
    const failing =
      lastFailure !== undefined && lastFailure.at > (last?.at ?? 0)
        ? ` The last execution failed at ${lastFailure.step}. ${lastFailure.error}: ${sentence(lastFailure.message)}`
        : '';
    const waits = waiting > 0 ? `${plural(waiting, 'task waits', 'tasks wait')}, and ` : '';
    const how = `${group.paused.how === 'drain' ? 'drains' : 'is paused'}${since(group.paused.since, now)}`;
    return nothing(`${waits}the fleet ${how}.${failing} To end this: npm run resume -- ${group.fleet}`);
  }
  if (last !== undefined && isRising(last, group, lastFailure, now))
    return `${plural(last.decision.desired - group.desired, 'instance launches', 'instances launch')} next: the last poll, ${shortTime((now - last.at) / 1_000)} ago, raised the desired capacity from ${last.decision.from} to ${last.decision.desired}.`;
  const waits = awaitingNow(group.fleet, { awaiting, decisions });
  if (waits !== undefined && waits.at > (lastFailure?.at ?? 0)) return nothing(`the fleet ${waits.waits}`);
  const failed = launches.findLast((launch) => launch.outcome === 'failed');
  const refusal =
    failed === undefined ? '' : ` The last launch failed (${failed.kind}): ${sentence(failed.reason)}`;
  if (group.breakerOpen)
    return nothing(
      `the breaker is open, because launches fail.${refusal} See docs/operations.md#breaker-open`,
    );
  const suspended = group.suspended.find(({ process }) => process === 'Launch');
  if (suspended !== undefined && !group.suspendedForDrain)
    return nothing(
      `the Launch process of the group is suspended${suspended.reason === '' ? '' : ` (${suspended.reason})`}. Resume it in the console, or with: aws autoscaling resume-processes`,
    );
  if (last === undefined || (now - last.at) / 1_000 > SILENT) {
    if (lastFailure !== undefined && lastFailure.at > (last?.at ?? 0))
      return nothing(
        `the executions fail at ${lastFailure.step}. ${lastFailure.error}: ${sentence(lastFailure.message)}`,
      );
    const age = last === undefined ? newGroupAge(group, now) : undefined;
    if (age !== undefined)
      return nothing(
        `the fleet is new. Its group was made ${shortTime(age)} ago, and its first execution is due: the schedule starts one every minute.`,
      );
    if (last === undefined && missing.some((what) => what.startsWith(DECISIONS)))
      return 'Why nothing launches now is not known: the log of the decisions could not be read.';
    return nothing(
      `no poll has decided anything ${last === undefined ? 'in this time' : `for ${shortTime((now - last.at) / 1_000)}`}, and no step has logged an error. Look at the schedule: npm run doctor -- ${group.fleet}`,
    );
  }
  if (lastFailure !== undefined && lastFailure.at > last.at)
    return nothing(
      `the last execution failed at ${lastFailure.step}. ${lastFailure.error}: ${sentence(lastFailure.message)}`,
    );
  if (group.suspendedForDrain)
    return nothing(
      'the fleet drained, and the Launch process of its group is still suspended for that. The next poll resumes it.',
    );
  return nothing(whyNoMore(last, group, refusal, now));
}

/** Whether the group is about to launch what the last poll decided. */
function isRising(
  { at, decision }: DecisionRecord,
  group: FleetGroup,
  lastFailure: FailureRecord | undefined,
  now: number,
): boolean {
  const suspendedByOthers =
    !group.breakerOpen &&
    !group.suspendedForDrain &&
    group.suspended.some(({ process }) => process === 'Launch');
  return (
    decision.desired > Math.max(decision.from, group.desired) &&
    (now - at) / 1_000 <= APPLIED &&
    (lastFailure?.at ?? 0) <= at &&
    !suspendedByOthers
  );
}

/** As the tag has it, which a person may have written. The day is left out if it is today's. */
function since(at: string | undefined, now: number): string {
  const parsed = Date.parse(at ?? '');
  if (at === undefined || Number.isNaN(parsed)) return at === undefined ? '' : ` since ${at}`;
  const text = new Date(parsed).toISOString().slice(0, 19).replace('T', ' ');
  return ` since ${text.startsWith(new Date(now).toISOString().slice(0, 10)) ? text.slice(11) : `${text} UTC`}`;
}

/** Why a decision that was taken lets nothing launch. */
function whyNoMore(last: DecisionRecord, group: FleetGroup, refusal: string, now: number): string {
  const { decision, unclaimed, running, members } = last;
  const hold = decision.reasons.find(
    (reason) =>
      HOLDS.test(reason) && !/leave by themselves|doubtful|^the counts were not checked/.test(reason),
  );
  const doubt = decision.reasons.find((reason) => reason.startsWith('the counts are doubtful'));
  if (unclaimed === undefined || running === undefined) return sentence(hold ?? decision.reasons.join('; '));
  const present = group.members.filter(({ kind }) => kind === 'inService').length;
  if (group.desired > present)
    return `EC2 Auto Scaling has not begun to launch ${plural(group.desired - present, 'instance')} of the desired capacity ${group.desired}.${refusal}`;
  // An instance that leaves lowers the desired capacity itself.
  if (decision.desired > Math.max(decision.from, group.desired))
    return `the last poll raised the desired capacity from ${decision.from} to ${decision.desired}, and it is ${group.desired} now. The next poll decides again.${refusal}`;
  if (unclaimed === 0)
    return `at the last poll, ${shortTime((now - last.at) / 1_000)} ago, CircleCI counted no waiting task and ${plural(running, 'running task')}${doubt === undefined ? '' : `, but ${doubt}`}. ${plural(present, 'instance is', 'instances are')} in service now.`;
  const waiting = plural(unclaimed, 'task waits', 'tasks wait');
  if (hold !== undefined)
    return `${waiting}, and the capacity is ${sentence(hold.replace(/^nothing launches: /, 'held: '))}`;
  const idle = Math.max(members.inService - running, 0);
  if (idle >= unclaimed)
    return `${waiting}, and ${plural(idle, 'runner is', 'runners are')} idle to take ${unclaimed === 1 ? 'it' : 'them'}.`;
  if (decision.desired > decision.from)
    return `${waiting}. The last poll raised the desired capacity from ${decision.from} to ${decision.desired}, and ${plural(present, 'instance is', 'instances are')} in service now.`;
  return `${waiting}. ${sentence(decision.reasons.join('; '))}`;
}

function holdsIn(decisions: DecisionRecord[]): Explanation['holds'] {
  const holds = new Map<string, Explanation['holds'][number]>();
  for (const { at, decision } of decisions) {
    for (const reason of decision.reasons.filter((each) => HOLDS.test(each))) {
      // The same hold at another size is the same hold.
      const key = reason.replaceAll(/\d+/g, 'n');
      const known = holds.get(key);
      if (known === undefined) holds.set(key, { reason, polls: 1, from: at, to: at });
      else Object.assign(known, { reason, polls: known.polls + 1, to: at });
    }
  }
  return [...holds.values()].sort((a, b) => b.polls - a.polls);
}

function awaitingIn(awaiting: AwaitingRecord[]): Explanation['awaiting'] {
  const waited = awaiting.flatMap(({ at, waits }) => (waits === undefined ? [] : [{ at, waits }]));
  const [first] = waited;
  const last = waited.at(-1);
  if (first === undefined || last === undefined) return undefined;
  return { waits: last.waits, executions: waited.length, from: first.at, to: last.at };
}

function failuresIn(failures: FailureRecord[]): Explanation['failures'] {
  const kinds = new Map<string, Explanation['failures'][number]>();
  for (const { at, error, step, message } of failures) {
    const known = kinds.get(`${error}/${step}`);
    if (known === undefined)
      kinds.set(`${error}/${step}`, { error, step, message, count: 1, from: at, to: at });
    else Object.assign(known, { message, count: known.count + 1, to: at });
  }
  return [...kinds.values()].sort((a, b) => b.count - a.count);
}

function launchesIn(launches: Launch[]): Explanation['launches'] {
  const seconds = launches.flatMap((launch) =>
    launch.outcome === 'succeeded' ? [(launch.endedAt - launch.startedAt) / 1_000] : [],
  );
  return {
    begun: launches.length,
    succeeded: seconds.length,
    underway: launches.filter(({ outcome }) => outcome === 'underway').length,
    seconds:
      seconds.length === 0
        ? undefined
        : {
            least: Math.min(...seconds),
            mean: seconds.reduce((sum, each) => sum + each, 0) / seconds.length,
            most: Math.max(...seconds),
          },
    failed: launches.flatMap((launch) =>
      launch.outcome === 'failed'
        ? [
            {
              at: launch.startedAt,
              afterSeconds: (launch.endedAt - launch.startedAt) / 1_000,
              kind: launch.kind,
              reason: launch.reason,
            },
          ]
        : [],
    ),
  };
}

/** The times in which tasks waited, and where the time went until the first instance was in service. */
export function waitsIn(decisions: DecisionRecord[], launches: Launch[]): Wait[] {
  const waits: Wait[] = [];
  const counted = decisions.filter(({ unclaimed }) => unclaimed !== undefined);
  for (let index = 0; index < counted.length; index += 1) {
    const first = counted[index];
    if (first === undefined || first.unclaimed === 0) continue;
    const length = counted.slice(index).findIndex(({ unclaimed }) => unclaimed === 0);
    const within = counted.slice(index, length === -1 ? undefined : index + length);
    const to = length === -1 ? undefined : counted[index + length]?.at;
    const end = to ?? Number.POSITIVE_INFINITY;
    const before = counted[index - 1];
    const rise = within.find(({ decision }) => decision.desired > decision.from);
    const launch = rise && launches.find(({ startedAt }) => startedAt >= rise.at - 1_000 && startedAt < end);
    const ready = launches
      .flatMap((each) =>
        each.outcome === 'succeeded' && launch !== undefined && each.startedAt >= launch.startedAt
          ? each.endedAt
          : [],
      )
      .sort((a, b) => a - b)
      .find((endedAt) => endedAt <= end + 60_000);
    const seconds = (from: number | undefined, until: number | undefined) =>
      from === undefined || until === undefined ? undefined : Math.max((until - from) / 1_000, 0);
    waits.push({
      from: first.at,
      to,
      most: Math.max(...within.map(({ unclaimed = 0 }) => unclaimed)),
      noticedWithin: seconds(before?.at, first.at),
      decided: seconds(first.at, rise?.at),
      begun: seconds(rise?.at, launch?.startedAt),
      booted: seconds(launch?.startedAt, ready),
      claimed: seconds(ready, to),
    });
    index += within.length;
  }
  return waits;
}
