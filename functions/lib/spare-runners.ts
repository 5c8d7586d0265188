/**
 * How many runners without a task a fleet keeps with `spareRunners: auto`, from what it has learned of its own arrivals.
 * Pure: times are arguments, in seconds since the epoch.
 *
 * The rule is that of the newsvendor. A runner that is asked for now is ready a lead time later. If it is needed by then,
 * a job waits that long less; if not, it has been idle for that long. So the k-th spare runner pays if the probability of
 * k or more arrivals within the lead time is at least
 *
 *     idle cost / (idle cost + waiting cost)
 *
 * That probability is learned for each context: how many tasks arrived in the last lead time, or for how long none has.
 *
 * That is right as long as the fleet wants as many. But a runner cannot be taken back: if the tasks stop, it is idle until it
 * leaves. So it must pay for its stay as well: what the waits cost that it saves until it leaves is at least what it costs
 * until then without a task. How many tasks come within such a stay is learned for each context, too.
 */

/** What the settings of the fleet say. Dollars are of an hour. */
export interface SpareSettings {
  /** What an instance costs. */
  idleCost: number;
  /** What it costs that a job waits. */
  waitingCost: number;
  /** The most spare runners; without it, any number. */
  max?: number | undefined;
  /** How long a runner without a task stays, in seconds. Without it, a runner need not pay for its stay. */
  stays?: number | undefined;
}

/** Tasks that arrived together: when, in whole seconds, and how many. */
export type Arrival = readonly [at: number, tasks: number];

/** What a fleet has learned. It is kept between executions; losing it costs nothing but what was learned. */
export interface Memory {
  /** When it was last brought up to date. */
  at: number;
  /** How long it takes from asking for an instance until its runner is ready. */
  readySeconds: number;
  /** Up to when it has learned from the arrivals. */
  learnedUntil: number;
  /** When what it has learned last faded. */
  fadedAt: number;
  /** The arrivals that it has not learned from, and those before that say in which context they came. */
  arrivals: readonly Arrival[];
  /** The counts of the last poll, so that the next execution sees what arrives in between, even if idle runners take it. */
  counts: { unclaimed: number; running: number };
  /** By context: how often this number of tasks arrived within the lead time, by STEPS. */
  seen: Readonly<Record<string, readonly number[]>>;
  /** The same within the lead time and the stay of a runner after it, if that is known. */
  later?: Readonly<Record<string, readonly number[]>> | undefined;
  /** Up to when it has learned that. */
  laterUntil?: number | undefined;
}

/** How long a boot takes as long as none is on record. */
export const UNKNOWN_READY = 90;

/** A poll and a claim are part of a job's wait as well. */
const BESIDE_BOOT = 8;

/** While nothing is learned, one spare runner is kept if tasks arrived twice within this time, in seconds. */
const HOLD_SECONDS = 600;

/** Nothing is learned of a context until it has been seen so often. */
const LEAST_SAMPLES = 20;

/** Without arrivals, a context is how many lead times there has been none: fewer than one of these, or more. */
export const SILENCES = [5, 20, 60];

/** Numbers of arrivals: one by one up to 8, then four to each doubling, so that a histogram of a large fleet is short. */
export const STEPS = [
  ...Array.from({ length: 9 }, (_, tasks) => tasks),
  ...[8, 16, 32, 64, 128, 256, 512, 1_024, 2_048].flatMap((base) =>
    [1.25, 1.5, 1.75, 2].map((times) => base * times),
  ),
];

/** The last step that is not above a number of tasks. */
export function stepOf(tasks: number): number {
  const above = STEPS.findIndex((step) => step > tasks);
  return (above < 0 ? STEPS.length : above) - 1;
}

/** From when a runner is needed until one could be ready. */
export const leadTime = ({ readySeconds }: Pick<Memory, 'readySeconds'>) => readySeconds + BESIDE_BOOT;

