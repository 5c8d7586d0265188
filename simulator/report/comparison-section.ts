import { type Html, html } from './html.ts';
import type { ComparedFigures, Comparison, DayFigures, ReportData } from './model.ts';
import * as shown from './number-format.ts';
import { POLICY_NAMES } from './policy-links.ts';

const dash = (value: number | null, text: (value: number) => string) => shown.orDash(value, text);

const dollars = (value: number) => `$${shown.whole(value)}`;

/** With cents: a day costs little. */
const cents = (value: number) => `$${value.toFixed(2)}`;

/** What people call a policy. Both runs are of this project, so it has no other name here. */
const called = (policy: string) =>
  policy === 'ours' ? 'this project' : (POLICY_NAMES[policy]?.label ?? policy);

/** This run beside another run of the same jobs. */
export function comparisonSection({ comparison }: ReportData): Html {
  if (comparison === undefined) return html``;
  const { source, changed, missing } = comparison;
  return html`<p class="anywhere">“Before” is ${source}; “now” is this page. Both replay the same jobs. Times are in seconds.</p>
<h3>What was set differently</h3>
${
  changed.length === 0
    ? html`<p>Nothing.</p>`
    : html`<div class="scroll" role="region" aria-label="What was set differently" tabindex="0"><table>
<thead><tr><th scope="col">setting</th><th scope="col">before</th><th scope="col">now</th></tr></thead>
<tbody>${changed.map(
        ({ what, before, after }) =>
          html`<tr><th scope="row">${what}</th><td>${before}</td><td>${after}</td></tr>`,
      )}</tbody></table></div>`
}
${policies(comparison)}
${missing.length === 0 ? '' : html`<p class="note">In one of the two runs only: ${missing.map(called).join(', ')}.</p>`}
${days(comparison)}`;
}

function policies({ policies }: Comparison): Html {
  const cells = (
    before: ComparedFigures,
    after: ComparedFigures,
  ) => html`<td>${shown.seconds(before.mean ?? 0)}</td>
<td>${shown.seconds(after.mean ?? 0)}</td><td>${shown.difference(after.mean ?? 0, before.mean ?? 0)}</td>
<td>${shown.seconds(before.p95 ?? 0)}</td><td>${shown.seconds(after.p95 ?? 0)}</td>
<td>${dash(before.cost, dollars)}</td><td>${dash(after.cost, dollars)}</td>
<td>${before.cost === null || after.cost === null ? '–' : shown.change(after.cost, before.cost)}</td>
<td>${dash(before.perJob, shown.jobPrice)}</td><td>${dash(after.perJob, shown.jobPrice)}</td>
<td>${shown.whole(before.jobsKilled)}</td><td>${shown.whole(after.jobsKilled)}</td>`;
  return html`<h3>Waits and costs</h3>
<p class="caption" id="compared-caption">Each policy of both runs</p>
<div class="scroll" role="region" aria-labelledby="compared-caption" tabindex="0"><table id="compared-table" aria-labelledby="compared-caption">
<thead>
<tr><td></td><th scope="colgroup" colspan="3">mean wait</th><th scope="colgroup" colspan="2">95 % wait at most</th><th scope="colgroup" colspan="3">a month</th><th scope="colgroup" colspan="2">a job</th><th scope="colgroup" colspan="2">jobs killed</th></tr>
<tr><th scope="col">policy</th><th scope="col">before</th><th scope="col">now</th><th scope="col">change</th><th scope="col">before</th><th scope="col">now</th><th scope="col">before</th><th scope="col">now</th><th scope="col">change</th><th scope="col">before</th><th scope="col">now</th><th scope="col">before</th><th scope="col">now</th></tr>
</thead>
<tbody>${policies.map(
    ({ policy, before, after }) =>
      html`<tr><th scope="row">${called(policy)}</th>${cells(before, after)}</tr>`,
  )}</tbody></table></div>
${policies.slice(0, 1).map(sure)}`;
}

function sure({ policy, interval }: Comparison['policies'][number]): Html {
  if (interval === null)
    return html`<p class="note">There is no interval for the change of ${called(policy)}: it takes five days, and the same time zone in both runs.</p>`;
  const { level, days, waitSeconds, cost } = interval;
  const [low, high] = waitSeconds.mean;
  return html`<p class="note">How sure, for ${called(policy)}: if the ${days} days are drawn again at random, ${shown.percent(level)} of the draws change the mean wait by ${shown.seconds(low)} to ${shown.seconds(high)}${
    cost === undefined ? '' : html`, and a month by ${dollars(cost.total[0])} to ${dollars(cost.total[1])}`
  }.</p>`;
}

function days({ days, policies }: Comparison): Html {
  const [first] = policies;
  if (first === undefined || days.length < 2) return html``;
  const pair = (one: DayFigures, other: DayFigures, of: (day: DayFigures) => string) =>
    html`<td>${of(one)}</td><td>${of(other)}</td>`;
  return html`<details><summary>Day by day, for ${called(first.policy)}</summary>
<p class="caption" id="compared-days-caption">Each day</p>
<div class="scroll" role="region" aria-labelledby="compared-days-caption" tabindex="0"><table id="compared-days" aria-labelledby="compared-days-caption">
<thead>
<tr><td colspan="2"></td><th scope="colgroup" colspan="2">mean wait</th><th scope="colgroup" colspan="2">95 % wait at most</th><th scope="colgroup" colspan="2">the day costs</th></tr>
<tr><th scope="col">day</th><th scope="col">jobs</th>${[1, 2, 3].map(
    () => html`<th scope="col">before</th><th scope="col">now</th>`,
  )}</tr>
</thead>
<tbody>${days.map(
    ({ day, jobs, before, after }) => html`<tr><th scope="row">${day}</th><td>${shown.whole(jobs)}</td>
${pair(before, after, ({ mean }) => dash(mean, shown.seconds))}
${pair(before, after, ({ p95 }) => dash(p95, shown.seconds))}
${pair(before, after, ({ cost }) => dash(cost, cents))}</tr>`,
  )}</tbody></table></div></details>`;
}
