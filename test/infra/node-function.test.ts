import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Duration, Stack } from 'aws-cdk-lib';
import { afterAll, describe, expect, it, onTestFinished } from 'vitest';
import { functionSources, writeBundle } from '../../infra/function-bundles.ts';
import { WORK_SECONDS } from '../../infra/group-settings-handler.ts';
import { NodeFunction } from '../../infra/node-function.ts';
import { fleetsOf, MINIMAL, threeFleets } from '../support/fleets.ts';
import { leanApp, SynthesisedTemplate } from './template.ts';

const steps = readdirSync('functions').flatMap((file) => (file.endsWith('.ts') ? [file.slice(0, -3)] : []));

const template = SynthesisedTemplate.of(threeFleets());
const functions = template
  .all('AWS::Lambda::Function')
  .map(({ properties }) => ({ FunctionName: String(properties.FunctionName), properties }));

describe('every function', () => {
  it("is one of the steps, or sets the groups' settings", () => {
    expect(functions.map(({ FunctionName }) => FunctionName).toSorted()).toEqual(
      [...steps, 'group-settings'].map((name) => `circleci-runners-${name}`).toSorted(),
    );
  });

  it.each(functions)('$FunctionName runs on Node.js 24 and arm64', ({ properties }) => {
    expect(properties).toMatchObject({
      Runtime: 'nodejs24.x',
      Architectures: ['arm64'],
      Description: expect.any(String),
    });
  });

  it("waits for slow boots when a stack is deleted: the function for the groups' settings", () => {
    const settings = functions.find(({ FunctionName }) => FunctionName.endsWith('-group-settings'));
    for (const { bootTimeout } of fleetsOf(MINIMAL)) expect(WORK_SECONDS).toBeGreaterThan(bootTimeout + 60);
    // It then has 10 s to answer CloudFormation.
    expect(settings?.properties.Timeout).toBeGreaterThan(WORK_SECONDS + 10);
  });

  it.each(functions)('$FunctionName has the memory that its SDK and its parser need', ({ properties }) => {
    expect(properties.MemorySize).toBe(256);
  });

  it.each(functions)(
    '$FunctionName has a log group of its own, kept two weeks',
    ({ FunctionName, properties }) => {
      expect(properties.LoggingConfig).toEqual({
        LogFormat: 'JSON',
        // Nothing of Lambda itself but its warnings: three lines for each call would be most of the log.
        SystemLogLevel: 'WARN',
        ApplicationLogLevel: 'INFO',
        LogGroup: `LogGroup(/aws/lambda/${FunctionName})`,
      });
      const [group, ...others] = template
        .all('AWS::Logs::LogGroup')
        .filter(({ properties: { LogGroupName } }) => LogGroupName === `/aws/lambda/${FunctionName}`);
      expect(others).toEqual([]);
      expect(group?.properties.RetentionInDays).toBe(14);
    },
  );
});

describe('every step', () => {
  it.each(functions.filter(({ FunctionName }) => FunctionName !== 'circleci-runners-group-settings'))(
    '$FunctionName says who it is in its log, and puts metrics where the alarms look for them',
    ({ FunctionName, properties }) => {
      expect(properties.Environment).toMatchObject({
        Variables: {
          POWERTOOLS_SERVICE_NAME: FunctionName.replace('circleci-runners-', ''),
          POWERTOOLS_LOG_LEVEL: 'INFO',
          STACK_NAME: 'circleci-runners',
        },
      });
    },
  );
});

describe('the bundle that is deployed', () => {
  const directory = mkdtempSync(join(tmpdir(), 'bundles-'));
  afterAll(() => rmSync(directory, { recursive: true }));

  // Node.js itself imports the bundles, as in Lambda: Vitest would first parse and transform them.
  const importer = join(directory, 'importer.cjs');
  writeFileSync(importer, 'module.exports = (url) => import(url);');
  const importByNode: (url: string) => Promise<unknown> = createRequire(import.meta.url)(importer);

  // The client of EC2 is large. These functions run every 10 minutes, or after a build, and no job waits for them.
  const limitOf = (name: string) => (/-leftovers$|^images$/.test(name) ? 1_200 : 530);

  // Of the 400 to 525 KB, 70 KB are the errors and schemas of Systems Manager, which each function reads settings from. The rules
  // of the decision make `compute-capacity` the largest.
  it.each(Object.keys(functionSources()))(
    'of %s is under its limit, needs no other file, and exports its handler',
    async (name) => {
      const folder = join(directory, name);
      writeBundle(name, folder);
      expect(readdirSync(folder)).toEqual(['index.mjs']);
      const file = join(folder, 'index.mjs');
      expect(statSync(file).size).toBeLessThan(limitOf(name) * 1_000);
      expect(await importByNode(pathToFileURL(file).href)).toMatchObject({ handler: expect.any(Function) });
    },
  );
});

it('is not deployed without a source', () => {
  const folder = mkdtempSync(join(tmpdir(), 'bundles-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  expect(() => writeBundle('no-such-step', folder)).toThrow('There is no source of a function no-such-step');
});

it('is deployed with the function that it belongs to', () => {
  const outdir = mkdtempSync(join(tmpdir(), 'bundles-'));
  onTestFinished(() => rmSync(outdir, { recursive: true }));
  const app = leanApp({ outdir, context: { 'aws:cdk:enable-asset-metadata': true } });
  const stack = new Stack(app, 'stack');
  for (const name of ['count-running', 'images'])
    new NodeFunction(stack, name, { name, description: name, timeout: Duration.seconds(10) });
  const { template } = app.synth().getStackByName('stack');
  const deployed = Object.values<{ Properties: Record<string, unknown>; Metadata: Record<string, string> }>(
    template.Resources,
  ).flatMap(({ Properties, Metadata }) =>
    Properties.Handler === undefined
      ? []
      : [
          [
            Properties.FunctionName,
            readFileSync(join(outdir, Metadata['aws:asset:path'] ?? '', 'index.mjs'), 'utf8'),
          ],
        ],
  );
  const bundle = (name: string) => {
    writeBundle(name, join(outdir, 'bundle'));
    return readFileSync(join(outdir, 'bundle', 'index.mjs'), 'utf8');
  };
  // Nothing else is left in the folder of the app.
  expect(readdirSync(outdir).filter((name) => name.startsWith('bundle'))).toEqual([]);
  expect(deployed).toEqual(['count-running', 'images'].map((name) => [`stack-${name}`, bundle(name)]));
});
