import * as z from 'zod';
import { fileInRepository } from '../../fleets/repository.ts';
import { fleetsSchema } from '../../fleets/schema.ts';
import type { Faults } from '../../sandbox/group/faults.ts';
import type { Priced } from '../../simulator/cost.ts';
import { tableOf } from '../../simulator/job-table.ts';
import { pricedForPart } from '../../simulator/month.ts';
import { part, type Tried } from '../../simulator/optimise.ts';
import type { Outcome } from '../../simulator/outcome.ts';
import type { PolicyChoice } from '../../simulator/peers.ts';
import { writePrivate } from '../../simulator/private-files.ts';
import { readAssets } from '../../simulator/report/assets.ts';
import { collect } from '../../simulator/report/collect.ts';
import { page } from '../../simulator/report/html-page.ts';
import type { Comparison } from '../../simulator/report/model.ts';
import { whole } from '../../simulator/report/number-format.ts';
import type { Trace } from '../../simulator/traces/trace.ts';
import type { World } from '../../simulator/world.ts';
import { keepFromGit } from '../command-line/git-exclude.ts';
import type { Shell } from '../command-line/run.ts';
import { asYaml, describeGoal, type SearchResult } from './optimise.ts';
import type { choosePolicies } from './policies.ts';
import { type LearnedBefore, warmed } from './warm.ts';

/** A replay of a trace. */
export interface Replay {
  policies: ReturnType<typeof choosePolicies>;
  source: string;
  trace: Trace;
  world: World;
  faults: Faults;
  priced: Priced;
  /** A sentence about the prices. */
  costs: string;
}

/** A replay to report on. */
export interface ReplayToReport extends Replay {
  options: { set?: string[]; fleet?: string; train: number; fault?: string[]; learned: LearnedBefore };
  /** What the reader of the trace left out, and its warnings. */
  notes: string[];
  /** The figures of the policies on all jobs, if they were replayed on all jobs. */
  outcomes: readonly Outcome[];
  /** A comparison with another run, if there is one. */
  comparison: Comparison | undefined;
  /**
   * The result of a search, if there was one. The report then shows the jobs that the search has not seen, as it shows the
   * jobs after those that ours has learned from.
   */
  found: { answer: SearchResult; tried: readonly Tried[] } | undefined;
}

/** Replays what a report shows, and writes it as one HTML file: completely or not at all. */
export async function writeReport(file: string, replay: ReplayToReport, shell: Shell): Promise<void> {
  const { terminal } = shell;
  const { options, policies, trace, faults, found } = replay;
  const { fleet } = policies;
  const isWarm = options.learned === 'warm';
  const all = { jobs: tableOf(trace.jobs), world: replay.world };
  const parts = found === undefined && !isWarm ? undefined : part(all.jobs, all.world, options.train);
  const { jobs, world } = parts?.rest ?? all;
  const priced = parts === undefined ? replay.priced : pricedForPart(replay.priced, 1 - options.train);
  const start = <Choice extends PolicyChoice>(choice: Choice) =>
    isWarm && parts !== undefined ? warmed(choice, parts.training.jobs, parts.training.world) : choice;
  const oursWith = (set: readonly string[]) => {
    const choice = policies.oursWith(set);
    return choice && start(choice);
  };
  const data = await collect({
    about: {
      source:
        parts === undefined
          ? replay.source
          : `${replay.source}, the part after the ${found === undefined ? 'first' : 'search'}`,
      ...(trace.startsAt !== undefined && { startsAt: world.startsAt }),
      notes: replay.notes,
      command: commandOf(shell.words),
      documents: fileInRepository('docs/'),
      assumptions: [
        `At most ${whole(fleet.maxReplicas)} instances for each policy.`,
        replay.costs,
        ...(isWarm
          ? [
              `Spare runners and automatic pools begin with what they learned on the first ${Math.round(100 * options.train)} % of the trace.`,
            ]
          : []),
        ...(options.fault ?? []).map((fault) => `Fault: ${fault}.`),
      ],
    },
    jobs,
    world,
    choices: policies.choices.map(start),
    outcomes: replay.outcomes,
    faults,
    priced,
    search: found && {
      ...found.answer,
      goal: describeGoal(found.answer.goal),
      share: options.train,
      tried: found.tried,
    },
    comparison: replay.comparison,
    oursWith,
    fleetsYaml: (set) =>
      `${options.fleet ?? 'your-fleet'}:\n${asYaml([...ofFleet(options.set ?? [], policies), ...set]).replaceAll(/^/gm, '  ')}\n`,
    describe: settingDescriptions(),
    progress: (total, of) => terminal.progress(of, { total }),
  });
  const html = page(data, await readAssets());
  keepFromGit(file, terminal);
  writePrivate(file, html);
  terminal.note(`Report: ${file} (${Math.round(Buffer.byteLength(html) / 1_000)} kB)`);
}

const Described = z.object({
  additionalProperties: z.object({
    properties: z.record(z.string(), z.object({ description: z.string().optional() })),
  }),
});

/** What each setting does, from the JSON Schema of fleets.yaml. */
function settingDescriptions(): (setting: string) => string | undefined {
  const { properties } = Described.parse(JSON.parse(fleetsSchema())).additionalProperties;
  return (setting) => properties[setting]?.description;
}

/** The settings of the fleet, without the parameters of other policies. */
const ofFleet = (set: readonly string[], { set: keys }: ReplayToReport['policies']) =>
  set.filter((each) => keys.has((each.split('=')[0] ?? '').split('.')[0]?.trim() ?? ''));

/** The command as it was typed. The name of the page is always the same, because it does not change the page. */
export function commandOf(words: readonly string[]): string {
  const quoted = words.map((word, index) => {
    if (words[index - 1] === '--report') return 'report.html';
    if (word.startsWith('--report=')) return '--report=report.html';
    return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
  });
  return ['npm run simulate --', ...quoted].join(' ');
}
