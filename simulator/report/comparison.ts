import type { Day } from '../days.ts';
import { intervalOfChange } from '../resampling.ts';
import type { ComparedFigures, Comparison, DayFigures } from './model.ts';

/** What a comparison needs of a run. */
interface ComparedRun {
  settings: Record<string, unknown>;
  assumptions: Record<string, unknown>;
  policies: readonly {
    policy: string;
    waitSeconds: { mean: number; p95: number };
    instanceHours: number;
    jobsKilled: number;
    replayedHours?: number | undefined;
    cost?: { total: number } | undefined;
    month?: { hours: number } | undefined;
    costReplayed?: { perJob: number } | undefined;
    days?: readonly (Omit<Day, 'cost'> & { cost?: number | undefined })[] | undefined;
  }[];
}

/** Puts two runs of the same jobs side by side. */
export function compared(source: string, before: ComparedRun, after: ComparedRun): Comparison {
  const pairs = after.policies.flatMap((now) => {
    const then = before.policies.find(({ policy }) => policy === now.policy);
    return then === undefined ? [] : [{ then, now }];
  });
  const [first] = pairs;
  const isOfBoth = ({ policy }: { policy: string }) => pairs.some(({ now }) => now.policy === policy);
  return {
    source,
    changed: [
      ...differences(before.settings, after.settings),
      ...differences(before.assumptions, after.assumptions),
    ],
    policies: pairs.map(({ then, now }) => ({
      policy: now.policy,
      before: figuresOf(then),
      after: figuresOf(now),
      interval: intervalOfChange(daysOf(then), daysOf(now)) ?? null,
    })),
    missing: [
      ...new Set(
        [...before.policies, ...after.policies].filter((run) => !isOfBoth(run)).map(({ policy }) => policy),
      ),
    ],
    days: (first?.now.days ?? []).flatMap((now) => {
      const then = first?.then.days?.find(({ day }) => day === now.day);
      if (then === undefined) return [];
      return [{ day: now.day, jobs: now.jobs, before: ofDay(then), after: ofDay(now) }];
    }),
  };
}

type ComparedPolicy = ComparedRun['policies'][number];

const figuresOf = ({
  waitSeconds,
  instanceHours,
  jobsKilled,
  cost,
  costReplayed,
}: ComparedPolicy): ComparedFigures => ({
  mean: waitSeconds.mean,
  p95: waitSeconds.p95,
  cost: cost?.total ?? null,
  instanceHours,
  perJob: costReplayed?.perJob ?? null,
  jobsKilled,
});

const ofDay = ({ waitSeconds, cost }: Omit<Day, 'cost'> & { cost?: number | undefined }): DayFigures => ({
  mean: waitSeconds?.mean ?? null,
  p95: waitSeconds?.p95 ?? null,
  cost: cost ?? null,
});

const daysOf = ({ days = [], replayedHours = 0, month }: ComparedPolicy) => ({
  days: days.map(({ cost, ...day }) => ({ ...day, ...(cost !== undefined && { cost }) })),
  replayedHours,
  month,
});

/** The leaves that differ, by their paths. */
function differences(before: unknown, after: unknown, path: readonly string[] = []): Comparison['changed'] {
  if (JSON.stringify(before) === JSON.stringify(after)) return [];
  if (!isRecord(before) && !isRecord(after))
    return [{ what: path.join('.'), before: inWords(before), after: inWords(after) }];
  const [one, other] = [before, after].map((value) => (isRecord(value) ? value : {}));
  const keys = new Set([...Object.keys(one ?? {}), ...Object.keys(other ?? {})]);
  return [...keys].flatMap((key) => differences(one?.[key], other?.[key], [...path, key]));
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const inWords = (value: unknown) =>
  value === undefined ? 'not set' : typeof value === 'string' ? value : JSON.stringify(value);
