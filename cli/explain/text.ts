/** An explanation in words. Pure. */

import { wrapped } from '../../functions/lib/fold.ts';
import type { LearnedContext } from '../../functions/lib/learned-contexts.ts';
import { describeBootTimes } from '../deployed/boots.ts';
import { shortTime } from '../status/fleet-status.ts';
import type { Terminal } from '../terminal/terminal.ts';
import type { Explanation, Wait } from './explanation.ts';

/** How many entries of a list are shown; the JSON has all of them. */
const MOST = 10;

const clock = (at: number) => new Date(at).toISOString().slice(11, 19);
const day = (at: number) => new Date(at).toISOString().slice(0, 16).replace('T', ' ');

/** @param columns The width of the text. */
export function explanationText(
  fleet: string,
  { from, to }: { from: number; to: number },
  explained: Explanation,
  columns: number,
  colours: Terminal['colours'],
): string[] {
  const paragraph = (text: string, indent = 0) => wrapped(text, columns, indent);
  const section = (title: string, lines: string[]) =>
    lines.length === 0 ? [] : ['', colours.bold(title), ...lines];
  const { now, last, changes, holds, awaiting, failures, launches, waits, polls, learned, boots } = explained;
  const measured = describeBootTimes(boots);
  return [
    ...(now === undefined ? [] : paragraph(now)),
    ...(now === undefined ? [] : ['']),
    ...paragraph(
      `Fleet ${fleet}, ${day(from)} to ${day(to).slice(day(from).slice(0, 10) === day(to).slice(0, 10) ? 11 : 0)} UTC: ${pollCount(polls)}, ${changes.length} of them changed something.`,
    ),
    ...section('What was decided', [
      ...newest(changes).flatMap(({ at, from: before, desired, reasons }) =>
        paragraph(`  ${clock(at)}  ${before} to ${desired}: ${reasons.join('; ')}`, 12),
      ),
      ...(last === undefined
        ? []
        : paragraph(`  ${clock(last.at)}  last poll: ${last.decision.reasons.join('; ')}`, 12)),
      ...older(changes),
    ]),
    ...section(
      'What held the capacity',
      holds
        .slice(0, MOST)
        .flatMap((hold) =>
          paragraph(
            `  ${pollCount(hold.polls)}, ${clock(hold.from)} to ${clock(hold.to)}: ${hold.reason}`,
            4,
          ),
        ),
    ),
    ...section(
      'What it waited for',
      awaiting === undefined
        ? []
        : paragraph(
            `  ${awaiting.executions} ${awaiting.executions === 1 ? 'execution' : 'executions'}, ${clock(awaiting.from)} to ${clock(awaiting.to)}: the fleet ${awaiting.waits}`,
            4,
          ),
    ),
    ...section(
      'What failed',
      failures
        .slice(0, MOST)
        .flatMap(({ count, from: first, to: final, step, error, message }) =>
          paragraph(
            `  ${count === 1 ? clock(first) : `${count} times, ${clock(first)} to ${clock(final)}`}, ${step}: ${error}: ${message}`,
            4,
          ),
        ),
    ),
    ...section('The outcome of the launches', launchLines(launches, paragraph)),
    ...section(
      'Where the time of the boots went, in the 24 hours before the end',
      measured === undefined ? [] : paragraph(`  ${measured}.`, 4),
    ),
    ...section('Where the time of the waits went', [
      ...newest(waits).flatMap((wait) => paragraph(`  ${waitText(wait)}`, 4)),
      ...older(waits),
    ]),
    ...section(
      'What the fleet has learned',
      learnedLines(learned).flatMap((line) => paragraph(`  ${line}`, 4)),
    ),
  ];
}

/** How many of the numbers of tasks that followed are shown. */
const MOST_STEPS = 4;

