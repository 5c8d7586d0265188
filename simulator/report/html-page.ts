import { createHash } from 'node:crypto';
import type { Assets } from './assets.ts';
import { embeddedJson, Html, html } from './html.ts';
import type { PolicyRow, ReportData } from './model.ts';
import * as shown from './number-format.ts';
import { PARTS, policiesTable, settingsTable } from './tables.ts';

/** The report as one file of HTML that needs no other, and no network. The same data, the same bytes. */
export function page(data: ReportData, { script, style }: Assets): string {
  const { trace } = data;
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
<h1>What jobs wait, and what runners cost</h1>
<p class="trace"><strong>${trace.source}</strong>: ${shown.whole(trace.jobs)} jobs, ${shown.whole(trace.jobHours)} hours of work in ${shown.span(trace.spanHours)}</p>
</div>
<button type="button" id="theme" aria-pressed="false">Dark</button>
</header>
<nav aria-label="Parts of this page"><ul>
${SECTIONS.map(({ id, nav }) => html`<li><a href="#${id}">${nav}</a></li>`)}
</ul></nav>
<noscript><p class="note">Charts and sorting need JavaScript. Every figure is in the tables, which do not.</p></noscript>
<main>
${SECTIONS.map(
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

const SECTIONS: { id: string; nav: string; title: string; body: (data: ReportData) => Html }[] = [
  { id: 'recommendation', nav: 'Recommendation', title: 'Recommendation', body: recommendation },
  { id: 'plane', nav: 'Wait and cost', title: 'Wait against cost', body: plane },
  { id: 'settings', nav: 'Settings', title: 'What each setting costs and buys', body: settings },
  { id: 'time', nav: 'Over time', title: 'Queue and capacity over time', body: time },
  { id: 'waits', nav: 'Waits', title: 'How long jobs wait', body: waits },
  { id: 'parts', nav: 'Parts', title: 'Where the wait comes from', body: parts },
  { id: 'policies', nav: 'Table', title: 'All figures', body: (data) => policiesTable(data) },
  { id: 'about', nav: 'About', title: 'How this was made', body: about },
];

function recommendation({ recommendation, rows, unit }: ReportData): Html {
  const { headline, reasons, rule, fleetsYaml } = recommendation;
  const find = (name: string) => rows.find((row) => row.name === name);
  const compared: [string, PolicyRow | undefined][] = [
    ['recommended', rows.find(({ kind }) => kind === 'recommended')],
    ['as it is', find('ours')],
    ["CircleCI's tutorial", find('circleci-tutorial')],
  ];
  const tile = (what: string, value: (row: PolicyRow) => string) => html`<div class="tile">
<h3>${what}</h3>
<dl>${compared.map(([name, row]) =>
    row === undefined ? html`` : html`<div><dt>${name}</dt><dd>${value(row)}</dd></div>`,
  )}</dl>
</div>`;
  return html`<p class="headline">${headline}</p>
<div class="tiles">
${tile('Mean wait', ({ wait }) => shown.seconds(wait.mean))}
${tile('95 % wait at most', ({ wait }) => shown.seconds(wait.p95))}
${tile(unit === 'instance-hours' ? 'Instance-hours' : 'A month', ({ price }) => shown.price(price, unit))}
${tile('Jobs killed', ({ jobsKilled }) => shown.whole(jobsKilled))}
</div>
<div class="columns">
<div>
<h3>Reasons</h3>
<ul>${reasons.map((reason) => html`<li>${reason}</li>`)}</ul>
<details><summary>How it is chosen</summary><p>${rule}</p></details>
</div>
<div>
<h3>In fleets.yaml</h3>
${
  fleetsYaml === ''
    ? html`<p>There is nothing to set.</p>`
    : html`<div class="code"><pre id="yaml" tabindex="0" aria-label="Lines of fleets.yaml"><code>${fleetsYaml}</code></pre>
<button type="button" id="copy">Copy</button></div>
<p class="note" id="copied" role="status"></p>`
}
</div>
</div>`;
}

/** A chart: what it is in words for those who do not see it, and its place. */
const chart = (id: string, label: string, caption: string | Html) => html`<figure>
<div class="chart" id="${id}-chart" role="img" aria-label="${label}"></div>
<figcaption>${caption}</figcaption>
</figure>`;

function plane({ unit, rows, tried }: ReportData): Html {
  const killing = rows.some(({ jobsKilled }) => jobsKilled > 0);
  return html`<p>Down is faster, left is cheaper: what lies below and to the left of all else is best.</p>
<div class="controls">
<label>Wait <select id="plane-wait">
<option value="mean">mean</option>
<option value="p50">of half of the jobs</option>
<option value="p95">of 95 % of the jobs</option>
<option value="p99">of 99 % of the jobs</option>
</select></label>
<label><input type="checkbox" id="plane-near">only near ours: from half to twice its cost</label>
<ul class="legend" aria-label="Legend">
<li><i class="dot recommended"></i>recommended</li>
<li><i class="dot ours"></i>ours, as it is</li>
<li><i class="dot tried"></i>ours with other settings</li>
<li><i class="dot peer"></i>others</li>
<li><i class="dot lower-bound"></i>lower bounds</li>
${killing ? html`<li><i class="dot killing"></i>kills jobs</li>` : ''}
</ul>
</div>
${chart(
  'plane',
  `Scatter plot: each policy's wait in seconds against its ${unit}. The table of all figures has the same numbers.`,
  html`Wait in seconds against ${unit}${unit === 'instance-hours' ? '' : html`, logarithmic where they differ much`}. No scaler can do better than the lower bounds: no wait with every boot paid, a launch as each job is queued for that job alone, and the same with runners that stay for ever.${tried.length === 0 ? '' : ' Of the settings searched, the small points are the Pareto front on the part that was searched.'}`,
)}`;
}

function settings(data: ReportData): Html {
  return html`<p>One setting at a time, all others as the fleet has them. The line is the fleet as it is.</p>
${chart('settings', 'Bars: the mean wait and the cost with each setting. The table below has the same numbers.', 'Mean wait, and cost, with each setting. Green is better than the fleet as it is, orange is worse.')}
<details><summary>As a table</summary>
${settingsTable(data)}
</details>
${data.impossible.length === 0 ? '' : html`<p class="note">Not tried, because the fleet cannot have them with its other settings: ${data.impossible.join('; ')}.</p>`}`;
}

const choices = (rows: readonly PolicyRow[]) => rows.filter(({ samples }) => samples !== undefined);

function time({ rows, recommendation, stretches }: ReportData): Html {
  return html`<div class="controls">
<label>Policy <select id="time-policy">${choices(rows).map(
    ({ name }) => html`<option${name === recommendation.row ? html` selected` : ''}>${name}</option>`,
  )}</select></label>
<label>Time <select id="time-stretch">${stretches.map(
    (name, index) => html`<option value="${index}">${name}</option>`,
  )}</select></label>
<div class="buttons" role="group" aria-label="What is shown">
<button type="button" id="time-earlier" aria-label="Earlier">←</button>
<button type="button" id="time-later" aria-label="Later">→</button>
<button type="button" id="time-in" aria-label="Zoom in">+</button>
<button type="button" id="time-out" aria-label="Zoom out">−</button>
<button type="button" id="time-all">All</button>
</div>
<ul class="legend" aria-label="Legend">
<li><i class="bar instances"></i>instances that are paid for</li>
<li><i class="bar running"></i>jobs that run</li>
<li><i class="bar waiting"></i>jobs that wait</li>
</ul>
</div>
<p class="range"><output id="time-range" for="time-earlier time-later time-in time-out time-all"></output></p>
${chart(
  'time',
  'Lines over time: instances that are paid for, jobs that run, and jobs that wait, of the chosen policy.',
  html`<span id="time-points"></span> Drag the slider, or use the buttons.`,
)}`;
}

function waits({ rows, recommendation }: ReportData): Html {
  const first = new Set([recommendation.row, 'ours', 'circleci-tutorial', 'mro', 'buildkite']);
  return html`<fieldset class="choices"><legend>Policies</legend>
${choices(rows).map(
  ({ name }, index) =>
    html`<label><input type="checkbox" name="waits" value="${name}"${first.has(name) ? html` checked` : ''}><i class="line" data-line="${index}"></i>${name}</label>`,
)}
</fieldset>
${chart('waits', 'Lines: the share of the jobs of each chosen policy that have waited no longer than so many seconds. The table of all figures has the percentiles.', 'The share of the jobs that wait no longer; further up and to the left is better. Cut where 99 % of the jobs of the slowest have been claimed.')}`;
}

function parts({ rows }: ReportData): Html {
  return html`<ul class="legend" aria-label="Legend">
${PARTS.map(
  ({ part, what }) => html`<li><i class="bar ${part}"></i><span><strong>${part}</strong> ${what}</span></li>`,
)}
</ul>
${chart('parts', `Stacked bars: the parts of the mean wait of ${rows.length} policies. The table of all figures has the same numbers.`, 'The mean wait in seconds, by what it was spent on.')}`;
}

function about({ trace, command, world, assumptions }: ReportData): Html {
  return html`<div class="columns">
<div>
<h3>The jobs</h3>
<p>${trace.source}: ${shown.whole(trace.jobs)} jobs, ${shown.short(trace.jobHours)} hours of work, queued in ${shown.span(trace.spanHours)}.</p>
${trace.notes.length === 0 ? '' : html`<ul>${trace.notes.map((note) => html`<li>${note}</li>`)}</ul>`}
<h3>The command</h3>
<pre class="wrap" tabindex="0" aria-label="Command"><code>${command}</code></pre>
<p>The same command on the same jobs makes the same page, byte for byte; so it has no date.</p>
<h3>What a replay cannot say</h3>
<ul>
<li>It is open loop: jobs come when they came, whatever they waited. Real people push less to a queue that is slow.</li>
<li>Jobs that were cancelled while they were queued are not in most traces.</li>
<li>One job is one runner, and all runners are taken as equal.</li>
<li>So comparing policies is fair; how long jobs wait in seconds is less so.</li>
</ul>
</div>
<div>
<h3>What is assumed</h3>
<dl class="world">${world.map(
    ({ what, seconds }) => html`<div><dt>${what}</dt><dd>${shown.seconds(seconds)}</dd></div>`,
  )}</dl>
<ul>${assumptions.map((assumption) => html`<li>${assumption}</li>`)}</ul>
</div>
</div>`;
}
