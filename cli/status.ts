import { setTimeout as sleep } from 'node:timers/promises';
import { Command } from 'commander';
import { priceOf } from '../fleets/cost.ts';
import { FleetsInvalid, loadFleets } from '../fleets/load.ts';
import { forApp } from '../functions/lib/advice.ts';
import { wrapped } from '../functions/lib/fold.ts';
import {
  durationOption,
  NotDeployed,
  refuseVain,
  stackOption,
  UsageError,
} from './command-line/arguments.ts';
import { refuseUnknown } from './command-line/fleets.ts';
import { type CliCommand, nameAndMessage, type Shell } from './command-line/run.ts';
import { fleetsWithoutGroup, groupIsGone } from './deployed/groups.ts';
import { type FleetStatus, fleetStatuses } from './status/fleet-status.ts';
import { readStatus, type StatusReading } from './status/reads.ts';
import { statusDetails, statusTable } from './status/screen.ts';
import { untilAborted, untilEnded } from './terminal/ending.ts';

/** How often `--watch` reads, in seconds. A call costs AWS nothing, and throttling begins far above. */
const EVERY_SECONDS = 5;

/** How long `--watch` shows the cost and the boots that it has read: each read costs a hundredth of a cent for each fleet. */
const COST_MILLISECONDS = 15 * 60_000;

const define = (shell: Shell) =>
  new Command('npm run status --')
    .description(
      'Shows deployed fleets: the queue, the instances, the last decision, alarms, and the cost of this month. Name a fleet to see its instances, its last decision and its alarms in full. The command changes nothing.',
    )
    .argument('[fleet]', 'a deployed fleet (default: all fleets, one on each line)')
    .option('--watch', 'show it until Ctrl-C')
    .option(
      '--every <duration>',
      `with --watch: how often to read (default: ${EVERY_SECONDS}s)`,
      durationOption(2, 3_600),
    )
    .option('--json', 'print only one JSON object')
    .option('--fleets <file>', 'the fleets file, for hourlyPrice (default: fleets.yaml, if it can be read)')
    .addOption(stackOption())
    .action((fleet: string | undefined, options: Options, command: Command) => {
      refuseVain(command, { every: { isThere: options.watch === true, needs: '--watch' } });
      return showStatus(fleet, options, shell);
    });

interface Options {
  watch?: boolean;
  every?: number;
  json?: boolean;
  fleets?: string;
  stack: string;
}

async function showStatus(fleet: string | undefined, options: Options, shell: Shell): Promise<void> {
  const { terminal } = shell;
  if (options.watch && options.json)
    throw new UsageError('--watch shows a screen, and --json prints once: give one of them.');
  if (options.watch && !terminal.hasScreen) throw new UsageError('--watch needs a terminal.');
  const prices = pricesIn(options.fleets, options.stack);
  const first = await read(fleet, options, prices);
  if (options.json) {
    const { fleets, gone, missing } = first;
    terminal.print(JSON.stringify({ stack: options.stack, fleets, gone, missing }));
    return;
  }
  if (!options.watch) {
    terminal.print(describe(first, fleet, terminal.columns, terminal.colours).join('\n'));
    return;
  }
  await untilEnded((ended) => watch(first, fleet, { ...options, prices }, shell, ended));
}

interface Shown {
  stack: string;
  fleets: FleetStatus[];
  /** The fleets whose group is gone. */
  gone: string[];
  missing: string[];
  /** What is read again only now and then. */
  kept: Pick<StatusReading, 'hours' | 'boots' | 'images'>;
}

async function read(
  fleet: string | undefined,
  { stack, json }: Options,
  prices: ReadonlyMap<string, number>,
  kept?: Shown['kept'],
): Promise<Shown> {
  const now = Date.now();
  const poolsOf = fleet === undefined ? (json ? ('all' as const) : undefined) : { fleet };
  const reading = await readStatus(stack, now, { poolsOf, detailsOf: fleet, ...kept });
  const { groups, missing, settings } = reading;
  const without = fleetsWithoutGroup(settings, groups);
  if (fleet !== undefined && without.includes(fleet)) throw new NotDeployed(groupIsGone(fleet));
  if (groups.length > 0 || without.length === 0)
    refuseUnknown(
      stack,
      groups.map((group) => group.fleet),
      fleet,
    );
  const all = fleetStatuses(stack, reading, prices, now);
  const fleets = all.filter((each) => fleet === undefined || each.fleet === fleet);
  return {
    stack,
    fleets,
    gone: fleet === undefined ? without : [],
    missing,
    kept: { hours: reading.hours, boots: reading.boots, images: reading.images },
  };
}

/** The prices that fleets.yaml knows better than the group. Without the file, unless it was named, list prices are used. */
function pricesIn(named: string | undefined, stack: string): Map<string, number> {
  try {
    return new Map(
      loadFleets(named ?? 'fleets.yaml', { stack }).flatMap((fleet) => {
        const price = priceOf(fleet);
        return price === undefined ? [] : [[fleet.name, price] as const];
      }),
    );
  } catch (error) {
    if (named !== undefined) throw error;
    return new Map();
  }
}

function describe(
  { stack, fleets, gone, missing }: Shown,
  named: string | undefined,
  columns: number,
  colours: Shell['terminal']['colours'],
): string[] {
  const advise = (text: string) => forApp({ app: stack, fleetsFile: undefined }, text);
  const lines =
    named === undefined
      ? statusTable(fleets, columns, colours)
      : fleets.flatMap((fleet) => statusDetails(fleet, columns, colours, advise));
  return [
    ...lines,
    ...gone.flatMap((fleet) => wrapped(advise(groupIsGone(fleet)), columns, 2)).map(colours.red),
    ...(missing.length === 0
      ? []
      : wrapped(`Not read: ${missing.join(', ')}`, columns, 2).map(colours.yellow)),
  ];
}

async function watch(
  first: Shown,
  fleet: string | undefined,
  options: Options & { prices: ReadonlyMap<string, number> },
  { terminal }: Shell,
  ended: AbortSignal,
): Promise<void> {
  const screen = terminal.screen();
  let shown = first;
  let costRead = Date.now();
  let fault = '';
  const stopped = untilAborted(ended).then(() => undefined);
  const lines = () => {
    const time = new Date().toISOString().slice(11, 19);
    const head = terminal.colours.dim(`${time} UTC, stack ${options.stack}${fault}. Ctrl-C ends this.`);
    return [head, ...describe(shown, fleet, terminal.columns, terminal.colours)];
  };
  try {
    while (!ended.aborted) {
      screen.draw(lines());
      await sleep((options.every ?? EVERY_SECONDS) * 1_000, undefined, { signal: ended }).catch(
        () => undefined,
      );
      if (ended.aborted) break;
      const readAgain = Date.now() - costRead >= COST_MILLISECONDS;
      try {
        const reading = read(fleet, options, options.prices, readAgain ? undefined : shown.kept);
        const next = await Promise.race([reading, stopped]);
        if (next === undefined) break;
        shown = next;
        if (readAgain) costRead = Date.now();
        fault = '';
      } catch (error) {
        fault = `, not read since (${(error as Error).name})`;
      }
    }
  } finally {
    screen.close();
  }
}

export const status: CliCommand = {
  define,
  usageErrors: [FleetsInvalid],
  describeError: nameAndMessage,
  aws: 'stack',
  // AWS may not answer, and nobody waits for that any more.
  endsProcess: true,
};
