import type { Summary } from '../../sandbox/summary.ts';
import type { Cost } from '../../simulator/cost.ts';
import { shownSeconds } from '../../simulator/goal.ts';
import type { Terminal } from '../terminal/terminal.ts';

/** The figures that a replay and a run through the workflow share. */
export type FiguresRow = Summary & { policy: string; cost?: Cost; sum?: number | undefined };

interface Column {
  head: string;
  width: number;
  cell: (row: FiguresRow) => string;
}

const COLUMNS: Column[] = [
  { head: 'mean', width: 6, cell: ({ waitSeconds }) => waitSeconds.mean.toFixed(1) },
  { head: 'p50', width: 5, cell: ({ waitSeconds }) => waitSeconds.p50.toFixed(0) },
  { head: 'p95', width: 5, cell: ({ waitSeconds }) => waitSeconds.p95.toFixed(0) },
  { head: 'p99', width: 5, cell: ({ waitSeconds }) => waitSeconds.p99.toFixed(0) },
  { head: 'hours', width: 7, cell: ({ instanceHours }) => instanceHours.toFixed(1) },
  {
    head: 'over',
    width: 6,
    cell: ({ overhead }) => (overhead === null ? '-' : `${Math.round(overhead * 100)}%`),
  },
  { head: 'USD/mo', width: 7, cell: ({ cost }) => (cost === undefined ? '-' : cost.total.toFixed(0)) },
  { head: 'unused', width: 7, cell: ({ unusedLaunches }) => `${unusedLaunches}` },
  { head: 'killed', width: 7, cell: ({ jobsKilled }) => `${jobsKilled}` },
];

/**
 * With the digits that a goal compares, and with what is minimised. All percentiles have the same digits: a p50 with fewer
 * could be shown above the p95.
 */
export const SEARCH_COLUMNS: Column[] = COLUMNS.flatMap((column) => {
  const { head } = column;
  if (head === 'p50' || head === 'p95' || head === 'p99')
    return { ...column, cell: ({ waitSeconds }) => shownSeconds(waitSeconds[head]) };
  if (head !== 'USD/mo') return column;
  return [column, { head: '+wait', width: 7, cell: ({ sum }) => sum?.toFixed(0) ?? '-' }];
});

/** Each column is as wide as its longest cell, with a space before it. */
export function table(rows: FiguresRow[], { colours }: Terminal, shown = COLUMNS): string {
  const names = Math.max(...rows.map(({ policy }) => policy.length));
  const columns = shown.map(({ head, width, cell }) => {
    const cells = rows.map(cell);
    const longest = Math.max(width, ...cells.map(({ length }) => length + 1));
    return { head: head.padStart(longest), cells: cells.map((text) => text.padStart(longest)) };
  });
  return [
    colours.dim('policy'.padEnd(names) + columns.map(({ head }) => head).join('')),
    ...rows.map(({ policy }, row) => policy.padEnd(names) + columns.map(({ cells }) => cells[row]).join('')),
  ].join('\n');
}
