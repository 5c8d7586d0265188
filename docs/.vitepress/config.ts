import { defineConfig } from 'vitepress';
import { markdown } from './markdown.ts';
import { repositoryUrl } from './repository.ts';
import { SIDEBAR } from './sidebar.ts';

const repository = repositoryUrl();

// DOCS_BASE is the path under which the site is served, such as /circleci-runner-autoscaler/ for the pages of a repository.
export default defineConfig({
  title: 'circleci-runner-autoscaler',
  description: 'EC2 instances for your self-hosted CircleCI runners',
  lang: 'en',
  base: process.env.DOCS_BASE ?? '/',
  rewrites: { 'decisions/README.md': 'decisions/index.md' },
  markdown,
  // Today's browsers. The esbuild of docs/package.json is newer than Vite's, and cannot compile for the old ones.
  vite: { build: { target: 'es2022' } },
  head: [['meta', { name: 'color-scheme', content: 'light dark' }]],
  themeConfig: {
    siteTitle: 'Runner autoscaler',
    search: { provider: 'local' },
    sidebar: SIDEBAR,
    outline: [2, 3],
    nav: [
      { text: 'Getting started', link: '/getting-started' },
      { text: 'Settings', link: '/configuration' },
      { text: 'Runbook', link: '/operations' },
    ],
    ...(repository?.startsWith('https://github.com/') && {
      socialLinks: [{ icon: 'github', link: repository }],
    }),
  },
});
