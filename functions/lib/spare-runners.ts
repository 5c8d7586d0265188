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
 */

/** What the settings of the fleet say. Dollars are of an hour. */
export interface SpareSettings {
  /** What an instance costs. */
  idleCost: number;
  /** What it costs that a job waits. */
  waitingCost: number;
  /** The most spare runners; without it, any number. */
  max?: number | undefined;
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
  /** The counts of the last poll, so that the next execution sees what arrives in between. */
  counts: { unclaimed: number; running: number };
  /** By context: how often this number of tasks arrived within the lead time, by STEPS. */
  seen: Readonly<Record<string, readonly number[]>>;
}

/** How long a boot takes as long as none is on record. */
const UNKNOWN_READY = 90;

/** A poll and a claim are part of a job's wait as well. */
const BESIDE_BOOT = 8;

/** While nothing is learned, one spare runner is kept for this long after a task has arrived, in seconds. */
const HOLD_SECONDS = 600;

/** Nothing is learned of a context until it has been seen so often. */
const LEAST_SAMPLES = 20;

/** How many samples there are in a lead time. They overlap, so that none depends on where it begins. */
const SAMPLES = 4;

/** Without arrivals, a context is how many lead times there has been none: fewer than one of these, or more. */
export const SILENCES = [5, 20, 60];

/** What was learned this long ago counts half, in seconds. */
const HALF_LIFE = 14 * 24 * 3_600;

/**
 * No context counts as more samples than this, which are seven hours of it. So a context that is often seen follows its
 * tasks within a day, and one that is rarely seen is not forgotten.
 */
const MOST_SAMPLES = 1_000;

/** It fades in steps, in seconds. */
const FADES_EVERY = 24 * 3_600;

/** Arrivals are kept to this part of a lead time. */
const MOMENTS = 32;

/** The longest value of a standard parameter of Systems Manager is 4,096; some are for what is beside it. */
const MOST_CHARACTERS = 4_000;

/** Numbers of arrivals: one by one up to 8, then four to each doubling, so that a histogram of a large fleet is short. */
export const STEPS = [
  ...Array.from({ length: 9 }, (_, tasks) => tasks),
  ...[8, 16, 32, 64, 128, 256, 512, 1_024, 2_048].flatMap((base) =>
    [1.25, 1.5, 1.75, 2].map((times) => base * times),
  ),
];