const leadOf = (memory: Memory | undefined) => leadTime(memory ?? { readySeconds: UNKNOWN_READY });

/**
 * How many tasks at least arrived between two polls: arrivals raise the unclaimed count, and the sum of both counts falls
 * only by ends. `undefined` before: the waiting tasks for which there is no instance.
 */
export function arrivedBetween(
  before: { unclaimed: number; running: number } | undefined,
  {
    unclaimed,
    running,
    desired,
    members,
  }: {
    unclaimed: number;
    running: number;
    desired: number;
    members: { pending: number; inService: number };
  },
): number {
  if (before === undefined) {
    const needed = unclaimed + running - Math.max(desired, members.pending + members.inService);
    // A task that runs has its runner, even if none of the group: in each execution it would look like a new one.
    return Math.max(Math.min(needed, unclaimed), 0);
  }
  const more = unclaimed - before.unclaimed;
  return Math.max(more + running - before.running, more, 0);
}

/** The counts of the last poll of the executions before. They are written when they change, so their age is no matter. */
export const lastCounts = (memory: Memory | undefined, now: number) =>
  memory !== undefined && memory.at <= now ? memory.counts : undefined;

/**
 * In what a time is like others, and until when that stays so if nothing arrives. Arrivals are in order; only those up to
 * the time count.
 *
 * @param earlier The arrivals before these. A replay asks often, so that it copies no arrivals.
 */
export function contextAt(
  arrivals: readonly Arrival[],
  at: number,
  lead: number,
  earlier: readonly Arrival[] = [],
): { name: string; until: number } {
  let recent = 0;
  let until = Number.POSITIVE_INFINITY;
  let last = Number.NEGATIVE_INFINITY;
  for (let index = earlier.length + arrivals.length - 1; index >= 0; index -= 1) {
    const arrival = index < earlier.length ? earlier[index] : arrivals[index - earlier.length];
    const [when, tasks] = arrival as Arrival;
    if (when > at) continue;
    last = Math.max(last, when);
    if (when <= at - lead) break;
    recent += tasks;
    until = when + lead;
  }
  if (recent > 0) return { name: `a${Math.floor(Math.log2(recent)) + 1}`, until };
  const edge = SILENCES.findIndex((leads) => at - last < leads * lead);
  if (edge < 0) return { name: `s${SILENCES.length}`, until: Number.POSITIVE_INFINITY };
  return { name: `s${edge}`, until: last + (SILENCES[edge] ?? 0) * lead };
}

/** How many spare runners to keep, why, and until when that stays so if nothing arrives. */
export interface Spares {
  spare: number;
  why: string;
  until: number;
}

/**
 * How many spare runners pay now.
 *
 * @param arrivals Those of this execution, which the memory does not have yet.
 */
export function sparesThatPay(
  memory: Memory | undefined,
  arrivals: readonly Arrival[],
  settings: SpareSettings,
  now: number,
): Spares {
  const { spare, learned, until } = found(memory, arrivals, settings, now);
  return { spare, why: reasonOf(learned, leadOf(memory), settings), until };
}

/** Until when as many spare runners pay as now if nothing arrives. A replay asks as often as it polls. */
export const sparesUntil = (...given: Parameters<typeof found>): number => found(...given).until;

/** How many spare runners stay, even if nothing arrives any more. */
export function keptForGood(...given: Parameters<typeof found>): number {
  const { spare, until } = found(...given);
  return until === Number.POSITIVE_INFINITY ? spare : 0;
}

/** What was learned of times like this: in `times` of `all` of them, at least `tasks` tasks came. */
interface Shown {
  tasks: number;
  times: number;
  all: number;
}

