/**
 * The plan's concurrency: the fleets of an organisation share a number of running tasks, and CircleCI hands out no task
 * beyond it. So a fleet launches only for tasks of its share. Pure: what the other fleets have is read from their
 * groups, as levels, at each poll. A share only limits launches; it takes no instance away.
 */

/** A fleet's tasks, as its last execution left them on the tag of its group. */
export interface TaskLevels {
  /** Those of the waiting tasks that the fleet can run; runnable-tasks.ts says which. */
  unclaimed: number;
  running: number;
  /** Those of the running tasks that run on no member in service. */
  elsewhere: number;
  /** Members that were pending or in service. */
  present: number;
  /** In seconds since the epoch. */
  at: number;
}

/** Another fleet of the organisation. */
export interface Sharer {
  /** Members of its group that are pending or in service now. */
  present: number;
  /** Without them, each member may run a task. */
  levels?: TaskLevels | undefined;
}

/** How long levels count, in seconds: each execution of a fleet that has tasks writes them again. */
const FRESH_SECONDS = 150;

/**
 * How many tasks of this fleet may run now. The fleets share the limit evenly, and what one does not need goes to the
 * others. Tasks that run beyond a fleet's share stay counted until they end.
 *
 * @param limit How many tasks all fleets together may run.
 * @param position Where this fleet is among the fleets, in the order of all of them.
 * @param others The other fleets, in that order.
 * @param now Milliseconds since the epoch.
 */
export function concurrencyShare(
  limit: number,
  position: number,
  { unclaimed, running }: Pick<TaskLevels, 'unclaimed' | 'running'>,
  others: readonly Sharer[],
  now: number,
): number {
  const theirs = others.map((other) => tasksOf(other, now));
  const demands = theirs.map(({ demand }) => demand);
  demands.splice(position, 0, unclaimed + running);
  const shares = fairShares(limit, demands);
  shares.splice(position, 1);
  const taken = theirs.reduce((sum, { held }, index) => sum + Math.max(held, shares[index] ?? 0), 0);
  return Math.max(limit - taken, 0);
}

/**
 * What a fleet demands and what it holds: each member runs a task, or will, as long as the fleet has as many tasks as
 * members. Old levels say nothing of demand. Then each member may run a task.
 */
function tasksOf({ present, levels }: Sharer, now: number): { demand: number; held: number } {
  if (levels === undefined) return { demand: present, held: present };
  const { unclaimed, running, elsewhere, at } = levels;
  const old = Math.abs(now / 1_000 - at) > FRESH_SECONDS;
  if (old && !isNone(levels)) return { demand: present, held: present };
  // Members that have come since then came for tasks.
  const demand = running + Math.max(unclaimed, present - levels.present);
  return { demand, held: Math.min(demand, present + elsewhere) };
}

/** Gives each as much as the others, or as it demands if that is less. */
function fairShares(limit: number, demands: readonly number[]): number[] {
  const shares = demands.map(() => 0);
  const smallestFirst = demands
    .map((demand, index) => ({ demand, index }))
    .sort((a, b) => a.demand - b.demand);
  let left = limit;
  smallestFirst.forEach(({ demand, index }, before) => {
    const share = Math.min(demand, Math.floor(left / (demands.length - before)));
    shares[index] = share;
    left -= share;
  });
  return shares;
}

const isNone = ({ unclaimed, running }: Pick<TaskLevels, 'unclaimed' | 'running'>) =>
  unclaimed + running === 0;

/**
 * What an execution writes for the other fleets; `undefined` if the tag says it already. Levels of 0 do not become old,
 * so they are written only when members come or go.
 *
 * @param before As the tag has them.
 * @param now Milliseconds since the epoch.
 */
export function levelsToWrite(
  before: TaskLevels | undefined,
  {
    unclaimed,
    running,
    members: { pending, inService },
  }: Pick<TaskLevels, 'unclaimed' | 'running'> & { members: { pending: number; inService: number } },
  now: number,
): TaskLevels | undefined {
  const present = pending + inService;
  if (before !== undefined && isNone(before) && unclaimed + running === 0 && present === before.present)
    return undefined;
  const elsewhere = Math.max(running - inService, 0);
  return { unclaimed, running, elsewhere, present, at: Math.floor(now / 1_000) };
}

/** As the tag of the group has them; AWS allows few characters in tags. */
export const formatLevels = ({ unclaimed, running, elsewhere, present, at }: TaskLevels) =>
  [unclaimed, running, elsewhere, present, at].join(' ');

/** Reads the tag; `undefined` if somebody wrote something else there. */
export function parseLevels(tag: string): TaskLevels | undefined {
  if (!/^(\d{1,6} ){4}\d{1,12}$/.test(tag)) return undefined;
  const [unclaimed = 0, running = 0, elsewhere = 0, present = 0, at = 0] = tag.split(' ').map(Number);
  return { unclaimed, running, elsewhere, present, at };
}
