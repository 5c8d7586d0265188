import { readdirSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

const SOURCES = ['cli', 'fleets', 'functions', 'infra', 'sandbox', 'simulator', 'statemachine'];

/** CircleCI's orchestrator has a setting of that name, too. */
const OF_A_PEER = 'simulator/policies/mro.ts';

it('CONTRIBUTING lists the source files that name maxSurge, as an example of a setting of the capacity policy', () => {
  const [, section = ''] = readFileSync('CONTRIBUTING.md', 'utf8').split(
    'A new setting of the capacity policy, such as `maxSurge`,',
  );
  const listed = (section.split('\n\n')[1] ?? '').matchAll(/^- `([^`]+)`:/gm);
  const naming = SOURCES.flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .map((file) => `${folder}/${file}`)
      .filter((file) => file.endsWith('.ts') && file !== OF_A_PEER)
      .filter((file) => readFileSync(file, 'utf8').includes('maxSurge')),
  );
  expect([...listed].map(([, file]) => file).toSorted()).toEqual(naming.toSorted());
});

it('imports infra/ only inside it, so that no command and no replay loads the CDK', () => {
  const folders = ['bench', 'cli', 'fleets', 'functions', 'sandbox', 'simulator', 'statemachine', 'userdata'];
  const importing = folders.flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts'))
      .map((file) => `${folder}/${file}`)
      .filter((file) => /from '[^']*(\/infra\/|aws-cdk-lib)/.test(readFileSync(file, 'utf8'))),
  );
  expect(importing).toEqual([]);
});
