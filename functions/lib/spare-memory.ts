/**
 * What a fleet with `spareRunners: auto` remembers from execution to execution; spare-runners.ts decides by it. Pure.
 */

import {
  type Arrival,
  contextAt,
  leadTime,
  type Memory,
  stepOf,
  sum,
  UNKNOWN_READY,
} from './spare-runners.ts';

/** How many samples there are in a lead time. They overlap, so that none depends on where it begins. */
const SAMPLES = 4;

/** What was learned this long ago counts half, in seconds. */
const HALF_LIFE = 14 * 24 * 3_600;

/**
 * No context counts as more samples than this, which are seven hours of it. So a context that is often seen follows its
 * tasks within a day, and one that is rarely seen is not forgotten.
 */
const MOST_SAMPLES = 1_000;

/** It fades in steps, in seconds. */
const FADES_EVERY = 24 * 3_600;

/** Arrivals are kept to this part of a lead time, and to this part of a stay once only that is to be learned from them. */
const MOMENTS = 32;

/** The longest value of a standard parameter of Systems Manager is 4,096; some are for what is beside it. */
const MOST_CHARACTERS = 4_000;

/**
 * Brings what a fleet has learned up to date, at the end of an execution.
 *
 * @param lived.stays How long a runner without a task stays, in seconds.
 * @returns The same memory if nothing arrived or ended: then there is nothing to write.
 */
export function remember(
  memory: Memory | undefined,
  {
    arrivals,
    counts,
    readySeconds,
    stays,
  }: {
    arrivals: readonly Arrival[];
    counts: Memory['counts'];
    readySeconds?: number | undefined;
    stays?: number | undefined;
  },
  now: number,
): Memory | undefined {
  const [first] = arrivals;
  if (first === undefined) return memory && withCounts(memory, counts, now);
  const ready = readySeconds ?? memory?.readySeconds ?? UNKNOWN_READY;
  const { at: _, ...before }: Memory = sound(memory, now) ?? {
    at: now,
    readySeconds: ready,
    learnedUntil: first[0],
    fadedAt: now,
    arrivals: [],
    counts,
    seen: {},
  };
  const lead = leadTime(before);
  const all = [...before.arrivals, ...arrivals];
  const fadings = Math.max(Math.floor((now - before.fadedAt) / FADES_EVERY), 0);
  const seen = faded(before.seen, fadings);
  const learnedUntil = learn(seen, all, { from: before.learnedUntil, to: now, lead, within: lead });
  const long = stays === undefined ? undefined : { later: faded(before.later ?? {}, fadings), stays };
  const laterUntil =
    long &&
    learn(long.later, all, {
      from: before.laterUntil ?? before.learnedUntil,
      to: now,
      lead,
      within: lead + long.stays,
    });
  const fine = Math.ceil(lead / MOMENTS);
  return fitting({
    at: now,
    readySeconds: Math.round(before.readySeconds + (ready - before.readySeconds) / 4),
    learnedUntil,
    fadedAt: before.fadedAt + fadings * FADES_EVERY,
    arrivals: coarse(stillNeeded(all, (laterUntil ?? learnedUntil) - lead), {
      fine,
      rough: Math.max(fine, Math.ceil((stays ?? 0) / MOMENTS)),
      until: learnedUntil - lead,
    }),
    counts,
    seen,
    ...(long && { later: long.later, laterUntil }),
  });
}

/** A memory with the counts of the last poll, if they are others. */
const withCounts = (memory: Memory, counts: Memory['counts'], now: number): Memory =>
  memory.counts.unclaimed === counts.unclaimed && memory.counts.running === counts.running
    ? memory
    : { ...memory, at: now, counts };

/** A memory, unless times in it are still to come: then it would learn nothing until they have. */
const sound = (memory: Memory | undefined, now: number) =>
  memory !== undefined && Math.max(memory.learnedUntil, memory.laterUntil ?? 0, memory.fadedAt) <= now
    ? memory
    : undefined;

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
function latest(histogram: readonly number[], parts: number): number[] {
  const share = Math.min(MOST_SAMPLES / sum(histogram), 1);
  return histogram.map((times) => Math.round(times * share * parts) / parts);
}

