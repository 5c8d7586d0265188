import { type Html, html } from './html.ts';
import type { ReportData } from './model.ts';

/** The words of the page that not everybody knows. */
const WORDS: [word: string, meaning: string][] = [
  ['wait', 'from the moment at which a job is queued until a runner claims it'],
  ['mean wait', 'all waits added up, divided by the number of jobs'],
  [
    '95 % wait at most',
    'of 100 jobs, 95 wait at most this long and 5 wait longer; also called the 95th percentile, or p95',
  ],
  ['instance-hours', 'hours of EC2 instances that are billed: two instances for three hours are 6'],
  ['overhead', 'instance-hours beyond the hours of work: boots, idle time and leaving'],
  ['policy', 'the rule by which a scaler decides how many instances there are'],
  ['clean machine', 'an instance that runs one job, so that no job finds what another has left'],
  ['Pareto front', 'the settings for which no other is both cheaper and faster'],
  [
    'interval',
    'where a figure is for 90 of 100 sets of days that are drawn from the days of the trace: wide if the days differ, narrow if they are alike',
  ],
  ['lower bound', 'what no scaler can beat, because an instance takes its time to boot'],
];

/** What the words and the settings of the page mean. */
export function glossarySection({ glossary, documents }: ReportData): Html {
  return html`<dl class="glossary">
${WORDS.map(([word, meaning]) => html`<div><dt>${word}</dt><dd>${meaning}</dd></div>`)}
</dl>
${glossary.length === 0 ? '' : html`<h3>Settings</h3>`}
<dl class="glossary">
${glossary.map(
  ({ setting, text }) =>
    html`<div id="setting-${setting}"><dt><code>${setting}</code></dt><dd>${fromMarkdown(text, documents)}</dd></div>`,
)}
</dl>
${
  documents === undefined
    ? html`<p class="note">All settings: docs/configuration.md of this project. Files named here are in its folder docs/.</p>`
    : html`<p class="note"><a href="${documents}configuration.md">All settings</a></p>`
}`;
}

/** Code and links of a description. If the page has no address for the documents, a link becomes the name of its file. */
function fromMarkdown(text: string, documents: string | undefined): Html[] {
  return text.split(/(`[^`]+`|\[[^\]]+\]\([^)]+\))/).map((part) => {
    const [, code] = /^`([^`]+)`$/.exec(part) ?? [];
    if (code !== undefined) return html`<code>${code}</code>`;
    const [, words, target = ''] = /^\[([^\]]+)\]\(([^)]+)\)$/.exec(part) ?? [];
    if (words === undefined) return html`${part}`;
    if (target.startsWith('https://')) return html`<a href="${target}">${words}</a>`;
    if (documents !== undefined) return html`<a href="${documents}${target}">${words}</a>`;
    return html`${words} (${target})`;
  });
}
