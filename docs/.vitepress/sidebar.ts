import { readdirSync, readFileSync } from 'node:fs';

const DECISIONS = new URL('../decisions/', import.meta.url);

interface Item {
  text: string;
  link: string;
}

/** The pages by what a reader wants to do. */
export const SIDEBAR: { text: string; collapsed?: boolean; items: Item[] }[] = [
  {
    text: 'Start',
    items: [
      { text: 'What it is', link: '/' },
      { text: 'Getting started', link: '/getting-started' },
      { text: 'Alternatives', link: '/alternatives' },
      { text: 'FAQ', link: '/faq' },
    ],
  },
  {
    text: 'Set up',
    items: [
      { text: 'Settings of fleets.yaml', link: '/configuration' },
      { text: 'Guardrails', link: '/guardrails' },
      { text: 'Jobs', link: '/jobs' },
      { text: 'The life of an instance', link: '/instance-life' },
      { text: 'Images that are built', link: '/images' },
      { text: 'Private networks', link: '/private-network' },
      { text: 'Library for CDK apps', link: '/library' },
      { text: 'API of the library', link: '/api' },
      { text: 'Local AWS', link: '/local-aws' },
    ],
  },
  {
    text: 'Waits and costs',
    items: [
      { text: 'Sizing', link: '/sizing' },
      { text: 'Traces', link: '/traces' },
      { text: 'The report', link: '/report' },
      { text: 'What it costs', link: '/cost' },
      { text: 'Benchmark', link: '/benchmark' },
      { text: 'How many fleets an account takes', link: '/limits' },
    ],
  },
  {
    text: 'Operate',
    items: [
      { text: 'Runbook', link: '/operations' },
      { text: 'What each alarm sees', link: '/alarms' },
      { text: 'Commands', link: '/commands' },
      { text: 'Launch failures', link: '/launch-failures' },
      { text: 'Upgrading', link: '/upgrading' },
    ],
  },
  {
    text: 'Trust',
    items: [
      { text: 'Security', link: '/security' },
      { text: 'Permissions', link: '/permissions' },
      { text: 'Fault matrix', link: '/fault-matrix' },
    ],
  },
  {
    text: 'How it works',
    items: [
      { text: 'How it decides', link: '/how-it-decides' },
      { text: 'Architecture', link: '/architecture' },
    ],
  },
  {
    text: 'Decisions',
    collapsed: true,
    items: [{ text: 'All decisions', link: '/decisions/' }, ...decisions()],
  },
];

function decisions(): Item[] {
  return readdirSync(DECISIONS)
    .filter((file) => /^\d/.test(file))
    .toSorted()
    .map((file) => {
      const [heading = ''] = readFileSync(new URL(file, DECISIONS), 'utf8').split('\n');
      return { text: heading.replace(/^# /, ''), link: `/decisions/${file.replace(/\.md$/, '')}` };
    });
}
