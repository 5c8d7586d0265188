/**
 * One poll of a fleet: from what it has read to what is written, when the next poll is due, and what is published.
 * Pure: the workflow's Compute Capacity and the replay of traces both poll with this file, so that they cannot differ.
 */

import { sparesOf, withArrivals } from './arrivals.ts';
import { brokenLaw, type Decision, type Situation } from './capacity.ts';
import { addPoll, type PollHistory } from './claims.ts';
import { concurrencyShare } from './concurrency.ts';
import type { Activities, Group, Observation, PollSettings, PollState } from './contracts.ts';
import { decide, held } from './decision.ts';
import { CircleCiRateLimited, DecisionInvalid } from './errors.ts';
import { keptRunners } from './kept-runners.ts';
import type { MetricValues } from './metrics.ts';
import { outsideAfter, stillOutside, type TasksOutside } from './outside.ts';
import { type Pace, pace, pollInterval, secondsIdle } from './pacing.ts';
import { isPaused } from './paused.ts';
import { metricsOf, type Polled } from './poll-metrics.ts';
import { withLevels } from './runnable-tasks.ts';
import { seenBefore, type Withheld, withheldAfter, withheldLimit } from './withheld.ts';
import { doubtOf, NOT_CHECKED, type ZeroCheck } from './zero.ts';

/** What comes of a poll. */
export interface PollResult {
  decision: Decision;
  /** `TimeoutSeconds` for each attempt of Update Group; at least 1, as a state's timeout must be. */
  updateTimeoutSeconds: number;
  /** Whether there is time for another poll in this execution. */
  again: boolean;
  /** The state of that poll. */
  next: PollState;
  metrics: MetricValues;
}

/**
 * Decides what to write to the group after one poll.
 *
 * @param handedOn The state, from the poll before.
 * @param now When the observation was complete, in milliseconds since the epoch.
 * @throws CircleCiRateLimited if CircleCI allows no request in the rest of the execution, and allowed none before.
 * @throws DecisionInvalid if the decision breaks a law of capacity.ts.
 */
export function decidePoll(
  handedOn: PollState,
  { unclaimed, running, group }: Observation,
  settings: PollSettings,
  now: number,
): PollResult {
  const state = sinceCreation(handedOn, group);
  if ('retryAfterSeconds' in unclaimed || 'retryAfterSeconds' in running) {
    const seconds = Math.max(retryAfter(unclaimed), retryAfter(running));
    return holdUntilAllowed(state, group, seconds, settings, now);
  }
  const { unclaimed: waiting } = unclaimed;
  const { running: busy } = running;
  const counts = { unclaimed: waiting, running: busy };
  const polled = withArrivals(state, counts, group, settings, now);
  const concurrency = shareOf(counts, group, settings, now);
  const spares = sparesOf(polled, settings, now);
  const { members, withheld } = group;
  // A replay makes many polls, and spreads would take it a third of its time.
  const { otherRunners } = settings.capacity;
  const outside = stillOutside(group.tasksOutside, busy);
  const counted = {
    unclaimed: waiting,
    running: busy,
    concurrency,
    members,
    withheld,
    outside,
    otherRunners,
  };
  const history = seeCounts(state.poll, counted);
  const failures = state.activities.breakerFailures ?? DEFAULT_FAILURES;
  const limit = withheldLimit(withheld, history.seen, members, failures, now);
  const observed = { unclaimed: waiting, running: busy, concurrency, spares, outside: history.seen.outside };
  const { decision, situation } = decide(state.activities, { counts: observed, group }, settings, now, limit);
  const concluded = concludePoll({ decision, situation, history }, polled, settings, now, group);
  const { check } = running;
  return check === undefined
    ? concluded
    : withCheck(concluded, check, situation, state.activities.lastReadyAt, now);
}

/** If nothing has happened to a young group, its idle time counts from its creation. */
function sinceCreation(state: PollState, { createdAt }: Pick<Group, 'createdAt'>): PollState {
  const { activities } = state;
  if (activities.lastAt !== null || createdAt === undefined) return state;
  return { ...state, activities: { ...activities, lastAt: createdAt * 1_000 } };
}

/** Adds to a poll what a check of its counts has found. It changes no capacity. */
function withCheck(
  concluded: PollResult,
  check: ZeroCheck,
  situation: Situation,
  lastReadyAt: number | undefined,
  now: number,
): PollResult {
  const doubt = doubtOf(check, situation, lastReadyAt, now);
  const { decision, metrics } = concluded;
  const found = [
    ...(doubt === undefined ? [] : [`the counts are doubtful: ${doubt}`]),
    ...check.skipped.map((skipped) => `${NOT_CHECKED} ${skipped}`),
  ];
  return {
    ...concluded,
    decision: { ...decision, reasons: [...decision.reasons, ...found] },
    metrics: { ...metrics, ...(doubt !== undefined && { CountsDoubtful: 1 }) },
  };
}

