import { type Html, html } from './html.ts';
import type { PartOfWeek, PolicyRow, ReportData } from './model.ts';
import * as shown from './number-format.ts';

const HOURS = Array.from({ length: 24 }, (_, hour) => hour);

/** The rows of a week. */
const dayNames = ({ trace }: ReportData) =>
  trace.startsAt === undefined
    ? HOURS.slice(0, 7).map((day) => `day ${day + 1}`)
    : ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'];

/** Demand and waits by the hour of the week, and working hours, nights and weekends apart. */
export function weekSection(data: ReportData): Html {
  const { trace, rows, demand, recommendation } = data;
  const drawn = [recommendation.row, 'ours'].flatMap((name, index, names) => {
    const row = names.indexOf(name) === index ? rows.find((each) => each.name === name) : undefined;
    return row?.samples === undefined ? [] : [{ row, week: row.samples.week }];
  });
  const clock =
    trace.startsAt === undefined
      ? 'The jobs have no dates, so the days are counted from the first job, and the eighth day counts as the first one. --starts-at gives them dates.'
      : `Hours are those of the time zone ${trace.zone ?? 'UTC'}. --time-zone names another one.`;
  const waits = drawn.flatMap(({ week }) => week.filter((wait) => wait !== null));
  const longest = Math.max(0.1, ...waits);
  return html`<p>${clock} The stronger the colour, the more.</p>
${heatMap(data, 'demand', 'Jobs queued in an hour, on average', demand, Math.max(0.1, ...demand.map((jobs) => jobs ?? 0)))}
${drawn.map(({ row, week }, index) =>
  heatMap(data, `waits-${index}`, `Mean wait in seconds, ${row.label}`, week, longest),
)}
${periodsTable(data)}`;
}

/** A table whose cells are darker for larger values. */
function heatMap(
  data: ReportData,
  id: string,
  caption: string,
  values: readonly (number | null)[],
  most: number,
): Html {
  const cell = (value: number | null | undefined) =>
    value === null || value === undefined
      ? html`<td></td>`
      : html`<td style="--heat:${Math.round((100 * value) / most)}%">${inCell(value)}</td>`;
  return html`<p class="caption" id="${id}-caption">${caption}</p>
<div class="scroll" role="region" aria-labelledby="${id}-caption" tabindex="0"><table class="heat" id="${id}-table" aria-labelledby="${id}-caption">
<thead><tr><td></td>${HOURS.map((hour) => html`<th scope="col">${String(hour).padStart(2, '0')}</th>`)}</tr></thead>
<tbody>${dayNames(data).map(
    (day, row) =>
      html`<tr><th scope="row">${day}</th>${HOURS.map((hour) => cell(values[row * 24 + hour]))}</tr>`,
  )}</tbody></table></div>`;
}

/** Two digits that count: a cell is narrow. */
const inCell = (value: number) => (value < 9.95 ? value.toFixed(1).replace('.0', '') : shown.whole(value));

const ABOUT: Record<string, string> = {
  'working hours': 'Monday to Friday, 08:00 to 18:00',
  nights: 'Monday to Friday, before 08:00 and after 18:00',
  weekends: 'Saturday and Sunday',
};

/** The figures of working hours, nights and weekends of each policy. */
function periodsTable({ rows, trace, unit }: ReportData): Html {
  const chosen = rows.flatMap((row) =>
    row.samples === undefined || row.samples.periods.length === 0
      ? []
      : [{ row, periods: row.samples.periods }],
  );
  const names = chosen[0]?.periods ?? [];
  if (names.length === 0)
    return html`<p class="note">Working hours, nights and weekends need dates: --starts-at says when the trace begins.</p>`;
  const priced = unit !== 'instance-hours';
  const cells = ({
    jobs,
    waitMean,
    instanceHours,
    cost,
  }: PartOfWeek) => html`<td>${shown.orDash(waitMean, shown.short)}</td>
<td>${priced ? shown.orDash(cost, (value) => `$${value.toFixed(2)}`) : shown.short(instanceHours)}</td>
<td>${perJob(cost, jobs)}</td>`;
  const line = ({ row, periods }: { row: PolicyRow; periods: readonly PartOfWeek[] }) =>
    html`<tr><th scope="row">${row.label}</th>${periods.map(cells)}</tr>`;
  return html`<h3>Working hours, nights and weekends</h3>
<p>${names.map(
    ({ name, hours, jobs }, index) =>
      html`${index === 0 ? '' : '; '}<strong>${name}</strong>: ${ABOUT[name] ?? ''} (${shown.whole(hours)} hours, ${shown.whole(jobs)} jobs)`,
  )}. All hours are ${trace.zone ?? 'UTC'}. A job counts when it is queued, an instance while it runs.</p>
<p class="caption" id="periods-caption">Mean wait in seconds, ${priced ? 'US dollars paid in all these days' : 'instance-hours'}, and cost per job</p>
<div class="scroll" role="region" aria-labelledby="periods-caption" tabindex="0"><table id="periods-table" aria-labelledby="periods-caption">
<thead>
<tr><td></td>${names.map(({ name }) => html`<th scope="colgroup" colspan="3">${name}</th>`)}</tr>
<tr><th scope="col">policy</th>${names.map(
    () =>
      html`<th scope="col">wait, s</th><th scope="col">${priced ? '$' : 'hours'}</th><th scope="col">a job</th>`,
  )}</tr>
</thead>
<tbody>${chosen.map(line)}</tbody></table></div>`;
}

const perJob = (cost: number | null, jobs: number) =>
  cost === null || jobs === 0 ? '–' : shown.jobPrice(cost / jobs);