/** @returns `learned: undefined` as long as nothing is, and 'none' if no spare runner pays. */
function found(
  memory: Memory | undefined,
  arrivals: readonly Arrival[],
  settings: SpareSettings,
  now: number,
): Omit<Spares, 'why'> & { learned: Shown | 'none' | undefined } {
  const { idleCost, waitingCost, max = Number.POSITIVE_INFINITY } = settings;
  const lead = leadOf(memory);
  const { name, until } = contextAt(arrivals, now, lead, memory?.arrivals);
  const seen = memory?.seen[name] ?? [];
  const all = sum(seen);
  if (all < LEAST_SAMPLES) {
    if (hasLearned(memory)) return { spare: 0, learned: 'none', until };
    const holdsUntil = lastBefore(arrivals, lead, memory?.arrivals) + HOLD_SECONDS;
    return now < holdsUntil
      ? { spare: 1, learned: undefined, until: Math.min(until, holdsUntil) }
      : { spare: 0, learned: undefined, until };
  }
  const later = memory?.later?.[name] ?? [];
  const share = idleCost / (idleCost + waitingCost);
  let times = 0;
  for (let step = seen.length - 1; step > 0; step -= 1) {
    times += seen[step] ?? 0;
    if (times / all < share) continue;
    const tasks = STEPS[step] ?? 0;
    if (!paysForItsStay(tasks, later, lead, settings)) continue;
    return { spare: Math.min(tasks, max), learned: { tasks, times, all }, until };
  }
  return { spare: 0, learned: 'none', until };
}

/** Whether any context is seen often enough, all together. */
const hasLearned = (memory: Memory | undefined) =>
  Object.values(memory?.seen ?? {}).reduce((all, histogram) => all + sum(histogram), 0) >= LEAST_SAMPLES;

/** When the last tasks arrived before those that came together with the last one: one arrival alone tells nothing. */
function lastBefore(arrivals: readonly Arrival[], lead: number, earlier: readonly Arrival[] = []): number {
  const all = [...earlier, ...arrivals];
  const [last = Number.NEGATIVE_INFINITY] = all.at(-1) ?? [];
  return all.findLast(([at]) => at <= last - lead)?.[0] ?? Number.NEGATIVE_INFINITY;
}

/**
 * Whether the waits that the last of some spare runners saves cost at least as much as its time without a task, from now until
 * it leaves.
 *
 * @param later How many tasks came within the lead time and the stay, in times like this. They count as evenly spread.
 */
function paysForItsStay(
  spare: number,
  later: readonly number[],
  lead: number,
  { idleCost, waitingCost, stays }: SpareSettings,
): boolean {
  if (stays === undefined || sum(later) < LEAST_SAMPLES) return true;
  const whole = lead + stays;
  let saved = 0;
  let idle = 0;
  for (let step = 0; step < later.length; step += 1) {
    const times = later[step] ?? 0;
    const tasks = STEPS[step] ?? 0;
    // Of five tasks, evenly spread, the second one comes after two sixths of the time.
    const comes = (whole * spare) / (tasks + 1);
    saved += tasks < spare ? 0 : times * Math.min(comes, lead);
    idle += times * (tasks < spare ? whole : Math.max(comes - lead, 0));
  }
  return waitingCost * saved >= idleCost * idle;
}

/** From what the number of spare runners follows, in words. */
function reasonOf(
  learned: Shown | 'none' | undefined,
  lead: number,
  { idleCost, waitingCost }: SpareSettings,
): string {
  if (learned === 'none') return '';
  if (learned === undefined)
    return `nothing is learned yet; jobs came twice in the last ${HOLD_SECONDS / 60} min`;
  const { tasks, times, all } = learned;
  return `${Math.round(times)} of ${Math.round(all)} times like this, ${tasks} or more tasks came within ${lead} s; an hour of waiting costs ${waitingCost} dollars, an idle one ${idleCost}`;
}

/** A loop, because a replay sums histograms at each poll. */
export function sum(histogram: readonly number[]): number {
  let total = 0;
  for (let step = 0; step < histogram.length; step += 1) total += histogram[step] ?? 0;
  return total;
}