/** How many tasks the plan's concurrency lets the fleet run; `undefined` for any number. */
function shareOf(
  counts: Pick<Situation, 'unclaimed' | 'running'>,
  { sharers = [] }: Pick<Group, 'sharers'>,
  { concurrency }: Pick<PollSettings, 'concurrency'>,
  now: number,
): number | undefined {
  if (concurrency === undefined) return undefined;
  return concurrencyShare(concurrency.limit, concurrency.position, counts, sharers, now);
}

/**
 * Checks a decision, and plans the rest of the poll around it.
 *
 * @param decided The decision, and the situation and the history of counts that it was made of.
 * @param now When the observation was complete, in milliseconds since the epoch.
 * @param record What is on record of tasks that are not handed out, of the fleet's tasks, and since when it is paused.
 * @param notBefore When CircleCI will take the next request, if it gave no counts in this poll. The situation then has the
 *   counts of the poll before.
 * @throws DecisionInvalid if the decision breaks a law of capacity.ts.
 */
export function concludePoll(
  { decision: decided, situation, history }: { decision: Decision; situation: Situation; history: History },
  state: PollState,
  settings: PollSettings,
  now: number,
  record: Pick<Group, 'withheld' | 'tasksOutside' | 'levels' | 'pausedAt'> = {},
  notBefore?: number,
): PollResult {
  const { withheld } = record;
  const fault = brokenLaw(decided, situation);
  if (fault !== undefined)
    throw new DecisionInvalid(`What was decided must not be: ${fault}. Capacity is held.`);

  // Records are written after the last poll of an execution, even if nothing else is.
  const rest = planRest(situation, state, settings, now, decided.change || 'if last', history, notBefore);
  const withClaims = withRecord(decided, withheld, situation.members, rest, state, now);
  const withTasks = withOutside(withClaims, record.tasksOutside, situation, rest, state);
  const shared = settings.concurrency !== undefined && !rest.again;
  const recorded = shared ? withLevels(withTasks, record, situation, now) : withTasks;
  const decision = unlessTooLate(recorded, rest);
  return {
    decision,
    updateTimeoutSeconds: decision.change ? rest.updateTimeoutSeconds : 1,
    again: rest.again,
    next: rest.next,
    metrics: {
      ...metricsOf(decision, situation, state, rest, now, record.pausedAt),
      ...(!rest.again &&
        !isPaused(situation) &&
        isWithheld(recorded.withheld ?? undefined, state) && { TasksWithheld: 1 }),
    },
  };
}

/** Adds to the last decision of an execution what is to be on record of tasks that are not handed out. */
function withRecord(
  decision: Decision,
  before: Withheld | undefined,
  { pending, inService }: Situation['members'],
  { again, seen }: Rest,
  { poll, activities }: PollState,
  now: number,
): Decision {
  if (again) return decision;
  const { cameInService: came, moreCame, breakerFailures: failures = DEFAULT_FAILURES } = activities;
  const execution = { present: pending + inService, came, moreCame, polls: poll.number };
  const withheld = withheldAfter(before, seen, execution, failures, now);
  if (withheld === undefined && before === undefined) return decision;
  return { ...decision, change: true, withheld: withheld ?? null };
}

/** Adds to the last decision of an execution what is to be on record of tasks that run outside. */
function withOutside(
  decision: Decision,
  before: TasksOutside | undefined,
  situation: Situation,
  { again, seen }: Rest,
  { poll }: PollState,
): Decision {
  if (again) return decision;
  const after = outsideAfter(before, seen, keptRunners(situation).spare, poll.number);
  if (after?.outside === before?.outside && after?.running === before?.running) return decision;
  return { ...decision, change: true, tasksOutside: after ?? null };
}

const isWithheld = (withheld: Withheld | undefined, { activities }: PollState) =>
  withheld !== undefined && withheld.unused >= (activities.breakerFailures ?? DEFAULT_FAILURES);

/** The default of `breaker.failures`. */
const DEFAULT_FAILURES = 3;

/** What the polls have seen, and how many tasks were claimed between the last two. */
type History = ReturnType<typeof addPoll>;

/** What the history of counts takes from a poll. */
type Counted = Pick<
  Situation,
  'unclaimed' | 'running' | 'concurrency' | 'members' | 'outside' | 'otherRunners'
> & { withheld?: Withheld | undefined };

/** Adds the counts of a poll to what the polls before it have seen. */
const seeCounts = (
  { seen }: PollState['poll'],
  {
    unclaimed,
    running,
    concurrency,
    members: { pending, inService, leaving, standby },
    otherRunners = 0,
    withheld,
    outside,
  }: Counted,
): History =>
  addPoll(seen ?? seenBefore(withheld), {
    unclaimed,
    running,
    inService,
    concurrency,
    outside,
    // Members that come or go count, because a task may be on them already, or still.
    members: pending + inService + leaving + standby + otherRunners,
  });

