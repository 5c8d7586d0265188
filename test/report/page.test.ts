import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import axe from 'axe-core';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { tableOf } from '../../simulator/job-table.ts';
import { bundleAssets } from '../../simulator/report/assets.ts';
import { page as htmlOf } from '../../simulator/report/html-page.ts';
import type { ReportData } from '../../simulator/report/model.ts';
import { WORKLOADS } from '../../simulator/workloads.ts';
import { reportOf } from '../simulator/report/reports.ts';

/** Where Debian puts it. */
const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';

const CHARTS = ['plane', 'settings', 'time', 'waits', 'parts'];
const PHONE = { width: 360, height: 740 };
const DESK = { width: 1280, height: 900 };

let folder: string;
let browser: Browser;
let data: ReportData;
let address: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'report-page-'));
  // Three days, so that one of them is the busiest, and a name that must not become part of the page and is wider than a
  // phone.
  const days = WORKLOADS.weekly.generate(1).filter(({ queuedAt }) => queuedAt < 3 * 86_400);
  data = await reportOf({
    jobs: tableOf(days),
    source: `/srv/${'a-long-folder-name/'.repeat(6)}</script><b>days</b>.csv`,
  });
  const file = join(folder, 'report.html');
  writeFileSync(file, htmlOf(data, await bundleAssets()));
  address = pathToFileURL(file).href;
  browser = await chromium.launch({ executablePath: CHROMIUM, chromiumSandbox: process.getuid?.() !== 0 });
});

