import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App } from 'aws-cdk-lib';
import { checkFleets } from '../fleets/load.ts';
import { STACK_NAME } from '../fleets/names.ts';
import { stacksOf } from '../infra/stacks.ts';

/** How long the synthesis of many fleets takes, without bundling the functions, and how much memory. */

const count = Number(process.argv[2] ?? 1_000);
const validated = process.argv[3] !== 'unvalidated';
const outdir = mkdtempSync(join(tmpdir(), 'synthesis-'));
const start = performance.now();
const fleets = checkFleets(
  Object.fromEntries(
    Array.from({ length: count }, (_, index) => [
      `fleet-${index}`,
      { resourceClass: `acme/class-${index}`, instanceTypes: ['m7i.large'], maxReplicas: 20 },
    ]),
  ),
  'fleets.yaml',
);
const app = new App({
  outdir,
  context: { '@aws-cdk/core:validateAgainstDefaultRules': true, 'aws:cdk:bundling-stacks': [] },
  builtinCloudFormationValidation: validated,
});
stacksOf(app, STACK_NAME, fleets);
app.synth();
const sizes = readdirSync(outdir)
  .filter((file) => file.endsWith('.template.json'))
  .map((file) => statSync(join(outdir, file)).size);
rmSync(outdir, { recursive: true });
console.log(
  `${count} fleets: ${((performance.now() - start) / 1_000).toFixed(1)} s (${(process.cpuUsage().user / 1e6).toFixed(1)} s of CPU), ${Math.round(process.resourceUsage().maxRSS / 1_024)} MB, largest template ${Math.round(Math.max(...sizes) / 1_000)} kB`,
);