/** The arrivals after a time, and the one before: it says for how long there was silence. */
function stillNeeded(arrivals: readonly Arrival[], from: number): Arrival[] {
  const index = arrivals.findIndex(([at]) => at > from);
  return arrivals.slice(Math.max(index < 0 ? arrivals.length - 1 : index - 1, 0));
}

/** The arrivals, those within the same few seconds as one: fewer of them from a time on. */
function coarse(
  arrivals: readonly Arrival[],
  { fine, rough, until }: { fine: number; rough: number; until: number },
): Arrival[] {
  const merged: [number, number][] = [];
  for (const [when, tasks] of arrivals) {
    const at = when - (when % (when > until ? fine : rough));
    const last = merged.at(-1);
    if (last?.[0] === at) last[1] += tasks;
    else merged.push([at, tasks]);
  }
  return merged;
}

/** The most characters of what is beside the arrivals and histograms of a memory. */
const BESIDE = 250;

/** At most this many characters, without making the text: a replay remembers in each minute with arrivals. */
function mostCharacters({ arrivals, seen, later = {} }: Memory): number {
  // A time has 12 digits until the year 33,658, and a number of tasks 8.
  let most = BESIDE + arrivals.length * '[123456789012,12345678],'.length;
  for (const histogram of [...Object.values(seen), ...Object.values(later)]) {
    // A name such as "a12":[], and numbers of at most 1,000 with two decimals, each with a comma.
    most += 9;
    for (const times of histogram) most += times === 0 ? 2 : 7;
  }
  return most;
}

/**
 * A memory that fits into its parameter: of the contexts that were seen least, it forgets first what came during a stay, and
 * then the rest, until it does.
 */
function fitting(memory: Memory): Memory {
  if (mostCharacters(memory) <= MOST_CHARACTERS) return memory;
  let fits = memory;
  while (JSON.stringify(fits).length > MOST_CHARACTERS) {
    const { seen, later = {}, arrivals } = fits;
    const known = Object.keys(seen).toSorted((a, b) => sum(seen[b] ?? []) - sum(seen[a] ?? []));
    const least = known.findLast((name) => name in later);
    if (least !== undefined) fits = { ...fits, later: without(later, least) };
    else if (known.length > 0) fits = { ...fits, seen: without(seen, known.at(-1)) };
    else fits = { ...fits, arrivals: arrivals.slice(Math.ceil(arrivals.length / 2)) };
  }
  return fits;
}

const without = (histograms: Memory['seen'], name: string | undefined) =>
  Object.fromEntries(Object.entries(histograms).filter(([of]) => of !== name));

/**
 * Adds to the histograms what came within some seconds after each of some times, which are a part of the lead time apart.
 *
 * @param times.from The first of these times.
 * @param times.to What came until then is known.
 * @returns The first time that it leaves.
 */
function learn(
  seen: Record<string, number[]>,
  arrivals: readonly Arrival[],
  { from, to, lead, within }: { from: number; to: number; lead: number; within: number },
): number {
  const last = to - within;
  const step = Math.max(Math.floor(lead / SAMPLES), 1);
  let at = from;
  while (at <= last) {
    const { name, until } = contextAt(arrivals, at, lead);
    let next = Number.POSITIVE_INFINITY;
    let tasks = 0;
    for (const [when, number] of arrivals) {
      if (when <= at) continue;
      next = Math.min(next, when);
      if (when > at + within) break;
      tasks += number;
    }
    // In a silence, all times are alike until the context changes or the next arrival comes within these seconds.
    const alike = tasks > 0 ? at : Math.min(until - 1, next - within - 1, last);
    const times = Math.max(Math.floor((alike - at) / step) + 1, 1);
    const histogram = seen[name] ?? [];
    const index = stepOf(tasks);
    while (histogram.length <= index) histogram.push(0);
    histogram[index] = (histogram[index] ?? 0) + times;
    seen[name] = histogram;
    at += times * step;
  }
  for (const [name, times] of Object.entries(seen)) seen[name] = latest(times, within > lead ? 10 : 100);
  return at;
}
