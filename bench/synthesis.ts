import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App } from 'aws-cdk-lib';
import { checkFleets } from '../fleets/load.ts';
import { STACK_NAME } from '../fleets/names.ts';
import { stacksOf } from '../infra/stacks.ts';
import { TemplateRules } from '../infra/template-rules.ts';

/**
 * How long the synthesis of many fleets takes, without bundling the functions, and how much memory. Fails above the limits
 * that docs/limits.md promises.
 */

const MOST_SECONDS = 60;
const MOST_MEGABYTES = 2_000;

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
const stacks = stacksOf(app, STACK_NAME, fleets);
TemplateRules.addTo(app, stacks.fleets);
app.synth();
const sizes = readdirSync(outdir)
  .filter((file) => file.endsWith('.template.json'))
  .map((file) => statSync(join(outdir, file)).size);
rmSync(outdir, { recursive: true });
const seconds = (performance.now() - start) / 1_000;
const megabytes = Math.round(process.resourceUsage().maxRSS / 1_024);
console.log(
  `${count} fleets: ${seconds.toFixed(1)} s (${(process.cpuUsage().user / 1e6).toFixed(1)} s of CPU), ${megabytes} MB, largest template ${Math.round(Math.max(...sizes) / 1_000)} kB`,
);
if (seconds > MOST_SECONDS || megabytes > MOST_MEGABYTES) process.exitCode = 1;