afterAll(async () => {
  await browser?.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Opens the page as a file; what goes wrong with it, and what it asks of the network, is listed. */
async function opened(options: BrowserContextOptions = {}) {
  const context = await browser.newContext({ viewport: DESK, ...options });
  const page = await context.newPage();
  const wrong: string[] = [];
  page.on('console', (message) => wrong.push(`console: ${message.text()}`));
  page.on('pageerror', (error) => wrong.push(`error: ${error.message}`));
  page.on('request', (request) => {
    if (request.url() !== address) wrong.push(`request: ${request.url()}`);
  });
  await page.goto(address);
  await page.locator('#parts-chart svg').waitFor();
  return { page, wrong, close: () => context.close() };
}

/** Charts are drawn again in the next frame at the latest. */
const drawn = (page: Page) =>
  page.evaluate('new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))');

const LOOKS: { look: string; options: BrowserContextOptions }[] = [
  { look: 'light', options: { colorScheme: 'light', viewport: DESK } },
  { look: 'dark', options: { colorScheme: 'dark', viewport: DESK } },
  {
    look: 'light on a phone',
    options: { colorScheme: 'light', viewport: PHONE, hasTouch: true, isMobile: true },
  },
  {
    look: 'dark on a phone',
    options: { colorScheme: 'dark', viewport: PHONE, hasTouch: true, isMobile: true },
  },
];

describe.each(LOOKS)('the report, $look', ({ options }) => {
  it('opens without an error and without the network, and draws every chart', async () => {
    const { page, wrong, close } = await opened(options);
    for (const chart of CHARTS) {
      const shapes = await page.locator(`#${chart}-chart svg path`).count();
      const texts = await page.locator(`#${chart}-chart svg text`).count();
      expect({ chart, shapes: shapes > 5, texts: texts > 4 }).toEqual({ chart, shapes: true, texts: true });
    }
    expect(await page.locator('header').textContent()).toContain('</script><b>days</b>.csv');
    expect(wrong).toEqual([]);
    await close();
  });

  it('is no wider than the window, and draws no label beyond its chart', async () => {
    const { page, close } = await opened(options);
    // Not innerWidth, which grows with the page on a phone.
    const width = Number(await page.evaluate('document.documentElement.scrollWidth'));
    expect(width).toBeLessThanOrEqual(options.viewport?.width ?? 0);
    const beyond = await page.evaluate(`[...document.querySelectorAll('.chart svg text')].filter((text) => {
      const own = text.getBoundingClientRect();
      const chart = text.closest('.chart').getBoundingClientRect();
      return own.left < chart.left - 1 || own.right > chart.right + 1;
    }).map((text) => text.closest('.chart').id + ': ' + text.textContent)`);
    expect(beyond).toEqual([]);
    await close();
  });

  it('has nothing that axe finds to be in the way of a reader', async () => {
    const { page, close } = await opened(options);
    await page.evaluate(axe.source);
    const found = (await page.evaluate('axe.run()')) as axe.AxeResults;
    expect(
      found.violations.map(
        ({ id, nodes }) =>
          `${id}: ${nodes
            .map(({ html }) => html)
            .join(' ')
            .slice(0, 300)}`,
      ),
    ).toEqual([]);
    expect(found.passes.length).toBeGreaterThan(20);
    await close();
  });

  it('puts no name of the plane over another', async () => {
    const { page, close } = await opened(options);
    const names = data.rows.map(({ label }) => label);
    const over = await page.evaluate(`(() => {
      const names = ${JSON.stringify(names)};
      const boxes = [...document.querySelectorAll('#plane-chart svg text')]
        .filter((text) => names.some((name) => text.textContent.startsWith(name)))
        .map((text) => ({ text: text.textContent, box: text.getBoundingClientRect() }));
      const pairs = boxes.flatMap((a, index) => boxes.slice(index + 1).map((b) => [a, b]));
      return { boxes: boxes.length, over: pairs.filter(([{ box: a }, { box: b }]) =>
        a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 2 && b.top < a.bottom - 2)
        .map(([a, b]) => a.text + ' / ' + b.text) };
    })()`);
    expect(over).toMatchObject({ over: [] });
    expect(over).toMatchObject({ boxes: expect.toSatisfy((count: number) => count >= 8) });
    await close();
  });
});

it('cuts no table of a wide window', async () => {
  const { page, close } = await opened();
  await page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true");
  const cut = await page.evaluate(`[...document.querySelectorAll('.scroll')]
    .filter((each) => each.scrollWidth > each.clientWidth)
    .map((each) => each.querySelector('table').id + ': ' + each.scrollWidth + ' > ' + each.clientWidth)`);
  expect(cut).toEqual([]);
  await close();
});

describe('the colours', () => {
  const ground = (page: Page) => page.evaluate('getComputedStyle(document.body).backgroundColor');
  const label = (page: Page) => page.locator('#parts-chart svg text').first().getAttribute('fill');

  it('are those of the system until the button is pressed, in the charts as well', async () => {
    const { page, close } = await opened({ colorScheme: 'light' });
    const light = [await ground(page), await label(page)];
    await page.emulateMedia({ colorScheme: 'dark' });
    await drawn(page);
    const dark = [await ground(page), await label(page)];
    expect(dark[0]).not.toBe(light[0]);
    expect(dark[1]).not.toBe(light[1]);
    const button = page.getByRole('button', { name: 'Dark' });
    expect(await button.getAttribute('aria-pressed')).toBe('true');
    await button.press('Enter');
    await drawn(page);
    expect([await ground(page), await label(page)]).toEqual(light);
    expect(await button.getAttribute('aria-pressed')).toBe('false');
    await page.emulateMedia({ colorScheme: 'light' });
    await page.emulateMedia({ colorScheme: 'dark' });
    expect(await ground(page)).toBe(light[0]);
    await close();
  });
});

describe('with the keyboard', () => {
  it('every control is reached, in the order of the page, and shows that it has the focus', async () => {
    const { page, close } = await opened();
    const expected = await page.evaluate(`(() => {
      const all = [...document.querySelectorAll('a[href], button, select, input, summary, [tabindex="0"]')]
        .filter((each) => each.checkVisibility());
      all.forEach((each, index) => { each.dataset.order = index; });
      return all.length;
    })()`);
    const reached: unknown[] = [];
    const faint: unknown[] = [];
    for (let press = 0; press < Number(expected); press += 1) {
      await page.keyboard.press('Tab');
      const [order, outline, name] = (await page.evaluate(`(() => {
        const { dataset, textContent, id } = document.activeElement;
        const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement);
        return [Number(dataset.order), outlineStyle === 'none' ? 0 : parseFloat(outlineWidth), id || textContent];
      })()`)) as [number, number, string];
      reached.push(order);
      if (outline < 2) faint.push(name);
    }
    expect(Number(expected)).toBeGreaterThan(50);
    expect(reached).toEqual(reached.map((_, index) => index));
    expect(faint).toEqual([]);
    await close();
  });

  it('the time is zoomed and moved', async () => {
    const { page, close } = await opened();
    const range = page.locator('#time-range');
    const before = await range.textContent();
    const picture = () => page.locator('#time-chart svg').innerHTML();
    const whole = await picture();
    expect(before).toMatch(/^day 1, 00:00 to day [34], \d\d:\d\d$/);
    const press = async (name: string) => {
      await page.getByRole('button', { name, exact: true }).press('Enter');
      return await range.textContent();
    };
    const near = await press('Zoom in');
    expect(near).toMatch(/^day 1, \d\d:\d\d to day [23]/);
    await drawn(page);
    expect((await picture()) === whole).toBe(false);
    const later = await press('Later');
    expect(later).not.toBe(near);
    expect(await press('Earlier')).toBe(near);
    expect(await press('Zoom out')).toBe(before);
    await press('Zoom in');
    expect(await press('All')).toBe(before);
    await close();
  });

  it('another policy and the busiest day are chosen', async () => {
    const { page, close } = await opened();
    const pictures = new Set<string>();
    const look = async () => {
      await drawn(page);
      pictures.add(await page.locator('#time-chart svg').innerHTML());
    };
    await look();
    await page.locator('#time-policy').selectOption('circleci-tutorial');
    await look();
    await page.locator('#time-stretch').selectOption({ index: 1 });
    await look();
    expect(pictures.size).toBe(3);
    expect(await page.locator('#time-range').textContent()).toMatch(/^day \d, 00:0\d to day \d, \d\d:\d\d$/);
    await close();
  });

  it('a day is shown by a click on the whole trace', async () => {
    const { page, close } = await opened();
    const chart = page.locator('#time-chart');
    await chart.scrollIntoViewIfNeeded();
    const box = await chart.boundingBox();
    await chart.click({ position: { x: (box?.width ?? 0) / 2, y: 120 } });
    await drawn(page);
    expect(await page.locator('#time-stretch').inputValue()).toBe('2');
    expect(await page.locator('#time-range').textContent()).toBe('day 2, 00:00 to day 3, 00:00');
    expect(await page.locator('#time-points').textContent()).toBe('The highest count in each 60 s.');
    await close();
  });

  it('the wait of the plane, and what is near ours, are chosen', async () => {
    const { page, close } = await opened();
    const texts = () => page.locator('#plane-chart svg text').allTextContents();
    expect((await texts()).join()).toContain('lower bound: reactive');
    const mean = await page.locator('#plane-chart svg').innerHTML();
    await page.locator('#plane-wait').selectOption('p99');
    await drawn(page);
    expect((await page.locator('#plane-chart svg').innerHTML()) === mean).toBe(false);
    await page.getByLabel(/only from half to twice the cost of ours/).press('Space');
    await drawn(page);
    expect((await texts()).join()).not.toContain('lower bound: reactive');
    await close();
  });

  it('policies are taken into the picture of the waits, and out of it', async () => {
    const { page, close } = await opened();
    const lines = () => page.locator('#waits-chart svg path[fill=none][stroke-width="2"]').count();
    const before = await lines();
    await page.getByRole('checkbox', { name: 'GitLab Runner autoscaler' }).press('Space');
    await drawn(page);
    expect(await lines()).toBe(before + 1);
    await page.getByRole('checkbox', { name: 'GitLab Runner autoscaler' }).press('Space');
    await drawn(page);
    expect(await lines()).toBe(before);
    await close();
  });
});

describe('the tables', () => {
  it('are sorted by each head, from the least and from the most', async () => {
    const { page, close } = await opened();
    const table = page.locator('#policies-table');
    const column = async (number: number) =>
      (await table
        .locator(`tbody tr > :nth-child(${number})`)
        .evaluateAll((cells) => cells.map((cell) => cell.getAttribute('data-value')))) as string[];
    const head = table.getByRole('columnheader').nth(1);
    await head.getByRole('button').press('Enter');
    const upwards = (await column(2)).map(Number);
    expect(upwards).toEqual(data.rows.map(({ wait }) => wait.mean).sort((a, b) => a - b));
    expect(await head.getAttribute('aria-sort')).toBe('ascending');
    await head.getByRole('button').press('Enter');
    expect((await column(2)).map(Number)).toEqual(upwards.toReversed());
    expect(await head.getAttribute('aria-sort')).toBe('descending');
    await table.getByRole('button', { name: 'policy' }).press('Enter');
    expect(await column(1)).toEqual(
      data.rows.map(({ label }) => label).sort((a, b) => a.localeCompare(b, 'en')),
    );
    expect(await head.getAttribute('aria-sort')).toBe(null);
    await close();
  });
});

describe('the lines of fleets.yaml', () => {
  it('are copied', async () => {
    const { page, close } = await opened({ permissions: ['clipboard-read', 'clipboard-write'] });
    await page.getByRole('button', { name: 'Copy', exact: true }).press('Enter');
    await expect.poll(() => page.locator('#copied').textContent()).toBe('Copied.');
    expect(await page.evaluate('navigator.clipboard.readText()')).toBe(data.recommendation.fleetsYaml);
    await close();
  });

  it('are copied for a point of the Pareto front', async () => {
    const { page, close } = await opened({ permissions: ['clipboard-read', 'clipboard-write'] });
    const point = data.front.findLast(({ fleetsYaml }) => fleetsYaml !== '');
    await page.getByRole('button', { name: `Copy ${point?.name}`, exact: true }).press('Enter');
    await expect.poll(() => page.locator('#front-copied').textContent()).toBe('Copied.');
    expect(await page.evaluate('navigator.clipboard.readText()')).toBe(point?.fleetsYaml);
    await close();
  });

  it('are selected where the browser lets no page copy', async () => {
    const { page, close } = await opened();
    await page.evaluate(`Object.defineProperty(navigator, 'clipboard', {
      value: { writeText: () => Promise.reject(new Error('not allowed')) },
    })`);
    await page.getByRole('button', { name: 'Copy', exact: true }).press('Enter');
    await expect.poll(() => page.locator('#copied').textContent()).toContain('Selected');
    expect(await page.evaluate('getSelection().toString()')).toContain(data.recommendation.fleetsYaml.trim());
    await close();
  });
});

it('every figure can be read without a script', async () => {
  const context = await browser.newContext({ javaScriptEnabled: false, viewport: PHONE });
  const page = await context.newPage();
  await page.goto(address);
  expect(await page.locator('noscript').textContent()).toContain('need JavaScript');
  expect(await page.locator('#policies-table tbody tr').count()).toBe(data.rows.length);
  await context.close();
});

describe('in print', () => {
  it('has the verdict and the tables, and no controls', async () => {
    const { page, close } = await opened();
    await page.emulateMedia({ media: 'print' });
    expect(await page.locator('.verdict').isVisible()).toBe(true);
    expect(await page.locator('#policies-table').isVisible()).toBe(true);
    for (const control of ['nav', '#theme', '#copy', '#time-policy', '#plane-wait']) {
      expect(await page.locator(control).first().isVisible()).toBe(false);
    }
    // The width of A4 between margins of 1 cm, in pixels.
    await page.setViewportSize({ width: 718, height: 1_000 });
    await drawn(page);
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(718);
    const cut = await page.evaluate(`[...document.querySelectorAll('.scroll')]
      .filter((each) => each.scrollWidth > each.clientWidth || getComputedStyle(each).overflowX !== 'visible')
      .map((each) => each.querySelector('table').id)`);
    expect(cut).toEqual([]);
    expect(await page.locator('#policies-table thead button').first().isVisible()).toBe(true);
    await close();
  });
});
