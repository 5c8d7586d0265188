import { readdirSync, readFileSync, statSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { extname, join, posix } from 'node:path';
import { type Browser, type BrowserContextOptions, chromium } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { address } from '../support/serve.ts';

/** `npm run test:site` builds it. A dead link between two pages fails the build. */
const BUILT = 'docs/.vitepress/dist';

const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';

const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
};

const PAGES = readdirSync(BUILT, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.html') && file !== '404.html')
  .toSorted();

let server: Server;
let browser: Browser;

beforeAll(async () => {
  server = createServer((request, response) => {
    const path = join(BUILT, posix.normalize(new URL(request.url ?? '/', 'http://site').pathname));
    const file = statSync(path, { throwIfNoEntry: false })?.isDirectory() ? join(path, 'index.html') : path;
    if (statSync(file, { throwIfNoEntry: false }) === undefined) response.writeHead(404).end();
    else response.writeHead(200, { 'content-type': TYPES[extname(file)] ?? '' }).end(readFileSync(file));
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  browser = await chromium.launch({ executablePath: CHROMIUM, chromiumSandbox: process.getuid?.() !== 0 });
});

afterAll(async () => {
  await browser?.close();
  server?.closeAllConnections();
  server?.close();
});

/** Opens a page of the site; what goes wrong with it, and what it asks of others, is listed. */
async function opened(path: string, options: BrowserContextOptions) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  const wrong: string[] = [];
  page.on('pageerror', ({ message }) => wrong.push(`error: ${message}`));
  page.on('response', (response) => {
    if (response.status() >= 400) wrong.push(`${response.status()}: ${response.url()}`);
  });
  page.on('request', (request) => {
    if (!request.url().startsWith(`${address(server)}/`) && !request.url().startsWith('data:'))
      wrong.push(`request: ${request.url()}`);
  });
  await page.goto(`${address(server)}/${path}`, { waitUntil: 'load' });
  return { page, wrong, close: () => context.close() };
}

it('has a page for each document of docs/', () => {
  const pageOf = (file: string) => file.replace(/README\.md$/, 'index.md').replace(/md$/, 'html');
  const documents = ['', 'decisions/'].flatMap((folder) =>
    readdirSync(`docs/${folder}`)
      .filter((file) => file.endsWith('.md'))
      .map((file) => pageOf(folder + file)),
  );
  expect(PAGES).toEqual(documents.toSorted());
});

/** The anchors of a page. */
const idsOf = (page: string) =>
  new Set([...readFileSync(join(BUILT, page), 'utf8').matchAll(/\bid="([^"]+)"/g)].map(([, id]) => id));

describe.each(PAGES)('the page %s', (name) => {
  const html = readFileSync(join(BUILT, name), 'utf8');

  it('links only to headings that exist', () => {
    const links = [...html.matchAll(/<a [^>]*href="([^"]*)"/g)].map(([, href = '']) => href);
    const lost = links
      .filter((href) => href.includes('#') && !href.startsWith('http'))
      .filter((href) => {
        const [path = '', anchor = ''] = href.split('#');
        const page = path === '' ? name : path.replace(/^\//, '').replace(/(^|\/)$/, '$1index.html');
        return anchor !== '' && !idsOf(page).has(decodeURIComponent(anchor));
      });
    expect(lost).toEqual([]);
    expect(links.length).toBeGreaterThan(10);
  });

  it.each([
    { width: 360, colorScheme: 'dark' },
    { width: 768, colorScheme: 'light' },
  ] as const)(
    'fits into $width px, $colorScheme, and loads nothing from elsewhere',
    async ({ width, colorScheme }) => {
      const { page, wrong, close } = await opened(name, { viewport: { width, height: 900 }, colorScheme });
      expect(wrong).toEqual([]);
      expect(await page.locator('h1').first().isVisible()).toBe(true);
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(width);
      expect(await page.evaluate('document.documentElement.classList.contains("dark")')).toBe(
        colorScheme === 'dark',
      );
      await close();
    },
  );
});

it('has no cell whose settings are a column of a few letters', async () => {
  const { page, close } = await opened('benchmark.html', { viewport: { width: 1280, height: 900 } });
  const narrow = await page.evaluate(`[...document.querySelectorAll('.vp-doc :is(th, td) > code')]
    .filter((code) => code.getClientRects().length > code.textContent.split(' ').length)
    .map((code) => code.textContent)`);
  expect(narrow).toEqual([]);
  await close();
});

it('finds a heading of the runbook by words, without a server', async () => {
  const { page, wrong, close } = await opened('', { viewport: { width: 1280, height: 900 } });
  await page.keyboard.press('Control+k');
  await page.locator('.search-input').fill('scale-in protection off');
  await page.locator('#localsearch-list a').first().click();
  await page.waitForURL(/operations\.html#scale-in-protection-off$/);
  expect(wrong).toEqual([]);
  await close();
});

it('draws the diagram of the workflow, with its words', async () => {
  const { page, close } = await opened('how-it-decides.html', { viewport: { width: 1280, height: 900 } });
  expect(await page.locator('.diagram svg').textContent()).toContain('Compute Capacity');
  await close();
});
