import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { Fleets } from '../../infra/fleet-settings.ts';
import { configurationReference, REFERENCE_FILE } from '../../infra/reference.ts';
import { drawWorkflow, PICTURE } from '../../statemachine/picture.ts';

const DOCUMENTS = [
  'README.md',
  'CONTRIBUTING.md',
  'docs/how-it-decides.md',
  'docs/operations.md',
  'docs/configuration.md',
  'docs/instance-life.md',
];

/** Every command that the documents show, and the file that runs it. */
const RUN_BY: Record<string, { file: string; as: string }> = {
  'npm ci': { file: '.ci/run', as: 'npm ci' },
  'npm start': { file: '.ci/run', as: 'npm start' },
  'npm start -- --hours 2 --boot 40 --max 50': {
    file: '.ci/run',
    as: 'npm start -- --hours 2 --boot 40 --max 50',
  },
  'npm start -- --json': { file: '.ci/run', as: 'npm start -- --json' },
  'npm start -- --help': { file: '.ci/run', as: 'npm start -- --help' },
  'npx cdk bootstrap': { file: 'cli/local-aws.ts', as: "'bootstrap'" },
  'npx cdk deploy': { file: 'cli/local-aws.ts', as: "'deploy'" },
  'npm run secrets -- example': { file: 'test/local/deployed.test.ts', as: "command('secrets'" },
  'npm run execute -- example': { file: 'test/local/deployed.test.ts', as: "command('execute'" },
  'npm run local': { file: 'test/local/watch.test.ts', as: 'cli/local.ts' },
  'npm test': { file: '.ci/run', as: 'npm test' },
  'npm run test:local': { file: '.ci/run', as: 'npm run test:local' },
  'npm run test:instance': { file: '.ci/run', as: 'npm run test:instance' },
  'npm run bench': { file: '.ci/run', as: 'npm run bench' },
  'npm run generate': { file: '.ci/run', as: 'npm run generate' },
};

const read = (file: string) => readFileSync(file, 'utf8');

function commands(document: string): string[] {
  const blocks = [...read(document).matchAll(/^ *```sh\n([\s\S]*?)^ *```/gm)].map(([, block = '']) => block);
  return blocks.flatMap((block) => block.trim().split('\n')).map((line) => line.trim());
}

describe('the documents', () => {
  it('show no command that nothing runs', () => {
    const shown = new Set(DOCUMENTS.flatMap(commands));
    expect([...shown].sort()).toEqual(Object.keys(RUN_BY).sort());
    for (const { file, as } of Object.values(RUN_BY)) expect(read(file)).toContain(as);
  });

  it('name only scripts that there are', () => {
    const { scripts } = JSON.parse(read('package.json'));
    const named = DOCUMENTS.flatMap((document) =>
      [...read(document).matchAll(/npm run ([a-z:]+)/g)].map(([, name]) => name),
    );
    expect(named.filter((name) => name === undefined || !(name in scripts))).toEqual([]);
  });

  it('link to files that there are', () => {
    const links = DOCUMENTS.flatMap((document) =>
      [...read(document).matchAll(/\]\((?!https?:)([^)#]+)/g)].map(([, link = '']) => {
        const folder = document.includes('/') ? 'docs/' : '';
        return folder + link;
      }),
    );
    expect(links.filter((link) => !existsSync(link))).toEqual([]);
    expect(links.length).toBeGreaterThan(5);
  });

  it('draw the workflow as it is', () => {
    expect(readFileSync(PICTURE, 'utf8')).toBe(drawWorkflow());
  });

  it('describe every setting of fleets.yaml, as it is', () => {
    expect(readFileSync(REFERENCE_FILE, 'utf8')).toBe(configurationReference());
    const example = /```yaml\n([\s\S]*?)```/
      .exec(configurationReference())?.[1]
      ?.replace(/ *install: .*\n/, '');
    expect(Fleets.safeParse(parse(example ?? '')).error).toBeUndefined();
  });

  it('have a heading for each alarm, and an alarm for each of those headings', () => {
    const alarms = [...read('infra/alarms.ts').matchAll(/docs\/operations\.md[^"]*"([^"]+)"/g)].map(
      ([, heading]) => heading,
    );
    const headings = [...read('docs/operations.md').matchAll(/^## (.+)$/gm)].map(([, heading]) => heading);
    expect(headings.filter((heading) => heading !== 'Remove a fleet, or everything').sort()).toEqual(
      alarms.sort(),
    );
  });

  it('tell what to do about each error that a step can throw', async () => {
    const errors = Object.keys(await import('../../functions/lib/errors.ts'));
    const operations = read('docs/operations.md');
    expect(errors.filter((error) => !operations.includes(`\`${error}\``))).toEqual([]);
  });
});
