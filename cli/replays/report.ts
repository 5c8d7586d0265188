import { renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Faults } from '../../sandbox/group/faults.ts';
import type { Priced } from '../../simulator/cost.ts';
import { tableOf } from '../../simulator/job-table.ts';
import { part, type Tried } from '../../simulator/optimise.ts';
import type { Outcome } from '../../simulator/outcome.ts';
import { bundleAssets } from '../../simulator/report/assets.ts';
import { whole } from '../../simulator/report/figures.ts';
import { page } from '../../simulator/report/page.ts';
import { collect } from '../../simulator/report/report.ts';
import type { Trace } from '../../simulator/traces.ts';
import type { World } from '../../simulator/world.ts';
import { UsageError } from '../command-line/arguments.ts';
import type { Shell } from '../command-line/run.ts';
import { type Answer, asYaml, describeGoal } from './optimise.ts';
import type { choosePolicies } from './policies.ts';

/**
 * Before minutes of replays: whether a report can be written there.
 *
 * @throws UsageError
 */
export function checkReportFile(file: string): void {
  const folder = dirname(file);
  const found = (path: string) => statSync(path, { throwIfNoEntry: false });
  if (!found(folder)?.isDirectory()) throw new UsageError(`--report ${file}: there is no folder ${folder}`);
  if (found(file)?.isFile() === false)
    throw new UsageError(`--report ${file}: it must be a file, such as report.html`);
}

/** What is replayed. */
export interface Replay {
  policies: ReturnType<typeof choosePolicies>;
  source: string;
  trace: Trace;
  world: World;
  faults: Faults;
  priced: Priced;
  /** By which prices it is counted. */
  costs: string;
}

export interface ReportWords extends Replay {
  options: { set?: string[]; fleet?: string; train: number; fault?: string[] };
  /** What the trace's reader has left out, and what it warns of. */
  notes: string[];
  /** What the policies came to on all jobs, if they have been replayed on them. */
  outcomes: readonly Outcome[];
  /** What a search found, if there was one: the report is then of the jobs that it has not seen. */
  found: { answer: Answer; tried: readonly Tried[] } | undefined;
}

/** Replays what a report shows, and writes it as one file of HTML, whole or not at all. */
export async function writeReport(file: string, words: ReportWords, shell: Shell): Promise<void> {
  const { terminal } = shell;
  const { options, policies, trace, faults, priced, found } = words;
  const { fleet, choices, oursWith } = policies;
  const all = { jobs: tableOf(trace.jobs), world: words.world };
  const { jobs, world } = found === undefined ? all : (part(all.jobs, all.world, options.train)?.rest ?? all);
  const data = await collect({
    about: {
      source: found === undefined ? words.source : `${words.source}, what comes after the search`,
      ...(trace.startsAt !== undefined && { startsAt: world.startsAt }),
      notes: words.notes,
      command: commandOf(shell.words),
      assumptions: [
        `At most ${whole(fleet.maxReplicas)} instances, whatever the policy.`,
        words.costs,
        ...(options.fault ?? []).map((fault) => `What goes wrong: ${fault}.`),
      ],
    },
    jobs,
    world,
    choices,
    outcomes: words.outcomes,
    faults,
    priced,
    sought: found && {
      ...found.answer,
      goal: describeGoal(found.answer.goal),
      share: options.train,
      tried: found.tried,
    },
    oursWith,
    fleetsYaml: (set) =>
      `${options.fleet ?? 'your-fleet'}:\n${asYaml([...ofFleet(options.set ?? [], policies), ...set]).replaceAll(/^/gm, '  ')}\n`,
    progress: (total, of) => terminal.progress(of, { total }),
  });
  const html = page(data, await bundleAssets());
  const unfinished = `${file}.part`;
  try {
    writeFileSync(unfinished, html);
    renameSync(unfinished, file);
  } finally {
    rmSync(unfinished, { force: true });
  }
  terminal.note(`Report: ${file} (${Math.round(Buffer.byteLength(html) / 1_000)} kB)`);
}

/** What is set of the fleet, and not of another policy. */
const ofFleet = (set: readonly string[], { set: keys }: ReportWords['policies']) =>
  set.filter((each) => keys.has((each.split('=')[0] ?? '').split('.')[0]?.trim() ?? ''));

/** The command as it was typed. Where the page is written to says nothing about it, so that is always the same. */
export function commandOf(words: readonly string[]): string {
  const quoted = words.map((word, index) => {
    if (words[index - 1] === '--report') return 'report.html';
    if (word.startsWith('--report=')) return '--report=report.html';
    return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
  });
  return ['npm run simulate --', ...quoted].join(' ');
}
