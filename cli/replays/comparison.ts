import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import * as z from 'zod';
import type { FleetConfig } from '../../fleets/load.ts';
import type { Priced } from '../../simulator/cost.ts';
import { tableOf } from '../../simulator/job-table.ts';
import type { Outcome } from '../../simulator/outcome.ts';
import { compared } from '../../simulator/report/comparison.ts';
import type { Comparison } from '../../simulator/report/model.ts';
import type { Trace } from '../../simulator/traces/trace.ts';
import type { World } from '../../simulator/world.ts';
import type { Terminal } from '../terminal/terminal.ts';
import { changes } from './intervals.ts';

/** The form of what `--json` prints. A later version with another form has another number. */
export const FORMAT = 1;

/** `--compare` cannot use a file; the message says why, and what is allowed. */
export class ComparisonInvalid extends Error {
  override readonly name = 'ComparisonInvalid';
}

/** What two runs can have different, as `--json` prints it. */
export interface Given {
  format: typeof FORMAT;
  /** The fleet's settings. */
  settings: FleetConfig;
  /** What else the replay assumes. */
  assumptions: { world: Omit<World, 'startsAt'>; faults: string[]; prices: Priced };
}

export function givenBy(
  settings: FleetConfig,
  { startsAt: _, ...world }: World,
  faults: string[] | undefined,
  prices: Priced,
): Given {
  return { format: FORMAT, settings, assumptions: { world, faults: faults ?? [], prices } };
}

/** The same for the same jobs. */
export function fingerprintOf({ jobs, startsAt }: Pick<Trace, 'jobs' | 'startsAt'>): string {
  const { queuedAt, durationSeconds } = tableOf(jobs);
  const hash = createHash('sha256').update(String(startsAt));
  for (const { buffer } of [queuedAt, durationSeconds]) hash.update(new Uint8Array(buffer));
  return hash.digest('hex').slice(0, 16);
}

const Wait = z.object({ mean: z.number(), p95: z.number() });

const Run = z.object({
  trace: z.object({ source: z.string(), jobs: z.number(), fingerprint: z.string() }),
  settings: z.record(z.string(), z.unknown()),
  assumptions: z.record(z.string(), z.unknown()),
  policies: z.array(
    z.object({
      policy: z.string(),
      waitSeconds: Wait,
      replayedHours: z.number().optional(),
      instanceHours: z.number(),
      jobsKilled: z.number(),
      cost: z.object({ total: z.number() }).optional(),
      month: z.object({ hours: z.number() }).optional(),
      costReplayed: z.object({ perJob: z.number() }).optional(),
      days: z
        .array(
          z.object({
            day: z.union([z.string(), z.number()]),
            hours: z.number(),
            jobs: z.number(),
            waitSeconds: Wait.nullable(),
            instanceHours: z.number(),
            cost: z.number().optional(),
          }),
        )
        .optional(),
    }),
  ),
});

/** A run that `--json` has written. */
export type OtherRun = z.infer<typeof Run>;

/**
 * Reads what an earlier `npm run simulate -- --json` has printed.
 *
 * @throws ComparisonInvalid
 */
export function readOtherRun(file: string, trace: Trace): OtherRun {
  const place = `--compare ${file}`;
  const how = 'write one with npm run --silent simulate -- --json > before.json';
  let data: unknown;
  try {
    data = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    const cause =
      error instanceof SyntaxError ? 'is not JSON' : `cannot be read: ${(error as Error).message}`;
    throw new ComparisonInvalid(`${place}: the file ${cause}; ${how}`);
  }
  const { format, optimised } = Object(data);
  if (optimised !== undefined)
    throw new ComparisonInvalid(
      `${place}: the file is the result of a search; write one without --optimise, with --set for the settings found`,
    );
  if (format !== undefined && format !== FORMAT)
    throw new ComparisonInvalid(
      `${place}: another version of simulate has written the file (format ${JSON.stringify(format)}, and this one reads ${FORMAT}); write it again with this version`,
    );
  const run = Run.safeParse(data);
  if (format === undefined || !run.success) {
    const [fault] = format === undefined ? [] : (run.error?.issues ?? []);
    const where = fault === undefined ? '' : ` (${fault.path.join('.')} is missing or of another kind)`;
    throw new ComparisonInvalid(`${place}: the file is not what simulate --json prints${where}; ${how}`);
  }
  const { source, jobs, fingerprint } = run.data.trace;
  if (fingerprint !== fingerprintOf(trace))
    throw new ComparisonInvalid(
      `${place}: the file is a replay of other jobs (${source}, ${jobs} jobs); replay the same jobs, with the same --trace or --workload, --seed and --starts-at`,
    );
  return run.data;
}

/** Compares a run with the outcomes of this one. */
export function compareWith(
  file: string,
  other: OtherRun,
  given: Given,
  outcomes: readonly Outcome[],
): Comparison {
  const { settings, assumptions } = JSON.parse(JSON.stringify(given));
  return compared(file, other, { settings, assumptions, policies: outcomes });
}

/** A comparison of more days lists none of them on the terminal. */
const MOST_DAYS = 14;

/** The comparison as text. */
export function describeComparison(comparison: Comparison, { colours }: Terminal): string {
  const { source, changed, policies, missing, days } = comparison;
  const number = (value: number | null | undefined, digits: number, width: number) =>
    (value === null || value === undefined ? '-' : value.toFixed(digits)).padStart(width);
  const names = Math.max(...policies.map(({ policy }) => policy.length), 10);
  const head = `${'wait before'.padStart(13)}${'now'.padStart(8)}${'p95 before'.padStart(12)}${'now'.padStart(7)}${'USD before'.padStart(12)}${'now'.padStart(7)}`;
  const row = (name: string, before: Comparison['days'][number]['before'], after: typeof before) =>
    `${name.padEnd(names)}${number(before.mean, 1, 13)}${number(after.mean, 1, 8)}${number(before.p95, 0, 12)}${number(after.p95, 0, 7)}${number(before.cost, 0, 12)}${number(after.cost, 0, 7)}`;
  return [
    colours.bold(`Compared with ${source}`),
    ...(changed.length === 0 ? ['Nothing was set differently.'] : []),
    ...changed.map(({ what, before, after }) => `  ${what}: ${before} before, ${after} now`),
    '',
    colours.dim(`${'policy'.padEnd(names)}${head}`),
    ...policies.map(({ policy, before, after }) => row(policy, before, after)),
    ...policies
      .slice(0, 1)
      .flatMap(({ policy, interval }) =>
        interval === null
          ? []
          : [
              `${Math.round(interval.level * 100)} % interval of ${policy}, by drawing the ${interval.days} days again at random: ${changes(interval)}.`,
            ],
      ),
    ...(missing.length === 0 ? [] : [`In one of the runs only: ${missing.join(', ')}.`]),
    ...(days.length === 0 || days.length > MOST_DAYS
      ? []
      : [
          '',
          colours.dim(`${'day'.padEnd(names)}${head}`),
          ...days.map(({ day, before, after }) => row(`${day}`, before, after)),
        ]),
  ].join('\n');
}
