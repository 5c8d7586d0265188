import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { FAILURE_KINDS } from '../../functions/lib/launch-failures.ts';
import { UNITS } from '../../functions/lib/metric-units.ts';
import { NEEDS_YOU, OUTAGE } from '../../sandbox/alarms.ts';
import { FAULTS } from '../../sandbox/faults/faults.ts';
import { alarmsOfFleet, STACK_ALARMS } from '../../statemachine/alarms.ts';
import { FAILURES } from '../../statemachine/failures.ts';
import { fleetsWith } from '../support/fleets.ts';

const read = (file: string) => readFileSync(file, 'utf8');
const page = read('docs/alarms.md');
const runbook = read('docs/operations.md');
const [linux] = fleetsWith({ linux: {} });
const ofFleet = Object.entries(linux ? alarmsOfFleet({ ...linux, affordable: 1 }) : {});
const headings = [
  NEEDS_YOU,
  OUTAGE,
  ...ofFleet.map(([, { heading }]) => heading),
  ...Object.values(STACK_ALARMS).map(({ heading }) => heading),
];

/** First cells of the rows of a page's tables. */
const firstCells = (text: string) =>
  [...text.matchAll(/^\| (?!---|alarm |metric )(.+?) \|/gm)].map(([, cell = '']) => cell);

describe('docs/alarms.md', () => {
  it('says of each alarm what it sees, and of no other', () => {
    const rows = firstCells(page).flatMap((cell) => /^\[(.+)\]/.exec(cell)?.[1] ?? []);
    expect(rows).toEqual(headings.toSorted((a, b) => rows.indexOf(a) - rows.indexOf(b)));
    expect(rows).toHaveLength(headings.length);
  });

  it('says the same of each metric that no alarm watches', () => {
    const watched: string[] = ofFleet.map(([, { metric }]) => metric);
    const rows = firstCells(page).flatMap((cell) => /^`(.+)`$/.exec(cell)?.[1] ?? []);
    expect(rows).toEqual(Object.keys(UNITS).filter((name) => !watched.includes(name)));
  });

  it('has a link to the heading of each alarm, which the runbook has', () => {
    for (const heading of headings) {
      expect(page).toContain(`[${heading}](operations.md#${heading.toLowerCase().replaceAll(' ', '-')})`);
      expect(runbook).toContain(`\n## ${heading}\n`);
    }
  });
});

describe('each kind', () => {
  /** Alarms that no fault of the sandbox rings, and the test that rings them. */
  const RUNG_BY: Record<string, { file: string; as: string }> = {
    'Spot Unavailable': {
      file: 'test/matrix/late-starts.test.ts',
      as: 'Spot Unavailable rings within 2 hours',
    },
    'Cost Limit Reached': { file: 'test/hours/alarm-thresholds.test.ts', as: 'Cost Limit Reached' },
    'Left Behind': { file: 'test/functions/find-leftovers.test.ts', as: 'LeftBehind' },
    'Launches Failing': { file: 'test/support/fault-matrix.ts', as: 'ofLaunches' },
    'Executions Timed Out': { file: 'test/sandbox/alarms.test.ts', as: 'ring for executions that time out' },
    // AWS counts these three itself.
    'Executions Throttled': { file: 'test/infra/alarms.test.ts', as: 'TargetErrorThrottledCount' },
    'Delivery Failing': { file: 'test/infra/alarms.test.ts', as: 'InvocationsSentToDeadLetterCount' },
    'Reconcile Failed': { file: 'test/infra/alarms.test.ts', as: 'rings after half an hour' },
  };
  const ofFaults = new Set(FAULTS.map(({ rings, ends }) => rings ?? ends?.state));

  it.each(headings.filter((heading) => ![NEEDS_YOU, OUTAGE].includes(heading)))(
    'of alarm has a fault of the matrix, or a test, that rings it: %s',
    (heading) => {
      if (ofFaults.has(heading)) return;
      const { file, as } = RUNG_BY[heading] ?? { file: '', as: '' };
      expect({ heading, file }).not.toMatchObject({ file: '' });
      expect(read(file)).toContain(as);
    },
  );

  it('of failure has a state of the workflow, an alarm and a heading', () => {
    const { States } = JSON.parse(read('statemachine/autoscale.asl.json'));
    for (const [metric, heading] of Object.entries(FAILURES)) {
      expect(Object.keys(States)).toContain(heading);
      expect(ofFleet.map(([, alarm]) => [alarm.metric, alarm.heading])).toContainEqual([metric, heading]);
    }
  });

  it.each(FAILURE_KINDS)('of failed launch has a row in the runbook and a public report: %s', (kind) => {
    expect(runbook).toContain(`\n| \`${kind}\` | `);
    if (kind !== 'boot') expect(read('sandbox/launch-messages.yaml')).toContain(`\n  kind: ${kind}\n`);
  });

  it('of metric is described in the runbook', () => {
    for (const name of [...Object.keys(UNITS), ...Object.keys(FAILURES)])
      expect(runbook).toContain(`\n| \`${name}\` | `);
  });
});
