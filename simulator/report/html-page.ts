import { createHash } from 'node:crypto';
import type { Assets } from './assets.ts';
import { comparisonSection } from './comparison-section.ts';
import { glossarySection } from './glossary-section.ts';
import { embeddedJson, Html, html } from './html.ts';
import type { PolicyRow, ReportData } from './model.ts';
import * as shown from './number-format.ts';
import { PARTS, partsTable, policiesTable, settingsTable } from './tables.ts';
import { weekSection } from './week-section.ts';

/** Writes the report as one HTML file that needs no other file and no network. The same data gives the same bytes. */
export function page(data: ReportData, { script, style }: Assets): string {
  const { trace } = data;
  const sections = SECTIONS.filter(({ has }) => has?.(data) ?? true);
  const hash = createHash('sha256').update(script).digest('base64');
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'sha256-${new Html(hash)}'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'">
<meta name="color-scheme" content="light dark">
<title>Runners for ${trace.source}: wait and cost</title>
<style>${new Html(style)}</style>
</head>
<body>
<a class="skip" href="#recommendation">Skip to the recommendation</a>
<header>
<div>
<p class="project">CircleCI runner autoscaler</p>
<h1>Queue waits and runner costs</h1>
<p class="trace"><strong>${trace.source}</strong>: ${shown.whole(trace.jobs)} jobs, ${shown.work(trace.jobHours)} of work in ${shown.span(trace.spanHours)}</p>
</div>
<button type="button" id="theme" aria-pressed="false">Dark</button>
</header>
<nav aria-label="Parts of this page"><ul>
${sections.map(({ id, nav }) => html`<li><a href="#${id}">${nav}</a></li>`)}
</ul></nav>
<noscript><p class="note">Charts and sorting need JavaScript. The tables have every figure without it.</p></noscript>
<main>
${sections.map(
  ({ id, title, body }) => html`<section id="${id}" aria-labelledby="${id}-title" tabindex="-1">
<h2 id="${id}-title">${title}</h2>
${body(data)}
</section>`,
)}
</main>
<script type="application/json" id="data">${embeddedJson(data)}</script>
<script>${new Html(script)}</script>
</body>
</html>
`.text;
}

interface Section {
  id: string;
  nav: string;
  title: string;
  /** Default: every page has it. */
  has?: (data: ReportData) => boolean;
  body: (data: ReportData) => Html;
}

const SECTIONS: Section[] = [
  { id: 'recommendation', nav: 'Recommendation', title: 'Recommendation', body: recommendation },
  {
    id: 'compared',
    nav: 'Before and now',
    title: 'Before and now',
    has: ({ comparison }) => comparison !== undefined,
    body: comparisonSection,
  },
  { id: 'plane', nav: 'Wait and cost', title: 'Wait against cost', body: plane },
  { id: 'settings', nav: 'Settings', title: 'What each setting costs and buys', body: settings },
  { id: 'time', nav: 'Over time', title: 'Queue and capacity over time', body: time },
  { id: 'week', nav: 'Week', title: 'Hours of the week', body: weekSection },
  { id: 'waits', nav: 'Waits', title: 'How long jobs wait', body: waits },
  { id: 'parts', nav: 'Parts', title: 'Where the wait comes from', body: parts },
  { id: 'policies', nav: 'Table', title: 'All figures', body: (data) => policiesTable(data) },
  { id: 'glossary', nav: 'Glossary', title: 'In plain words', body: glossarySection },
  { id: 'about', nav: 'About', title: 'How this was made', body: about },
];

function recommendation({ recommendation, rows, unit, month, glossary }: ReportData): Html {
  const { verdict, headline, reasons, rule, fleetsYaml } = recommendation;
  const find = (name: string) => rows.find((row) => row.name === name);
  const compared: [string, PolicyRow | undefined][] = [
    ['recommended', rows.find(({ kind }) => kind === 'recommended')],
    ['current settings', find('ours')],
    ["CircleCI's tutorial", find('circleci-tutorial')],
  ];
  const tile = (what: string, value: (row: PolicyRow) => string) => html`<div class="tile">
<h3>${what}</h3>
<dl>${compared.map(([name, row]) =>
    row === undefined ? html`` : html`<div><dt>${name}</dt><dd>${value(row)}</dd></div>`,
  )}</dl>
</div>`;
  return html`<dl class="verdict">
${verdict.map(
  ({ what, text, isGood }) =>
    html`<div${isGood === undefined ? '' : isGood ? html` class="met"` : html` class="missed"`}><dt>${what}</dt><dd>${text}</dd></div>`,
)}
</dl>
<p class="headline">${headline}</p>
<div class="tiles">
${tile('Mean wait', ({ wait }) => shown.seconds(wait.mean))}
${tile('95 % wait at most', ({ wait }) => shown.seconds(wait.p95))}
${tile(unit === 'instance-hours' ? 'Instance-hours' : 'A month', ({ price }) => shown.price(price, unit))}
${tile('Jobs killed', ({ jobsKilled }) => shown.whole(jobsKilled))}
</div>
${month === undefined ? '' : html`<p class="note">${month}</p>`}
<div class="columns">
<div>
<h3>Reasons</h3>
<ul>${reasons.map((reason) => html`<li>${reason}</li>`)}</ul>
<details><summary>The rule</summary><p>${rule}</p></details>
</div>
<div>
<h3>In fleets.yaml</h3>
${
  fleetsYaml === ''
    ? html`<p>Nothing to change.</p>`
    : html`<div class="code"><pre id="yaml" tabindex="0" aria-label="Lines of fleets.yaml"><code>${fleetsYaml}</code></pre>
<button type="button" id="copy" data-copies="yaml" data-says="copied">Copy</button></div>
<p class="note" id="copied" role="status"></p>
<p>What these settings do: ${glossary
        .filter(({ setting }) => new RegExp(`^ *${setting}:`, 'm').test(fleetsYaml))
        .map(
          ({ setting }, index) =>
            html`${index === 0 ? '' : ', '}<a href="#setting-${setting}">${setting}</a>`,
        )}.</p>`
}
</div>
</div>`;
}

/** A chart's element, with a description for screen readers. */
const chart = (id: string, label: string, caption: string | Html) => html`<figure>
<div class="chart" id="${id}-chart" role="img" aria-label="${label}"></div>
<figcaption>${caption}</figcaption>
</figure>`;

function plane(data: ReportData): Html {
  const { unit, rows, tried } = data;
  const killing = rows.some(({ jobsKilled }) => jobsKilled > 0);
  return html`<p>Down is faster, left is cheaper: the best policies are at the bottom left.</p>
<div class="controls">
<label>Wait <select id="plane-wait">
<option value="mean">mean</option>
<option value="p50">50 % of the jobs</option>
<option value="p95">95 % of the jobs</option>
<option value="p99">99 % of the jobs</option>
</select></label>
<label><input type="checkbox" id="plane-near">only from half to twice the cost of ours</label>
<ul class="legend" aria-label="Legend">
<li><i class="dot recommended"></i>recommended</li>
<li><i class="dot ours"></i>ours, current settings</li>
<li><i class="dot tried"></i>ours with other settings</li>
<li><i class="dot peer"></i>peers</li>
<li><i class="dot lower-bound"></i>lower bounds</li>
${killing ? html`<li><i class="dot killing"></i>kills jobs</li>` : ''}
</ul>
</div>
${chart(
  'plane',
  `Scatter plot: each policy's wait in seconds against its ${unit}. The table of all figures has the same numbers.`,
  html`Wait in seconds against ${unit}${unit === 'instance-hours' ? '' : html`, on a logarithmic axis if the costs differ much`}. No scaler can do better than the lower bounds. They are: no wait, with every boot paid; a launch for each job at the moment it is queued; and the same with runners that stay forever.${tried.length === 0 ? '' : ' The small points are the Pareto front of the settings that the search tried.'}`,
)}
${front(data)}`;
}

/** The Pareto front, with what each of its points sets. */
function front({ front, unit }: ReportData): Html {
  if (front.length < 2) return html``;
  return html`<h3>The cheapest settings for each wait</h3>
<p>Each row has a shorter wait and a higher cost than the row above. None of the other settings that were tried is better in both: this is the Pareto front.${
    front.some(({ reuses }) => reuses)
      ? ' With reuse, a job finds what earlier jobs left on its machine.'
      : ''
  }</p>
<p class="caption" id="front-caption">The Pareto front of mean wait and cost</p>
<div class="scroll" role="region" aria-labelledby="front-caption" tabindex="0"><table id="front-table" aria-labelledby="front-caption">
<thead><tr><th scope="col">mean wait</th><th scope="col">${unit}</th><th scope="col">10 s less cost</th><th scope="col">fleets.yaml</th><td></td></tr></thead>
<tbody>${front.map(
    ({ wait, price, per10Seconds, fleetsYaml, isRecommended, name }, index) =>
      html`<tr${isRecommended ? html` class="marked"` : ''}>
<th scope="row">${shown.seconds(wait)}${isRecommended ? html`<small>recommended</small>` : ''}</th>
<td>${shown.price(price, unit)}</td><td>${shown.orDash(per10Seconds, (value) => shown.price(value, unit))}</td>
<td class="settings">${
        fleetsYaml === ''
          ? 'the current settings'
          : html`<pre id="front-${index}"><code>${fleetsYaml}</code></pre>`
      }</td>
<td>${
        fleetsYaml === ''
          ? ''
          : html`<button type="button" data-copies="front-${index}" data-says="front-copied" aria-label="Copy ${name}">Copy</button>`
      }</td></tr>`,
  )}</tbody></table></div>
<p class="note" id="front-copied" role="status"></p>`;
}

function settings(data: ReportData): Html {
  return html`<p>Each bar changes one setting; all others have the fleet's current values. The line is the fleet with its current settings.</p>
${chart('settings', 'Bars: the mean wait and the cost with each setting. The table below has the same numbers.', 'Mean wait and cost with each setting. Green is better than with the current settings, orange is worse, grey is the same.')}
<details><summary>As a table</summary>
${settingsTable(data)}
</details>
${data.impossible.length === 0 ? '' : html`<p class="note">Not tried, because the fleet's other settings do not allow them: ${data.impossible.join('; ')}.</p>`}`;
}

const choices = (rows: readonly PolicyRow[]) => rows.filter(({ samples }) => samples !== undefined);

function time({ rows, recommendation, stretches }: ReportData): Html {
  return html`<div class="controls">
<label>Policy <select id="time-policy">${choices(rows).map(
    ({ name, label }) =>
      html`<option value="${name}"${name === recommendation.row ? html` selected` : ''}>${label}</option>`,
  )}</select></label>
<label>Time <select id="time-stretch">${stretches.map(
    ({ name }, index) => html`<option value="${index}">${name}</option>`,
  )}</select></label>
<div class="buttons" role="group" aria-label="Visible time">
<button type="button" id="time-earlier" aria-label="Earlier">←</button>
<button type="button" id="time-later" aria-label="Later">→</button>
<button type="button" id="time-in" aria-label="Zoom in">+</button>
<button type="button" id="time-out" aria-label="Zoom out">−</button>
<button type="button" id="time-all">All</button>
</div>
<ul class="legend" aria-label="Legend">
<li><i class="bar instances"></i>billed instances</li>
<li><i class="bar running"></i>running jobs</li>
<li><i class="bar waiting"></i>waiting jobs</li>
</ul>
</div>
<p class="range"><output id="time-range" for="time-earlier time-later time-in time-out time-all"></output></p>
${chart(
  'time',
  'Lines over time: billed instances, running jobs and waiting jobs of the chosen policy.',
  html`<span id="time-points"></span> Drag the slider, or use the buttons.`,
)}`;
}

function waits({ rows, recommendation }: ReportData): Html {
  const first = new Set([recommendation.row, 'ours', 'circleci-tutorial', 'mro', 'buildkite']);
  return html`<fieldset class="choices"><legend>Policies</legend>
${choices(rows).map(
  ({ name, label }, index) =>
    html`<label><input type="checkbox" name="waits" value="${name}"${first.has(name) ? html` checked` : ''}><i class="line" data-line="${index}"></i>${label}</label>`,
)}
</fieldset>
${chart('waits', 'Lines: for each chosen policy, the share of the jobs that wait at most a given time. The table of all figures has the percentiles.', 'The share of the jobs that wait at most a given time. Up and to the left is better. The axis ends at the longest of the 99th percentiles.')}`;
}

function parts(data: ReportData): Html {
  const { rows } = data;
  return html`<ul class="legend" aria-label="Legend">
${PARTS.map(
  ({ part, what }) => html`<li><i class="bar ${part}"></i><span><strong>${part}</strong> ${what}</span></li>`,
)}
</ul>
${chart('parts', `Stacked bars: the components of the mean wait of ${rows.length} policies. The table of all figures has the same numbers.`, 'The components of the mean wait, in seconds.')}
<details><summary>As a table</summary>
${partsTable(data)}
</details>`;
}

function about({ trace, command, world, assumptions }: ReportData): Html {
  return html`<div class="columns">
<div>
<h3>The jobs</h3>
<p class="anywhere">${trace.source}: ${shown.whole(trace.jobs)} jobs, ${shown.work(trace.jobHours)} of work, queued in ${shown.span(trace.spanHours)}.</p>
${trace.notes.length === 0 ? '' : html`<ul>${trace.notes.map((note) => html`<li>${note}</li>`)}</ul>`}
<h3>The command</h3>
<pre class="wrap" tabindex="0" aria-label="Command"><code>${command}</code></pre>
<p>The same command with the same jobs writes the same page, byte for byte. So the page has no date.</p>
<h3>What a replay cannot show</h3>
<ul>
<li>The replay is open loop: jobs arrive at their recorded times, however long they wait. People push less to a slow queue.</li>
<li>Most traces lack jobs that were cancelled while queued.</li>
<li>One job needs one runner, and all runners are equal.</li>
<li>So the comparison of policies is fair; the waits in seconds are less certain.</li>
</ul>
</div>
<div>
<h3>Assumptions</h3>
<dl class="world">${world.map(
    ({ what, seconds }) => html`<div><dt>${what}</dt><dd>${shown.seconds(seconds)}</dd></div>`,
  )}</dl>
<ul>${assumptions.map((assumption) => html`<li>${assumption}</li>`)}</ul>
</div>
</div>`;
}
