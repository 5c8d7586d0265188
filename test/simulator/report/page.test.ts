import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { choosePolicies } from '../../../cli/replays/policies.ts';
import { pricedBy } from '../../../simulator/cost.ts';
import { tableOf } from '../../../simulator/job-table.ts';
import { PEERS } from '../../../simulator/peers.ts';
import { LIST_PRICES } from '../../../simulator/prices.ts';
import { type Assets, bundleAssets } from '../../../simulator/report/assets.ts';
import { page } from '../../../simulator/report/html-page.ts';
import type { ReportData } from '../../../simulator/report/model.ts';
import { simulateOne } from '../../../simulator/simulate.ts';
import { weekly } from '../../../simulator/workloads.ts';
import { WORLD } from '../../../simulator/world.ts';
import { MORNING, reportOf } from './reports.ts';

let data: ReportData;
let assets: Assets;

beforeAll(async () => {
  [data, assets] = await Promise.all([reportOf(), bundleAssets()]);
});

const { fleet, oursWith } = choosePolicies({});
const priced = pricedBy(LIST_PRICES, fleet);
const MRO = { name: 'mro', parameters: {}, maxReplicas: 10_000 };
/** Waits longer than mro, for as much. */
const VELA = { ...MRO, name: 'vela' };
const find = (name: string) => data.rows.find((row) => row.name === name);

describe('the data of a report', () => {
  it('has the recommended settings, ours, every peer and the lower bounds, with the figures of a replay', () => {
    const [first, second, ...others] = data.rows;
    expect([first?.kind, second?.kind]).toEqual(['recommended', 'ours']);
    expect(others.map(({ name }) => name)).toEqual([
      ...PEERS.map(({ name }) => name),
      'lower bound: no wait',
      'lower bound: clean',
      'lower bound: reactive',
    ]);
    const alone = simulateOne(MORNING, MRO, WORLD, { priced });
    expect(find('mro')).toMatchObject({
      price: alone.cost?.total,
      instanceHours: alone.instanceHours,
      wait: { mean: alone.waitSeconds.mean },
      parts: alone.waitParts,
    });
  });

  it('recommends settings whose figures are those of a replay', () => {
    const set = data.recommendation.fleetsYaml.split('\n');
    const choice = oursWith(set);
    const alone = choice && simulateOne(MORNING, choice, WORLD, { priced });
    expect(set.join()).not.toBe('');
    expect(find(data.recommendation.row)?.wait.mean).toBe(alone?.waitSeconds.mean);
    expect(data.recommendation.headline).toContain(`jobs wait ${alone?.waitSeconds.mean.toFixed(1)} s`);
  });

  it('has each setting with a few values, without the current ones', async () => {
    const own = find('ours');
    const settings = new Set(data.settings.map(({ setting }) => setting));
    expect([...settings]).toEqual([
      'reuse',
      'image.build',
      'warmPool.size',
      'headroom',
      'minReplicas',
      'pollInterval',
      'quietPollInterval',
    ]);
    const { settings: others } = await reportOf({ policies: 'ours', set: ['pollInterval=10s'] });
    expect(others.filter(({ setting }) => setting === 'pollInterval').map(({ to }) => to)).toEqual([
      '1s',
      '30s',
    ]);
    const longest = data.settings.find(({ setting, to }) => setting === 'pollInterval' && to === '30s');
    expect(longest?.parts.seen).toBeGreaterThan(own?.parts.seen ?? 0);
  });

  it('names the settings that the fleet cannot have, and tries all others', async () => {
    const spot = await reportOf({ policies: 'ours', set: ['spot.percentage=100'] });
    expect(spot.impossible).toContain('warmPool.size=auto');
    expect(spot.settings.map(({ setting }) => setting)).toContain('headroom');
  });

  it("includes CircleCI's tutorial, its baseline, even if --policies leaves it out", async () => {
    const { rows } = await reportOf({ policies: 'ours,mro' });
    expect(rows.filter(({ kind }) => kind === 'peer').map(({ name }) => name)).toEqual([
      'circleci-tutorial',
      'mro',
    ]);
  });

  it('does not replay a policy again', async () => {
    const mro = { ...simulateOne(MORNING, MRO, WORLD, { priced }), unusedLaunches: 4_711 };
    const { rows } = await reportOf({ policies: 'ours,mro', outcomes: [mro] });
    expect(rows.find(({ name }) => name === 'mro')?.unusedLaunches).toBe(4_711);
    expect(rows.find(({ name }) => name === 'ours')).toEqual(find('ours'));
  });

  it('recommends the result of a search, and shows the Pareto front of what it tried', async () => {
    const search = {
      goal: 'a p95 wait of 30 s',
      tried: [
        { set: ['minReplicas=7'], outcome: simulateOne(MORNING, MRO, WORLD, { priced }) },
        { set: ['minReplicas=8'], outcome: simulateOne(MORNING, VELA, WORLD, { priced }) },
      ],
      share: 0.5,
      set: ['minReplicas=7'],
      met: { training: true, rest: true },
    };
    const { rows, recommendation, tried } = await reportOf({ policies: 'ours', search });
    expect(rows[0]).toMatchObject({ kind: 'recommended', about: 'minReplicas=7' });
    expect(recommendation.fleetsYaml).toBe('minReplicas=7');
    expect(tried).toMatchObject([{ name: 'minReplicas=7', wait: rows[0]?.wait }]);
  });
});

