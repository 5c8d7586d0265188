import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { cdkInstallation, cdkJson, otherApp } from '../../cli/init/project.ts';

/** A folder that has installed the package. */
let folder: string;
let app: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'project-'));
  const dist = join(folder, 'node_modules/circleci-runner-autoscaler/dist/infra');
  mkdirSync(dist, { recursive: true });
  app = join(dist, 'app.js');
  writeFileSync(app, '');
});

afterEach(() => rmSync(folder, { recursive: true }));

it('writes a cdk.json with the app of the package and the recommended feature flags', () => {
  expect(JSON.parse(cdkJson(folder, app) ?? '')).toEqual({
    app: 'node node_modules/circleci-runner-autoscaler/dist/infra/app.js',
    context: JSON.parse(readFileSync('cdk.json', 'utf8')).context,
  });
});

it('writes none in the repository, or where there is one', () => {
  expect(cdkJson(folder, join(folder, 'none.js'))).toBeUndefined();
  writeFileSync(join(folder, 'cdk.json'), '{}');
  expect(cdkJson(folder, app)).toBeUndefined();
});

it.each([
  {
    cdk: '{"app": "npx ts-node bin/shop.ts"}',
    says: 'cdk.json names an app of yours (npx ts-node bin/shop.ts).',
  },
  { cdk: '{"app": "node node_modules/circleci-runner-autoscaler/dist/infra/app.js"}', says: undefined },
  { cdk: readFileSync('cdk.json', 'utf8'), says: undefined },
  { cdk: '{}', says: undefined },
  { cdk: '{', says: undefined },
])('says of $cdk: $says', ({ cdk, says }) => {
  writeFileSync(join(folder, 'cdk.json'), cdk);
  if (says === undefined) expect(otherApp(folder)).toBeUndefined();
  else expect(otherApp(folder)).toContain(says);
});

it('names the command line of the CDK first where it is not installed', () => {
  expect(cdkInstallation(folder)).toEqual(['npm install --save-dev aws-cdk@2']);
  expect(cdkInstallation(process.cwd())).toEqual([]);
});