function learnedLines(learned: Explanation['learned']): string[] {
  if (learned === undefined) return [];
  const { spares, peaks } = learned;
  const tasks = (number: number) => `${number} ${number === 1 ? 'task' : 'tasks'}`;
  const followed = (spares?.contexts ?? []).map(({ before, times, atLeast }) => {
    const steps = atLeast
      .filter((_, index) => index % Math.ceil(atLeast.length / MOST_STEPS) === 0)
      .map(([least, seen]) => `${least} or more ${Math.round(seen)} times`);
    const came = steps.length === 0 ? 'none came' : `there came ${steps.join(', ')}`;
    return `${contextText(before, spares?.leadSeconds ?? 0, tasks)}: seen ${Math.round(times)} times; within the next ${spares?.leadSeconds} s ${came}`;
  });
  const most = peaks.map(({ day: date, launches }) => `${launches} on ${date}`);
  return [
    ...(spares === undefined
      ? []
      : [
          `Of its tasks, until ${day(spares.at)} UTC. From asking for a runner until it can take a task: ${spares.leadSeconds} s. What is older counts for less.`,
        ]),
    ...followed,
    ...(most.length === 0
      ? []
      : [`The most launches within one boot, for the size of the warm pool: ${most.join(', ')}.`]),
  ];
}

function contextText(
  before: LearnedContext['before'],
  leadSeconds: number,
  tasks: (number: number) => string,
): string {
  if ('tasks' in before) {
    const [least, most] = before.tasks;
    return `after ${least === most ? tasks(least) : `${least} to ${tasks(most)}`} in ${leadSeconds} s`;
  }
  const [from, to] = before.silence;
  return Number.isFinite(to)
    ? `after ${shortTime(from)} to ${shortTime(to)} without a task`
    : `after more than ${shortTime(from)} without a task`;
}

const newest = <T>(list: readonly T[]) => list.slice(-MOST);
const older = (list: readonly unknown[]) =>
  list.length > MOST ? [`  and ${list.length - MOST} before: --json has all`] : [];

const pollCount = (polls: number) => `${polls} ${polls === 1 ? 'poll' : 'polls'}`;

function launchLines(
  { begun, succeeded, underway, seconds, failed }: Explanation['launches'],
  paragraph: (text: string, indent: number) => string[],
): string[] {
  if (begun === 0) return [];
  const took =
    seconds === undefined
      ? ''
      : shortTime(seconds.least) === shortTime(seconds.most)
        ? `, after ${shortTime(seconds.mean)}`
        : `, after ${shortTime(seconds.least)} to ${shortTime(seconds.most)} (mean ${shortTime(seconds.mean)})`;
  return [
    ...paragraph(
      `  ${begun} ${begun === 1 ? 'launch' : 'launches'}: ${succeeded} in service${took}; ${underway} under way; ${failed.length} failed.`,
      4,
    ),
    ...newest(failed).flatMap(({ at, afterSeconds, kind, reason }) =>
      paragraph(`  ${clock(at)}  failed after ${shortTime(afterSeconds)} (${kind}): ${reason}`, 12),
    ),
    ...older(failed),
  ];
}

/** A wait in the order of its parts. */
export function waitText({ from, to, most, noticedWithin, decided, begun, booted, claimed }: Wait): string {
  const parts = [
    noticedWithin === undefined ? undefined : `noticed within ${shortTime(noticedWithin)}`,
    decided === undefined
      ? 'the desired capacity did not rise'
      : decided === 0
        ? 'decided at once'
        : `decided after ${shortTime(decided)}`,
    begun === undefined ? undefined : `a launch began ${shortTime(begun)} later`,
    booted === undefined ? undefined : `booted in ${shortTime(booted)}`,
    claimed === undefined ? undefined : `no task waited ${shortTime(claimed)} after that`,
  ];
  const lasted = to === undefined ? 'until now' : `to ${clock(to)}, ${shortTime((to - from) / 1_000)}`;
  return `${clock(from)} ${lasted}: up to ${most} ${most === 1 ? 'task' : 'tasks'}; ${parts.filter((part) => part !== undefined).join(', ')}.`;
}
