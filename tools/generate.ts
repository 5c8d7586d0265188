import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** Writes the committed files that are generated. `npm run generate` starts it. */

interface Generator {
  /** The files, by their paths from the root of the project. */
  files: string[];
  /**
   * What generates the files again in a test and compares them. Files without one are compared by `.ci/run`, which runs
   * `npm run generate -- --untested`, so that nothing is generated twice.
   */
  test?: string;
  /** The text of each file, in the order of `files`. */
  texts: () => Promise<string[]>;
}

// Each loads what it needs when it runs, so that generating one file takes no longer than it must.
export const GENERATORS: Record<string, Generator> = {
  schema: {
    files: ['fleets.schema.json', 'guardrails.schema.json'],
    test: 'test/fleets/schema.test.ts',
    texts: async () => {
      const { fleetsSchema, guardrailsSchema } = await import('../fleets/schema.ts');
      return [fleetsSchema(), guardrailsSchema()];
    },
  },
  reference: {
    files: ['docs/configuration.md', 'docs/guardrails.md'],
    test: 'test/docs/documents.test.ts',
    texts: async () => {
      const { configurationReference, guardrailsReference } = await import('../fleets/reference.ts');
      return [configurationReference(), guardrailsReference()];
    },
  },
  workflow: {
    files: ['statemachine/autoscale.md'],
    test: 'test/docs/documents.test.ts',
    texts: async () => [(await import('./workflow-picture.ts')).drawWorkflow()],
  },
  cost: {
    files: ['docs/cost.md', 'sandbox/usage.json'],
    test: 'test/sandbox/cost.test.ts',
    texts: async () => {
      const { document, usage } = await (await import('./cost-report.ts')).costReport();
      return [document, `${JSON.stringify(usage, null, 2)}\n`];
    },
  },
  limits: {
    files: ['docs/limits.md'],
    test: 'test/docs/limits.test.ts',
    texts: async () => [(await import('./limits.ts')).limits()],
  },
  permissions: {
    files: ['docs/permissions.md'],
    test: 'test/docs/permissions.test.ts',
    texts: async () => [(await import('./permissions.ts')).permissions()],
  },
  dashboard: {
    files: ['docs/dashboard.svg'],
    texts: async () => [await (await import('./dashboard-picture.ts')).drawDashboard()],
  },
  policies: {
    files: ['docs/policies.svg'],
    texts: async () => [await (await import('./policies-picture.ts')).drawPolicies()],
  },
  'launch-failures': {
    files: ['docs/launch-failures.md'],
    test: 'test/functions/launch-failures.test.ts',
    texts: async () => [(await import('./launch-failures.ts')).launchFailures()],
  },
  'fault-matrix': {
    files: ['docs/fault-matrix.md'],
    test: 'test/support/fault-matrix.ts',
    texts: async () => [await (await import('./fault-matrix.ts')).faultMatrix()],
  },
};

const UNTESTED = '--untested';

export const USAGE = [
  'Usage: npm run generate -- [names...]',
  '',
  'Writes the committed files that are generated (default: all; two minutes):',
  ...Object.entries(GENERATORS).map(([name, { files }]) => `  ${name.padEnd(16)} ${files.join(', ')}`),
  '',
  `${UNTESTED} writes those that no test compares with what would be generated.`,
].join('\n');

/** The generators to run: those named, those without a test, or all. */
function chosen(given: string[]): [string, Generator][] {
  const all = Object.entries(GENERATORS);
  if (given.length === 0) return all;
  if (given.includes(UNTESTED)) return all.filter(([, { test }]) => test === undefined);
  const unknown = given.find((name) => !(name in GENERATORS));
  if (unknown === undefined) return all.filter(([name]) => given.includes(name));
  const names = Object.keys(GENERATORS).join(', ');
  throw new Error(`npm run generate takes ${UNTESTED}, or some of ${names}, got ${JSON.stringify(unknown)}`);
}

async function main(): Promise<void> {
  if (process.argv.slice(2).some((word) => word === '--help' || word === '-h')) {
    console.log(USAGE);
    return;
  }
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true';
  for (const [name, { files, texts }] of chosen(process.argv.slice(2))) {
    const startedAt = performance.now();
    const written = await texts();
    for (const [index, file] of files.entries()) {
      writeFileSync(new URL(`../${file}`, import.meta.url), written[index] ?? '');
    }
    const seconds = ((performance.now() - startedAt) / 1_000).toFixed(1);
    console.log(`${name}: ${files.join(', ')} (${seconds} s)`);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  main().catch((error: Error) => {
    console.error(error.message);
    process.exitCode = 1;
  });
}
