import { type Html, html } from './html.ts';
import type { Figures, Part, PolicyRow, ReportData, SettingRow, Unit } from './model.ts';
import * as shown from './number-format.ts';
import { POLICY_NAMES } from './policy-links.ts';

/** A column of a sortable table. */
interface Column<R> {
  head: string;
  /** An explanation, if the heading is too short. */
  title?: string;
  value: (row: R) => number | string;
  /** The text of the cell. Default: the value. */
  text?: (row: R) => string;
}

/** A column of numbers, by default with one decimal. */
const number = <R>(
  head: string,
  title: string,
  value: (row: R) => number | null,
  text = shown.short,
): Column<R> => ({
  head,
  title,
  // Below all others when sorted.
  value: (row) => value(row) ?? -1,
  text: (row) => shown.orDash(value(row), text),
});

const WAITS: { key: keyof Figures['wait']; what: string }[] = [
  { key: 'mean', what: 'mean wait in seconds, from queued to claimed' },
  { key: 'p50', what: '50 % of the jobs wait at most this long, in seconds' },
  { key: 'p90', what: '90 % of the jobs wait at most this long, in seconds' },
  { key: 'p95', what: '95 % of the jobs wait at most this long, in seconds' },
  { key: 'p99', what: '99 % of the jobs wait at most this long, in seconds' },
  { key: 'max', what: 'the longest wait, in seconds' },
];

/** The components of a wait, in the order of the chart. */
export const PARTS: { part: Part; what: string }[] = [
  { part: 'capacity', what: 'for a busy runner, or until the scaler requests more instances' },
  { part: 'seen', what: 'until a poll or webhook reports the job to the scaler' },
  { part: 'launch', what: 'until the instance that takes it is pending' },
  { part: 'boot', what: 'until that instance has booted' },
  { part: 'claim', what: 'until an idle runner asks for work' },
];

const waitColumns = (keys: readonly (keyof Figures['wait'])[]) =>
  WAITS.filter(({ key }) => keys.includes(key)).map(({ key, what }) =>
    number<Figures>(key, what, ({ wait }) => wait[key]),
  );

/** Instance-hours, and the cost if it is known. */
const priceColumns = (unit: Unit): Column<Figures>[] => [
  ...(unit === 'instance-hours' ? [] : [number<Figures>('$/month', unit, ({ price }) => price, shown.whole)]),
  ...(unit === 'instance-hours'
    ? []
    : [
        number<Figures>(
          'a job',
          'cost of a job, all instances included',
          ({ perJob }) => perJob,
          shown.jobPrice,
        ),
      ]),
  number('hours', 'instance-hours', ({ instanceHours }) => instanceHours),
];

const KILLED: Column<Figures> = number(
  'killed',
  'jobs whose instance was terminated',
  ({ jobsKilled }) => jobsKilled,
  shown.whole,
);

const figures = (unit: Unit): Column<Figures>[] => [
  ...waitColumns(WAITS.map(({ key }) => key)),
  ...priceColumns(unit),
  KILLED,
  number('overhead', 'instance-hours beyond the hours of work', ({ overhead }) => overhead, shown.percent),
  number('idle', 'share of the instance-hours without a job', ({ idleShare }) => idleShare, shown.percent),
  number('launches a job', 'launches per job', (row) => row.launchesPerJob, shown.ratio),
  number(
    'unused',
    'launches of instances that left without a job',
    ({ unusedLaunches }) => unusedLaunches,
    shown.whole,
  ),
  number('peak', 'peak number of instances', ({ peakInstances }) => peakInstances, shown.whole),
];

/** The table of all policies with all figures. */
export function policiesTable({ rows, unit, recommendation }: ReportData): Html {
  const name: Column<PolicyRow> = { head: 'policy', value: (row) => row.label };
  return table('policies', 'Each policy', rows, [name, ...figures(unit)], {
    url: ({ name }) => POLICY_NAMES[name]?.url,
    note: ({ about }) => about,
    isMarked: (row) => row.name === recommendation.row,
  });
}

/** The table of the components of each policy's mean wait. */
export function partsTable({ rows }: ReportData): Html {
  const columns: Column<PolicyRow>[] = [
    { head: 'policy', value: (row) => row.label },
    ...waitColumns(['mean']),
    ...PARTS.map(({ part, what }) =>
      number<Figures>(part, `of the mean wait: ${what}`, ({ parts }) => parts[part]),
    ),
  ];
  return table('parts', 'The components of the mean wait', rows, columns, {});
}

/** The table of the settings tried, against the fleet's current settings. */
export function settingsTable({ settings, rows, unit }: ReportData): Html {
  const own = rows.find(({ kind }) => kind === 'ours');
  if (own === undefined) return html``;
  const columns: Column<SettingRow>[] = [
    { head: 'setting', value: ({ setting, to }) => `${setting} ${to}` },
    ...waitColumns(['mean']),
    {
      head: 'wait against ours',
      title: "mean wait compared with the fleet's current settings",
      value: ({ wait }) => wait.mean - own.wait.mean,
      text: ({ wait }) => shown.difference(wait.mean, own.wait.mean),
    },
    ...waitColumns(['p95', 'p99']),
    ...priceColumns(unit),
    {
      head: 'cost against ours',
      title: `${unit} compared with the fleet's current settings`,
      value: ({ price }) => price - own.price,
      text: ({ price }) => shown.change(price, own.price),
    },
    KILLED,
  ];
  return table('settings', 'Each setting', settings, columns, {
    url: ({ setting }) => `#setting-${setting.split('.')[0]}`,
  });
}

function table<R>(
  id: string,
  caption: string,
  rows: readonly R[],
  columns: readonly Column<R>[],
  {
    note,
    url,
    isMarked,
  }: { note?: (row: R) => string; url?: (row: R) => string | undefined; isMarked?: (row: R) => boolean },
): Html {
  const [first, ...others] = columns;
  if (first === undefined) return html``;
  const titleOf = (row: R) => {
    const address = url?.(row);
    return address === undefined
      ? html`${first.value(row)}`
      : html`<a href="${address}">${first.value(row)}</a>`;
  };
  const rowOf = (row: R) => html`<tr${isMarked?.(row) ? html` class="marked"` : ''}>
<th scope="row" data-value="${first.value(row)}">${titleOf(row)}${
    note === undefined ? '' : html`<small>${note(row)}</small>`
  }</th>
${others.map(
  (column) => html`<td data-value="${column.value(row)}">${column.text?.(row) ?? column.value(row)}</td>`,
)}
</tr>`;
  return html`<p class="note">Waits are in seconds. Click a column heading to sort.</p>
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
