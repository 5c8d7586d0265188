import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { anchorOf, targetOf } from '../../docs/.vitepress/links.ts';
import { repositoryUrl } from '../../docs/.vitepress/repository.ts';
import { SIDEBAR } from '../../docs/.vitepress/sidebar.ts';

const REPOSITORY = 'https://git.example.com/acme/runners';

describe('a link of a document, on the site', () => {
  it.each([
    { link: 'cost.md', file: 'operations.md', href: '/cost.md' },
    { link: 'instance-life.md#spot', file: 'operations.md', href: '/instance-life.md#spot' },
    { link: '../operations.md', file: 'decisions/0006-failures-are-kinds.md', href: '/operations.md' },
    { link: 'decisions', file: 'architecture.md', href: '/decisions/' },
    { link: '../README.md', file: 'report.md', href: '/' },
    { link: 'docs/cost.md', file: 'index.md', href: '/cost.md' },
    { link: 'docs/dashboard.svg', file: 'index.md', href: '/dashboard.svg' },
  ])('leads from $file by $link to $href', ({ link, file, href }) => {
    expect(targetOf(link, file, REPOSITORY)).toEqual({ kind: 'site', href });
  });

  it.each([
    { link: '../SECURITY.md', file: 'security.md', href: `${REPOSITORY}/blob/main/SECURITY.md` },
    { link: 'examples/nodejs', file: 'index.md', href: `${REPOSITORY}/tree/main/examples/nodejs` },
    { link: 'https://circleci.com/docs', file: 'jobs.md', href: 'https://circleci.com/docs' },
    { link: '#docker', file: 'jobs.md', href: '#docker' },
  ])('leads from $file by $link out of the site', ({ link, file, href }) => {
    expect(targetOf(link, file, REPOSITORY)).toEqual({ kind: 'elsewhere', href });
  });

  it('is plain text if it leaves the site and nobody has said where the repository is', () => {
    expect(targetOf('../SECURITY.md', 'security.md', undefined)).toEqual({
      kind: 'unreachable',
      path: 'SECURITY.md',
    });
  });

  it('has the anchors of a Git host', () => {
    expect(anchorOf('Remove a fleet, or everything')).toBe('remove-a-fleet-or-everything');
    expect(anchorOf("The plan's concurrency")).toBe('the-plans-concurrency');
  });

  it('takes the address of the repository from REPOSITORY_URL', () => {
    for (const url of [`git+${REPOSITORY}.git`, 'https://me:pw@git.example.com/acme/runners/'])
      expect(repositoryUrl({ REPOSITORY_URL: url })).toBe(REPOSITORY);
  });
});

describe('the site', () => {
  it('has each page in its sidebar once', () => {
    const linked = SIDEBAR.flatMap(({ items }) => items.map(({ link }) => link));
    const pages = [
      ...readdirSync('docs').filter((file) => file.endsWith('.md')),
      ...readdirSync('docs/decisions').map((file) => `decisions/${file}`),
    ].map((file) => `/${file.replace(/(README|index)?\.md$/, '')}`);
    expect(linked.toSorted()).toEqual(pages.toSorted());
  });

  it('is served and built by the same program, on the same folder', () => {
    const { scripts } = JSON.parse(readFileSync('package.json', 'utf8'));
    const [served, built] = ['docs', 'docs:build'].map((name) => scripts[name]);
    expect(served.replace(' dev ', ' build ')).toBe(built);
  });

  it('begins with parts of the README', () => {
    const parts = [...readFileSync('docs/index.md', 'utf8').matchAll(/@include: (\S+)#(\S+)-->/g)];
    expect(parts).toHaveLength(2);
    for (const [, file = '', part] of parts) {
      expect(existsSync(`docs/${file}`)).toBe(true);
      const text = readFileSync(`docs/${file}`, 'utf8');
      expect(text.split(`<!-- #region ${part} -->`)).toHaveLength(2);
      expect(text.split(`<!-- #endregion ${part} -->`)).toHaveLength(2);
    }
  });

  it('lists each decision on the page of all decisions', () => {
    const listed = [...readFileSync('docs/decisions/README.md', 'utf8').matchAll(/\]\((\d[^)]+)\)/g)];
    const decisions = readdirSync('docs/decisions').filter((file) => /^\d/.test(file));
    expect(listed.map(([, file]) => file)).toEqual(decisions.toSorted());
  });
});
