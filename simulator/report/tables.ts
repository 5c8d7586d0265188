import * as shown from './figures.ts';
import { type Html, html } from './html.ts';
import type { Figures, Lever, ReportData, Row, Unit } from './report-data.ts';

/** A column of a table that can be sorted by it. */
interface Column<R> {
  head: string;
  /** What it is, where the head is too short to say. */
  title?: string;
  value: (row: R) => number | string;
  /** What is shown of the value; itself unless told. */
  text?: (row: R) => string;
}

/** Numbers of one decimal, as the page shows them. */
const number = <R>(
  head: string,
  title: string,
  value: (row: R) => number,
  text = shown.short,
): Column<R> => ({
  head,
  title,
  value,
  text: (row) => text(value(row)),
});

const WAITS = {
  mean: 'mean wait in seconds, from queued to claimed',
  p50: 'half of the jobs wait no longer, in seconds',
  p90: '90 % of the jobs wait no longer, in seconds',
  p95: '95 % of the jobs wait no longer, in seconds',
  p99: '99 % of the jobs wait no longer, in seconds',
  max: 'the longest wait, in seconds',
} as const;

/** The parts of a wait, each in few words, in the order in which they are drawn. */
export const PARTS = {
  capacity: 'of the mean wait: for a runner that is busy, or until the scaler asks for more',
  seen: 'of the mean wait: until the scaler knows of the job',
  launch: 'of the mean wait: until the instance that takes it is pending',
  boot: 'of the mean wait: until that has booted',
  claim: 'of the mean wait: until a runner that stands by asks for work',
} as const;

const priceColumn = (unit: Unit): Column<Figures> =>
  number(unit === 'instance-hours' ? 'hours' : '$/month', unit, ({ price }) => price, shown.whole);

function figures(unit: Unit): Column<Figures>[] {
  const hours: Column<Figures> = number('hours', 'instance-hours', (row) => row.instanceHours);
  return [
    ...Object.entries(WAITS).map(([key, title]) =>
      number<Figures>(
        key,
        title,
        ({ wait }) => Object.entries(wait).find(([name]) => name === key)?.[1] ?? 0,
      ),
    ),
    ...(unit === 'instance-hours' ? [] : [priceColumn(unit)]),
    hours,
    number('killed', 'jobs whose instance was taken away', ({ jobsKilled }) => jobsKilled, shown.whole),
    number('overhead', 'instance-hours over the hours of work', ({ overhead }) => overhead, shown.percent),
    number(
      'idle',
      'of the instance-hours: a runner without a job',
      ({ idleShare }) => idleShare,
      shown.percent,
    ),
    number('launches/job', 'launches of instances for each job', (row) => row.launchesPerJob, shown.ratio),
    number('ghosts', 'instances that never ran a job', ({ ghostLaunches }) => ghostLaunches, shown.whole),
    number('peak', 'the most instances at once', ({ peakInstances }) => peakInstances, shown.whole),
    ...Object.entries(PARTS).map(([part, title]) =>
      number<Figures>(
        part,
        title,
        ({ parts }) => Object.entries(parts).find(([name]) => name === part)?.[1] ?? 0,
      ),
    ),
  ];
}

/** All policies with all figures. */
export function policiesTable({ rows, unit, recommendation }: ReportData): Html {
  const name: Column<Row> = { head: 'policy', value: (row) => row.name };
  return table('policies', 'Each policy', rows, [name, ...figures(unit)], {
    note: ({ about }) => about,
    isMarked: (row) => row.name === recommendation.row,
  });
}

/** Each setting tried, against the fleet's own. */
export function leversTable({ levers, rows, unit }: ReportData): Html {
  const own = rows.find(({ kind }) => kind === 'ours');
  if (own === undefined) return html``;
  const columns: Column<Lever>[] = [
    { head: 'setting', value: ({ lever, to }) => `${lever} ${to}` },
    number('mean', WAITS.mean, ({ wait }) => wait.mean),
    {
      head: 'against',
      title: "mean wait against the fleet's own settings",
      value: ({ wait }) => wait.mean - own.wait.mean,
      text: ({ wait }) => shown.difference(wait.mean, own.wait.mean),
    },
    number('p95', WAITS.p95, ({ wait }) => wait.p95),
    number('p99', WAITS.p99, ({ wait }) => wait.p99),
    ...(unit === 'instance-hours' ? [] : [priceColumn(unit)]),
    number('hours', 'instance-hours', ({ instanceHours }) => instanceHours),
    {
      head: 'against',
      title: `${unit} against the fleet's own settings`,
      value: ({ price }) => price - own.price,
      text: ({ price }) => shown.change(price, own.price),
    },
    number('killed', 'jobs whose instance was taken away', ({ jobsKilled }) => jobsKilled, shown.whole),
  ];
  return table('levers', 'Each setting', levers, columns, {});
}

function table<R>(
  id: string,
  caption: string,
  rows: readonly R[],
  columns: readonly Column<R>[],
  { note, isMarked }: { note?: (row: R) => string; isMarked?: (row: R) => boolean },
): Html {
  const [first, ...others] = columns;
  if (first === undefined) return html``;
  const rowOf = (row: R) => html`<tr${isMarked?.(row) ? html` class="marked"` : ''}>
<th scope="row" data-value="${first.value(row)}">${first.value(row)}${
    note === undefined ? '' : html`<small>${note(row)}</small>`
  }</th>
${others.map(
  (column) => html`<td data-value="${column.value(row)}">${column.text?.(row) ?? column.value(row)}</td>`,
)}
</tr>`;
  return html`<p class="note">Waits are in seconds. A press on a head sorts by it.</p>
<div class="scroll" role="region" aria-labelledby="${id}-caption" tabindex="0">
<table id="${id}-table" class="sortable">
<caption id="${id}-caption">${caption}</caption>
<thead><tr>${columns.map(
    ({ head, title }) =>
      html`<th scope="col"><button type="button"${
        title === undefined ? '' : html` title="${title}" aria-label="${head}: ${title}"`
      }>${head}</button></th>`,
  )}</tr></thead>
<tbody>
${rows.map(rowOf)}
</tbody>
</table>
</div>`;
}
