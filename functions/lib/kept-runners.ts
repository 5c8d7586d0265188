/** Which runners without a task are kept beside those that the tasks want. Pure. */

/** What `spareRunners: auto` wants now; see spare-runners.ts. */
export interface LearnedSpares {
  spare: number;
  /** From what that follows, in words. */
  why: string;
}

/** How many runners are kept beside those that the tasks want, and by which setting. */
export function keptRunners({
  unclaimed,
  running,
  minReplicas,
  headroom = 0,
  spares,
  concurrency = Number.POSITIVE_INFINITY,
}: {
  unclaimed: number;
  running: number;
  minReplicas: number;
  headroom?: number | string | undefined;
  spares?: LearnedSpares | undefined;
  concurrency?: number | undefined;
}): { spare: number; kept: string } {
  const tasks = unclaimed + running;
  const share = typeof headroom === 'string';
  // Of no tasks a share is none; a number is kept while there is a task.
  const asked = share ? Math.ceil((tasks * Number.parseInt(headroom, 10)) / 100) : tasks > 0 ? headroom : 0;
  const learned = spares?.spare ?? 0;
  // What no task may run on is not launched ahead.
  const ahead = Math.min(Math.max(asked, learned), Math.max(concurrency - tasks, 0));
  if (ahead <= minReplicas) return { spare: minReplicas, kept: 'minReplicas' };
  if (learned > asked) return { spare: ahead, kept: `spareRunners: ${spares?.why}` };
  return { spare: ahead, kept: share ? `headroom ${headroom}` : 'headroom' };
}
