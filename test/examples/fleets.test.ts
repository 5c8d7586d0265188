import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { capacityOf } from '../../fleets/effective.ts';
import { type FleetConfig, loadFleets } from '../../fleets/load.ts';
import { listPrice } from '../../fleets/prices.ts';
import { largestMaximum } from '../../functions/lib/schedules.ts';
import { violationsOf } from '../infra/nag.ts';
import { SynthesisedTemplate } from '../infra/template.ts';

const EXAMPLES = readdirSync('examples').filter((name) => existsSync(`examples/${name}/fleets.yaml`));

it('there is an example for each way to run fleets', () => {
  expect(EXAMPLES).toEqual([
    'docker',
    'existing-vpc',
    'gpu',
    'graviton',
    'monorepo',
    'one-class',
    'schedules',
    'server',
    'spot-and-reuse',
    'tutorial',
    'warm-pool',
  ]);
});

/** An app of its own, with the library in place of a `fleets.yaml`. */
const CDK_APP = 'cdk-app';

it('all examples are listed with what they are for', () => {
  const all = [...EXAMPLES, CDK_APP].toSorted();
  const listed = [...readFileSync('examples/README.md', 'utf8').matchAll(/^\| \[[\w-]+\]\(([\w-]+)\)/gm)];
  expect(listed.map(([, name]) => name).toSorted()).toEqual(all);
  expect(readFileSync('README.md', 'utf8')).toContain(
    `has ${{ 12: 'twelve', 13: 'thirteen' }[all.length] ?? all.length} fleets to start from`,
  );
});

/** What each example says the scaler costs, in whole dollars. */
const [, idle = '', officeHours = ''] =
  /^\| \*\*total\*\* \| ([\d.]+) \| ([\d.]+) \|/m.exec(readFileSync('docs/cost.md', 'utf8')) ?? [];
const SCALER_COSTS = `An idle fleet costs about ${Math.round(Number(idle))} dollars a month, and one that works in office hours about ${Math.round(Number(officeHours))}.`;

describe('the example of a CDK app', () => {
  const readme = readFileSync(`examples/${CDK_APP}/README.md`, 'utf8');
  const said = readme.replaceAll(/\s+/g, ' ');
  const app = readFileSync(`examples/${CDK_APP}/app.js`, 'utf8');

  // test/local/package.test.ts follows it.
  it('says how to deploy, use and remove it, with the package of this version', () => {
    for (const part of ['**Deploy.**', '**Use.**', '**See.**', '**Upgrade.**', '**Costs.**', '**Remove.**'])
      expect(readme).toContain(part);
    const { name, version } = JSON.parse(readFileSync('package.json', 'utf8'));
    expect(readme).toContain(`npm install --no-save ../../${name}-${version}.tgz`);
    expect(readFileSync('docs/library.md', 'utf8')).toContain(`npm install ../${name}-${version}.tgz`);
    expect(app).toContain(`from '${name}'`);
    expect(app).toContain(`name: 'example-${CDK_APP}'`);
  });

  it('says what it costs', () => {
    expect(said).toContain(SCALER_COSTS);
    const [, type = '', hour = '', count = '', most = ''] =
      /An hour of (\S+) costs ([\d.]+) dollars .*? so (\d+) of them cost at most ([\d.]+) an hour/.exec(
        said,
      ) ?? [];
    expect(app).toContain(`instanceTypes: ['${type}']`);
    expect(app).toContain(`maxReplicas: ${count},`);
    expect(listPrice(type)).toBe(Number(hour));
    expect(Number(most)).toBeCloseTo(Number(hour) * Number(count), 2);
  });

  it('has the feature flags of the repository, so that the CDK warns of none', () => {
    const { context } = JSON.parse(readFileSync('cdk.json', 'utf8'));
    expect(JSON.parse(readFileSync(`examples/${CDK_APP}/cdk.json`, 'utf8'))).toEqual({
      app: 'node app.js',
      context,
    });
  });

  it('has the peers and the CDK of the package', () => {
    const own = JSON.parse(readFileSync(`examples/${CDK_APP}/package.json`, 'utf8'));
    const { peerDependencies, devDependencies } = JSON.parse(readFileSync('package.json', 'utf8'));
    expect(own.dependencies).toEqual(peerDependencies);
    expect(own.devDependencies['aws-cdk']).toBe(devDependencies['aws-cdk']);
  });
});

describe.each(EXAMPLES)('the example %s', (name) => {
  const file = `examples/${name}/fleets.yaml`;
  const app = `example-${name}`;
  const context = `-c fleets=${file} -c stack=${app}`;
  const ownGuardrails = `examples/${name}/guardrails.yaml`;
  const guardrails = existsSync(ownGuardrails) ? ownGuardrails : undefined;
  const deployment = { stack: app, guardrails };
  const readme = readFileSync(`examples/${name}/README.md`, 'utf8');

  it('makes a stack with a group for each of its fleets', () => {
    const fleets = loadFleets(file, deployment);
    const template = SynthesisedTemplate.of(fleets);
    expect(template.all('AWS::AutoScaling::AutoScalingGroup')).toHaveLength(fleets.length);
  });

  it('breaks only rules of cdk-nag that are accepted with a reason', () => {
    expect(violationsOf(loadFleets(file, deployment))).toEqual([]);
  });

  it('says with its own names how to deploy, use and remove it', () => {
    for (const part of ['**Deploy.**', '**Use.**', '**See.**', '**Costs.**', '**Remove.**'])
      expect(readme).toContain(part);
    const [first] = loadFleets(file, deployment);
    expect(readme).toContain(`npx cdk deploy --all ${context}`);
    expect(readme).toContain(`npm run secrets -- ${first?.name} --fleets ${file} --stack ${app}`);
    expect(readme).toContain(`npx cdk destroy --all ${context}`);
    expect(readme).toContain(`npm run status -- --stack ${app}`);
    expect(readme).toContain(`npm run explain -- ${first?.name} --stack ${app}`);
    if (guardrails !== undefined) expect(readme).toContain(`cp ${guardrails} guardrails.yaml`);
    expect(readme).toContain(first?.resourceClass);
    expect(readFileSync(file, 'utf8')).toContain('$schema=../../fleets.schema.json');
  });

  it('says what the scaler costs, in whole dollars', () => {
    expect(readme.replaceAll(/\s+/g, ' ')).toContain(SCALER_COSTS);
  });

  it('says what its instances cost at most, at list prices', () => {
    const said = readme.replaceAll(/\s+/g, ' ');
    const [, type = '', hour = '', count = '', most = ''] =
      /An hour of (\S+) costs ([\d.]+) dollars .*? so (\d+) of them cost at most ([\d.]+) an hour/.exec(
        said,
      ) ?? [];
    const [first] = loadFleets(file, deployment);
    if (first?.instanceRequirements !== undefined) {
      expect(said).toContain('Spot capacity costs what EC2 asks');
      return;
    }
    expect([first?.hourlyPrice, listPrice(type)]).toContain(Number(hour));
    expect(first?.instanceTypes).toContain(type);
    expect(Number(count)).toBe(largestMaximum(capacityOf(first as FleetConfig)));
    expect(Number(most)).toBeCloseTo(Number(hour) * Number(count), 2);
  });
});