/** The last step that is not above a number of tasks. */
function stepOf(tasks: number): number {
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

/** How long the counts of an execution's last poll are those of the poll before, in seconds. */
const COUNTS_LAST = 30;

/** The counts of the last poll, if an execution that ended a moment ago has left them. */
export const lastCounts = (memory: Memory | undefined, now: number) =>
  memory !== undefined && memory.at <= now && now - memory.at <= COUNTS_LAST ? memory.counts : undefined;

/**
 * In what a time is like others, and until when that stays so if nothing arrives. Arrivals are in order; only those up to
 * the time count.
 *
 * @param earlier The arrivals before these. A replay asks often, so that it copies no arrivals.
 */
function contextAt(
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

/** @returns `learned: undefined` as long as little is, and 'none' if no spare runner pays. */
function found(
  memory: Memory | undefined,
  arrivals: readonly Arrival[],
  { idleCost, waitingCost, max = Number.POSITIVE_INFINITY }: SpareSettings,
  now: number,
): Omit<Spares, 'why'> & { learned: Shown | 'none' | undefined } {
  const lead = leadOf(memory);
  const { name, until } = contextAt(arrivals, now, lead, memory?.arrivals);
  const seen = memory?.seen[name] ?? [];
  const all = sum(seen);
  if (all < LEAST_SAMPLES) {
    const [last = Number.NEGATIVE_INFINITY] = arrivals.at(-1) ?? memory?.arrivals.at(-1) ?? [];
    const holds = now - last < HOLD_SECONDS;
    return {
      spare: holds ? 1 : 0,
      learned: undefined,
      until: holds ? Math.min(until, last + HOLD_SECONDS) : until,
    };
  }
  const share = idleCost / (idleCost + waitingCost);
  let times = 0;
  for (let step = seen.length - 1; step > 0; step -= 1) {
    times += seen[step] ?? 0;
    if (times / all < share) continue;
    const tasks = STEPS[step] ?? 0;
    return { spare: Math.min(tasks, max), learned: { tasks, times, all }, until };
  }
  return { spare: 0, learned: 'none', until };
}

/** From what the number of spare runners follows, in words. */
function reasonOf(
  learned: Shown | 'none' | undefined,
  lead: number,
  { idleCost, waitingCost }: SpareSettings,
): string {
  if (learned === 'none') return '';
  if (learned === undefined)
    return `little is learned of times like this; a job came in the last ${HOLD_SECONDS / 60} min`;
  const { tasks, times, all } = learned;
  return `${Math.round(times)} of ${Math.round(all)} times like this, ${tasks} or more tasks came within ${lead} s; an hour of waiting costs ${waitingCost} dollars, an idle one ${idleCost}`;
}

/**
 * Brings what a fleet has learned up to date, at the end of an execution.
 *
 * @returns The same memory if nothing arrived: then there is nothing to write.
 */
export function remember(
  memory: Memory | undefined,
  {
    arrivals,
    counts,
    readySeconds,
  }: { arrivals: readonly Arrival[]; counts: Memory['counts']; readySeconds?: number | undefined },
  now: number,
): Memory | undefined {
  const [first] = arrivals;
  if (first === undefined) return memory;
  const ready = readySeconds ?? memory?.readySeconds ?? UNKNOWN_READY;
  const { at: _, ...before } = sound(memory, now) ?? {
    at: now,
    readySeconds: ready,
    learnedUntil: first[0],
    fadedAt: now,
    arrivals: [],
    seen: {},
  };
  const lead = leadTime(before);
  const all = [...before.arrivals, ...arrivals];
  const fadings = Math.max(Math.floor((now - before.fadedAt) / FADES_EVERY), 0);
  const seen = faded(before.seen, fadings);
  const learnedUntil = learn(seen, all, before.learnedUntil, now - lead, lead);
  for (const [name, times] of Object.entries(seen)) seen[name] = latest(times);
  return fitting({
    at: now,
    readySeconds: Math.round(before.readySeconds + (ready - before.readySeconds) / 4),
    learnedUntil,
    fadedAt: before.fadedAt + fadings * FADES_EVERY,
    arrivals: coarse(stillNeeded(all, learnedUntil - lead), Math.ceil(lead / MOMENTS)),
    counts,
    seen,
  });
}

/** A memory, unless times in it are still to come: then it would learn nothing until they have. */
const sound = (memory: Memory | undefined, now: number) =>
  memory !== undefined && Math.max(memory.learnedUntil, memory.fadedAt) <= now ? memory : undefined;

/** The histograms after some time, as copies. They fade in steps, because they are rounded. */
function faded(seen: Memory['seen'], fadings: number): Record<string, number[]> {
  if (fadings === 0) {
    const copies: Record<string, number[]> = {};
    for (const [name, histogram] of Object.entries(seen)) copies[name] = histogram.slice();
    return copies;
  }
  const share = 2 ** (-(fadings * FADES_EVERY) / HALF_LIFE);
  const times = (each: number) => Math.round(each * share * 100) / 100;
  return Object.fromEntries(Object.entries(seen).map(([name, histogram]) => [name, histogram.map(times)]));
}

/** A histogram of at most MOST_SAMPLES. */
function latest(histogram: readonly number[]): number[] {
  const share = Math.min(MOST_SAMPLES / sum(histogram), 1);
  return histogram.map((times) => Math.round(times * share * 100) / 100);
}

/** The arrivals after a time, and the one before: it says for how long there was silence. */
function stillNeeded(arrivals: readonly Arrival[], from: number): Arrival[] {
  const index = arrivals.findIndex(([at]) => at > from);
  return arrivals.slice(Math.max(index < 0 ? arrivals.length - 1 : index - 1, 0));
}

/** The arrivals, those within the same few seconds as one. */
function coarse(arrivals: readonly Arrival[], grain: number): Arrival[] {
  const merged: [number, number][] = [];
  for (const [when, tasks] of arrivals) {
    const at = when - (when % grain);
    const last = merged.at(-1);
    if (last?.[0] === at) last[1] += tasks;
    else merged.push([at, tasks]);
  }
  return merged;
}

/** The most characters of what is beside the arrivals and histograms of a memory. */
const BESIDE = 250;

/** At most this many characters, without making the text: a replay remembers in each minute with arrivals. */
function mostCharacters({ arrivals, seen }: Memory): number {
  // A time has 12 digits until the year 33,658, and a number of tasks 8.
  let most = BESIDE + arrivals.length * '[123456789012,12345678],'.length;
  for (const histogram of Object.values(seen)) {
    // A name such as "a12":[], and numbers of at most 1,000 with two decimals, each with a comma.
    most += 9;
    for (const times of histogram) most += times === 0 ? 2 : 7;
  }
  return most;
}

/** A memory that fits into its parameter: the contexts that were seen least are forgotten until it does. */
function fitting(memory: Memory): Memory {
  if (mostCharacters(memory) <= MOST_CHARACTERS) return memory;
  let fits = memory;
  while (JSON.stringify(fits).length > MOST_CHARACTERS) {
    const known = Object.entries(fits.seen).toSorted(([, a], [, b]) => sum(b) - sum(a));
    fits =
      known.length > 0
        ? { ...fits, seen: Object.fromEntries(known.slice(0, -1)) }
        : { ...fits, arrivals: fits.arrivals.slice(Math.ceil(fits.arrivals.length / 2)) };
  }
  return fits;
}

/** A loop, because a replay sums histograms at each poll. */
export function sum(histogram: readonly number[]): number {
  let total = 0;
  for (let step = 0; step < histogram.length; step += 1) total += histogram[step] ?? 0;
  return total;
}

/**
 * Adds to the histograms what came within the lead time after each of some times, which are a part of it apart.
 *
 * @returns The first time that it leaves.
 */
function learn(
  seen: Record<string, number[]>,
  arrivals: readonly Arrival[],
  from: number,
  to: number,
  lead: number,
): number {
  const step = Math.max(Math.floor(lead / SAMPLES), 1);
  let at = from;
  while (at <= to) {
    const { name, until } = contextAt(arrivals, at, lead);
    let next = Number.POSITIVE_INFINITY;
    let tasks = 0;
    for (const [when, number] of arrivals) {
      if (when <= at) continue;
      next = Math.min(next, when);
      if (when > at + lead) break;
      tasks += number;
    }
    // In a silence, all times are alike until the context changes or the lead time reaches the next arrival.
    const alike = tasks > 0 ? at : Math.min(until - 1, next - lead - 1, to);
    const times = Math.max(Math.floor((alike - at) / step) + 1, 1);
    const histogram = seen[name] ?? [];
    const index = stepOf(tasks);
    while (histogram.length <= index) histogram.push(0);
    histogram[index] = (histogram[index] ?? 0) + times;
    seen[name] = histogram;
    at += times * step;
  }
  return at;
}