/** The rest of an execution after a poll. */
interface Rest extends Pick<Pace, 'updateTimeoutSeconds'>, Polled {
  next: PollState;
}

/**
 * Plans the rest of an execution after a poll. It takes no decision, so a replay can also pass over polls with it.
 *
 * @param now When the observation was complete, in milliseconds since the epoch.
 * @param write Whether Update Group comes before the next poll, or only if there is no next poll.
 * @param notBefore When CircleCI will take the next request, if it gave no counts in this poll.
 */
export function planRest(
  situation: Counted & Parameters<typeof secondsIdle>[0],
  { poll, activities }: PollState,
  settings: Omit<PollSettings, 'capacity' | 'onDemandPercentage'>,
  now: number,
  write: boolean | 'if last',
  { seen, claimedNow }: History = seeCounts(poll, situation),
  notBefore?: number,
): Rest {
  const { members } = situation;
  const idleSeconds = secondsIdle(situation, activities.lastAt, now);
  const interval = pollInterval(idleSeconds, settings);
  const { updateTimeoutSeconds, again, next } = pace(timesOf(poll, settings), interval, now, {
    write,
    notBefore,
  });
  return {
    updateTimeoutSeconds,
    again,
    idleSeconds,
    seen,
    claimed: claimedNow,
    counted: notBefore === undefined,
    next: {
      poll: nextPoll(next, seen, poll.arrivals),
      activities: members.pending > 0 ? withoutCanary(activities, now) : activities,
    },
  };
}

const retryAfter = (answer: Observation['unclaimed' | 'running']) =>
  'retryAfterSeconds' in answer ? answer.retryAfterSeconds : 0;

/**
 * Without counts capacity is held, and the next poll waits for as long as CircleCI demands. If this execution has no time
 * for it, what its earlier polls have seen is published and recorded now.
 */
function holdUntilAllowed(
  state: PollState,
  group: Group,
  seconds: number,
  settings: PollSettings,
  now: number,
): PollResult {
  const { poll, activities } = state;
  const { seen } = poll;
  const notBefore = now + seconds * 1_000;
  const options = { write: false, notBefore };
  const decision = held(group.desired, `held: CircleCI allows no request for ${seconds} s`);
  const { again, next } = pace(timesOf(poll, settings), settings.pollIntervalSeconds, now, options);
  if (again)
    return {
      decision,
      updateTimeoutSeconds: 1,
      again,
      next: { poll: nextPoll(next, seen, poll.arrivals), activities },
      metrics: {},
    };
  // An execution that has had good polls ends well: the next one asks again.
  if (seen === undefined)
    throw new CircleCiRateLimited(
      `CircleCI allows no request for ${seconds} s (status 429), longer than this execution has left, and none of its polls got counts. Capacity is held; if this goes on, raise pollInterval.`,
    );
  const { unclaimed, running, outside } = seen;
  const concurrency = shareOf(seen, group, settings, now);
  const { situation } = decide(
    activities,
    { counts: { unclaimed, running, concurrency, outside }, group },
    settings,
    now,
  );
  const history = { seen, claimedNow: 0 };
  return concludePoll({ decision, situation, history }, state, settings, now, group, notBefore);
}

// A replay passes over many polls, and spreads would take it more time than all the rest.
const timesOf = (
  { number, dueAt, timeoutSeconds }: PollState['poll'],
  { executionStartedAt }: Pick<PollSettings, 'executionStartedAt'>,
) => ({ number, executionStartedAt, dueAt, timeoutSeconds });

const nextPoll = (
  { number, dueAt, timeoutSeconds }: Pace['next'],
  seen: PollHistory | undefined,
  arrivals: PollState['poll']['arrivals'],
): PollState['poll'] => ({ number, dueAt, timeoutSeconds, seen, ...(arrivals && { arrivals }) });

/** The decision, unless it changes something and no time is left to write that. */
function unlessTooLate(decision: Decision, { updateTimeoutSeconds }: Rest): Decision {
  if (!decision.change || updateTimeoutSeconds > 0) return decision;
  return held(
    decision.from,
    ...decision.reasons,
    'not written: too late in this execution, the next one reads fresh counts',
  );
}

/** Longer than an execution, in milliseconds. */
const CANARY_REST = 120_000;

/**
 * The activities once something launches: they are read once in an execution, so if that launch fails before the
 * next one, no canary may follow it.
 */
function withoutCanary(activities: Activities, now: number): Activities {
  const { breaker } = activities;
  if (!breaker.open || now < breaker.canaryAt) return activities;
  return { ...activities, breaker: { ...breaker, canaryAt: now + CANARY_REST } };
}