describe('the Pareto front of a report', () => {
  it('has no setting that another beats in wait and cost, with the lines that each sets', () => {
    const { front, settings } = data;
    expect(front.length).toBeGreaterThan(2);
    for (const { wait, price } of front) {
      const better = settings.filter((other) => other.wait.mean < wait && other.price < price);
      expect(better).toEqual([]);
    }
    const [first, second] = front;
    expect(first?.per10Seconds).toBe(null);
    expect(second?.per10Seconds).toBeCloseTo(
      (10 * ((second?.price ?? 0) - (first?.price ?? 0))) / ((first?.wait ?? 0) - (second?.wait ?? 0)),
    );
    const html = page(data, assets);
    for (const { fleetsYaml } of front)
      expect(html.includes(fleetsYaml === '' ? 'the current settings' : `<code>${fleetsYaml}</code>`)).toBe(
        true,
      );
  });
});

describe('the glossary of a report', () => {
  it('has every setting that the page names, and links to it', () => {
    const html = page(data, assets);
    const settings = data.settings.map(({ setting }) => setting.split('.')[0] ?? '');
    expect(data.glossary.map(({ setting }) => setting)).toEqual(expect.arrayContaining(settings));
    for (const setting of settings) {
      expect(html).toContain(`<div id="setting-${setting}">`);
      expect(html).toContain(`<a href="#setting-${setting}">`);
    }
    expect(html).toContain('What <code>reuse</code> does: more (how-it-decides.md#reuse).');
    expect(html).toContain('All settings: docs/configuration.md');
  });

  it('links to the documents, if it is known where they are', () => {
    const documents = 'https://github.com/acme/runners/blob/HEAD/docs/';
    const html = page({ ...data, documents }, assets);
    expect(html).toContain(`does: <a href="${documents}how-it-decides.md#reuse">more</a>.`);
    expect(html).toContain(`<a href="${documents}configuration.md">All settings</a>`);
  });
});

