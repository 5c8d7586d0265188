import { SSMClient } from '@aws-sdk/client-ssm';
import { Command } from 'commander';
import { forApp } from '../functions/lib/advice.ts';
import { AWS_CLIENT } from './aws/client.ts';
import {
  durationOption,
  NotDeployed,
  stackOption,
  timeOption,
  UsageError,
} from './command-line/arguments.ts';
import { refuseUnknown } from './command-line/fleets.ts';
import { type CliCommand, nameAndMessage, type Shell } from './command-line/run.ts';
import { groupIsGone } from './deployed/groups.ts';
import { readSettings } from './deployed/settings.ts';
import { explainHistory } from './explain/explanation.ts';
import { HistoryUnread, readHistory } from './explain/reads.ts';
import { explanationText } from './explain/text.ts';

const HOUR = 3_600;

/** How much before and after a time `--at` shows, in seconds: a poll may be a minute apart, a boot takes minutes. */
const AROUND = { before: 150, after: 300 };

/** Logs are kept for two weeks. */
const LONGEST = 14 * 24 * HOUR;

const define = (shell: Shell) =>
  new Command('npm run explain --')
    .description(
      'Explains what was decided about a deployed fleet and why: first why nothing launches now, then the decisions, what held the capacity, failures, the outcome of the launches, and where the time of the waits went. The command changes nothing.',
    )
    .argument('<fleet>', 'a deployed fleet')
    .option('--at <time>', 'the minutes around a time, such as 2026-01-05T08:00:00Z', timeOption)
    .option('--last <duration>', 'the time until now (default: 1h)', durationOption(60, LONGEST))
    .option('--json', 'print only one JSON object')
    .addOption(stackOption())
    .action((fleet: string, options: Options) => explainFleet(fleet, options, shell));

interface Options {
  at?: number;
  last?: number;
  json?: boolean;
  stack: string;
}

async function explainFleet(fleet: string, options: Options, { terminal }: Shell): Promise<void> {
  const now = Date.now();
  const period = periodOf(options, now);
  const { fleets, history } = await readHistory(options.stack, fleet, period);
  if (history === undefined) {
    // Without the right to read them, the fleet is unknown, as it would be without this call.
    const settings = await readSettings(options.stack, new SSMClient(AWS_CLIENT)).catch(() => undefined);
    if (settings?.has(fleet)) throw new NotDeployed(groupIsGone(fleet));
  }
  refuseUnknown(options.stack, fleets, fleet);
  if (history === undefined) throw new NotDeployed(groupIsGone(fleet));
  const { now: nothing, ...others } = explainHistory(history, {
    to: period.to,
    untilNow: period.to === now,
  });
  const advised = { app: options.stack, fleetsFile: undefined };
  const explained = { now: nothing && forApp(advised, nothing), ...others };
  if (options.json) {
    const iso = (at: number) => new Date(at).toISOString();
    terminal.print(
      JSON.stringify({
        fleet,
        from: iso(period.from),
        to: iso(period.to),
        ...explained,
        missing: history.missing,
      }),
    );
    return;
  }
  const text = explanationText(fleet, period, explained, terminal.columns, terminal.colours);
  terminal.print(text.join('\n'));
  if (history.missing.length > 0)
    terminal.printProse(terminal.colours.yellow(`Not read: ${history.missing.join(', ')}`));
}

function periodOf({ at, last }: Options, now: number): { from: number; to: number } {
  if (at === undefined) return { from: now - (last ?? HOUR) * 1_000, to: now };
  if (last !== undefined)
    throw new UsageError('--at is a time that is over, and --last ends now: give one of them.');
  if (at > now) throw new UsageError(`--at must be in the past, got ${new Date(at).toISOString()}.`);
  if (at < now - LONGEST * 1_000)
    throw new UsageError(
      `--at must be in the last 14 days, for which logs are kept, got ${new Date(at).toISOString()}.`,
    );
  return { from: at - AROUND.before * 1_000, to: Math.min(at + AROUND.after * 1_000, now) };
}

export const explain: CliCommand = {
  define,
  expectedErrors: [HistoryUnread],
  describeError: nameAndMessage,
  aws: 'stack',
};
