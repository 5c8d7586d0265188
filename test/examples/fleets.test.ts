import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { loadFleets } from '../../fleets/load.ts';
import { violationsOf } from '../infra/nag.ts';
import { SynthesisedTemplate } from '../infra/template.ts';

const EXAMPLES = readdirSync('examples').filter((name) => existsSync(`examples/${name}/fleets.yaml`));

it('there is an example for each way to run fleets', () => {
  expect(EXAMPLES).toEqual([
    'existing-vpc',
    'graviton',
    'one-class',
    'schedules',
    'spot-and-reuse',
    'warm-pool',
  ]);
});

describe.each(EXAMPLES)('the example %s', (name) => {
  const file = `examples/${name}/fleets.yaml`;
  const app = `example-${name}`;
  const context = `-c fleets=${file} -c stack=${app}`;
  const readme = readFileSync(`examples/${name}/README.md`, 'utf8');

  it('makes a stack with a group for each of its fleets', () => {
    const fleets = loadFleets(file, { stack: app });
    const template = SynthesisedTemplate.of(fleets);
    expect(template.all('AWS::AutoScaling::AutoScalingGroup')).toHaveLength(fleets.length);
  });

  it('breaks only rules of cdk-nag that are accepted with a reason', () => {
    expect(violationsOf(loadFleets(file, { stack: app }))).toEqual([]);
  });

  it('says with its own names how to deploy, use and remove it', () => {
    for (const part of ['**Deploy.**', '**Use.**', '**Remove.**']) expect(readme).toContain(part);
    const [first] = loadFleets(file, { stack: app });
    expect(readme).toContain(`npx cdk deploy --all ${context}`);
    expect(readme).toContain(`npm run secrets -- ${first?.name} --fleets ${file} --stack ${app}`);
    expect(readme).toContain(`npx cdk destroy --all ${context}`);
    expect(readme).toContain(first?.resourceClass);
    expect(readFileSync(file, 'utf8')).toContain('$schema=../../fleets.schema.json');
  });
});