describe('the page of a report', () => {
  it('is the same for the same jobs, byte for byte', async () => {
    expect(page(await reportOf(), await bundleAssets()) === page(data, assets)).toBe(true);
  });

  it('escapes the name of a trace everywhere', () => {
    const source = '</script><script>alert(1)</script>"\'<!--&.csv';
    const evil = page({ ...data, trace: { ...data.trace, source } }, assets);
    const calm = page(data, assets);
    const count = (html: string, what: string) => html.split(what).length;
    for (const what of ['<script', '</script', '<!--']) expect(count(evil, what)).toBe(count(calm, what));
    const [, json = ''] = /id="data">(.*?)<\/script>/s.exec(evil) ?? [];
    expect(JSON.parse(json).trace.source).toBe(source);
  });

  it('runs only its own script, and loads nothing', () => {
    const html = page(data, assets);
    const [, policy = ''] = /Content-Security-Policy" content="([^"]+)"/.exec(html) ?? [];
    const [, script = ''] = /<script>(.*?)<\/script>/s.exec(html) ?? [];
    const hash = createHash('sha256').update(script).digest('base64');
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain(`script-src 'sha256-${hash}';`);
    const markup = html.replace(script, '').replace(/<script type="application\/json".*?<\/script>/s, '');
    expect(markup.match(/<(link|img|iframe)|\ssrc=|@import|url\(/g)).toBe(null);
  });

  it('has every figure of every policy and setting in tables with headings', () => {
    const html = page(data, assets);
    const heads = [
      ...data.rows.map(({ label }) => label.replaceAll("'", '&#39;')),
      ...data.settings.map(({ setting, to }) => `${setting} ${to}`),
    ].filter((name) => !html.includes(`<th scope="row" data-value="${name}">`));
    expect(heads).toEqual([]);
    expect(html.match(/<caption/g)).toHaveLength(3);
    expect(html.match(/<th scope="col">/g)?.length).toBeGreaterThan(25);
    expect(html.includes(`<td data-value="${find('vela')?.wait.p99}">`)).toBe(true);
  });

  it('says what was left out, which command wrote it, and what a replay cannot show', () => {
    const html = page(data, assets);
    const said = [
      'Left out: 2 jobs without an end',
      '<code>npm run simulate -- --report report.html</code>',
      'The replay is open loop',
      '<dd>90.0 s</dd>',
    ];
    expect(said.filter((each) => !html.includes(each))).toEqual([]);
  });

  it('is less than 1 MB, for six weeks as well', async () => {
    expect(Buffer.byteLength(page(data, assets))).toBeLessThan(800_000);
    // Few jobs, and a burst that makes the counts longer.
    const burst = Array.from({ length: 200 }, () => ({ queuedAt: 3 * 86_400, durationSeconds: 600 }));
    const jobs = [...weekly(1, 42, 0.03), ...burst].toSorted((a, b) => a.queuedAt - b.queuedAt);
    const weeks = await reportOf({ jobs: tableOf(jobs) });
    expect(Buffer.byteLength(page(weeks, assets))).toBeLessThan(1_000_000);
  });
});

describe('the colours', () => {
  const style = readFileSync('simulator/report/client/colours.css', 'utf8');
  const themes = ['light', 'dark'].map((theme) => {
    const [, block = ''] = new RegExp(`data-theme="${theme}"\\] \\{(.*?)\\}`, 's').exec(style) ?? [];
    const colours = [...block.matchAll(/--([\w-]+): (#\w{6});/g)].map(([, name = '', hex = '']) => [
      name,
      hex,
    ]);
    return { theme, colours: new Map(colours as [string, string][]) };
  });

  /** As WCAG 2 has it. */
  function luminance(hex: string): number {
    const [r = 0, g = 0, b = 0] = [1, 3, 5].map((at) => {
      const value = Number.parseInt(hex.slice(at, at + 2), 16) / 255;
      return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  }

  /** NaN for a colour that does not exist, which no comparison passes. */
  function contrast(one = '', other = ''): number {
    const [dark = 0, light = 0] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (light + 0.05) / (dark + 0.05);
  }

  it.each(themes)('of text have enough contrast: $theme', ({ colours }) => {
    for (const text of ['text', 'muted', 'focus', 'ours', 'recommended'])
      for (const ground of ['page', 'card'])
        expect({ text, ground, enough: contrast(colours.get(text), colours.get(ground)) >= 4.5 }).toEqual({
          text,
          ground,
          enough: true,
        });
  });

  it.each(themes)('of charts have enough contrast: $theme', ({ colours }) => {
    const subdued = new Set(['page', 'card', 'line']);
    const faint = [...colours].filter(
      ([name, hex]) => !subdued.has(name) && contrast(hex, colours.get('card')) < 3,
    );
    expect(faint).toEqual([]);
    expect(colours.size).toBeGreaterThan(20);
  });
});
