import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CACHE_SECONDS } from '../../functions/lib/secrets.ts';
import { FLEET_STANDING, meanDelay, monthlyCost, STACK_STANDING, type Usage } from '../../sandbox/cost.ts';
import { executionLogBytes } from '../../sandbox/execution-log.ts';
import { costReport } from '../../tools/cost-report.ts';
import { SynthesisedTemplate } from '../infra/template.ts';
import { fleetsOf, MINIMAL } from '../support/fleets.ts';
import { oneFleet } from '../support/sandbox.ts';

const NOTHING: Usage = {
  seconds: 0,
  invocations: {},
  executionLogBytes: 0,
  functionLogBytes: 0,
  metrics: 0,
};
const NO_STANDING = { alarms: 0, compositeAlarms: 0, secrets: 0 };

describe('a month of 43,800 minutes', () => {
  it.each<{ case: string; usage: Partial<Usage>; part: string; dollars: number }>([
    {
      case: '52 s of waiting a minute at 64 MB',
      usage: { seconds: 52 },
      part: 'stepFunctions',
      dollars: 43_800 * (1e-6 + 52 * 0.0625 * 0.00001667),
    },
    {
      case: 'a duration, which is billed by the next tenth of a second',
      usage: { seconds: 0.31 },
      part: 'stepFunctions',
      dollars: 43_800 * (1e-6 + 0.4 * 0.0625 * 0.00001667),
    },
    {
      case: '11 invocations of 180 ms at a quarter of a GB',
      usage: { invocations: { 'Count Running': 11 } },
      part: 'lambda',
      dollars: 43_800 * 11 * (2e-7 + 0.18 * 0.25 * 0.0000133334),
    },
    {
      case: '100 KB of execution log a minute',
      usage: { executionLogBytes: 102_400 },
      part: 'executionLog',
      dollars: ((43_800 * 102_400) / 1024 ** 3) * 0.5,
    },
    {
      case: '1 KB of function logs a minute',
      usage: { functionLogBytes: 1_024 },
      part: 'functionLogs',
      dollars: ((43_800 * 1_024) / 1024 ** 3) * 0.5,
    },
    { case: '7 custom metrics', usage: { metrics: 7 }, part: 'metrics', dollars: 2.1 },
    {
      case: 'a secret that is read once a minute',
      usage: { invocations: { 'Read Settings': 1 } },
      part: 'secrets',
      dollars: 0.219,
    },
    {
      case: 'a secret that two functions count with, and read again when its cached value is too old',
      usage: { invocations: { 'Count Unclaimed': 12, 'Count Running': 12 } },
      part: 'secrets',
      dollars: 2 * (43_800 / (CACHE_SECONDS / 60)) * (0.05 / 10_000),
    },
    {
      case: 'a secret that a function counts with less often than its cached value becomes too old',
      usage: { invocations: { 'Count Unclaimed': 0.1 } },
      part: 'secrets',
      dollars: 4_380 * (0.05 / 10_000),
    },
    { case: 'the schedule alone', usage: {}, part: 'scheduler', dollars: 0.0438 },
    {
      case: 'looking for what is left behind, 4,380 times',
      usage: {},
      part: 'reconcile',
      // 2 s of Step Functions, 1.5 s of Lambda, 4 KB of log, two requests for secrets, one start.
      dollars: 4_380 * (3.08375e-6 + 5.200025e-6 + 1.9073486e-6 + 1e-5 + 1e-6),
    },
  ])('of $case costs $dollars dollars', ({ usage, part, dollars }) => {
    const cost = monthlyCost([{ share: 1, usage: { ...NOTHING, ...usage } }], NO_STANDING);
    expect(cost[part as keyof typeof cost]).toBeCloseTo(dollars, 6);
  });

  it('of 22 alarms, one over them and two secrets costs 3.50 dollars, whatever happens', () => {
    const { alarms, secrets } = monthlyCost([{ share: 1, usage: NOTHING }], FLEET_STANDING);
    expect(alarms + secrets).toBeCloseTo(2.2 + 0.5 + 0.8, 6);
  });

  it('lies between an idle and a busy one, in proportion, and is the sum of its parts', () => {
    const busy = { ...NOTHING, seconds: 50, metrics: 7, executionLogBytes: 200_000 };
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1, noNaN: true }), (share) => {
        const costs = (busyShare: number) =>
          monthlyCost([
            { share: busyShare, usage: busy },
            { share: 1 - busyShare, usage: NOTHING },
          ]);
        const { total, ...parts } = costs(share);
        const [low, high] = [0, 1].map((extreme) => costs(extreme).metrics);
        expect(parts.metrics).toBeCloseTo((low ?? 0) + share * ((high ?? 0) - (low ?? 0)), 6);
        expect(Object.values(parts).reduce((sum, part) => sum + part, 0)).toBeCloseTo(total, 9);
      }),
    );
  });
});

describe('the mean delay until a task is seen', () => {
  it.each([
    { polls: [0], seconds: 30 },
    { polls: [0, 30], seconds: 15 },
    { polls: [0, 10, 20, 30, 40, 50], seconds: 5 },
    { polls: [0, 5, 10, 15, 20, 25, 30, 35, 40, 45, 50], seconds: (10 * 25 + 100) / 120 },
  ])('with polls at $polls s of each minute is $seconds s', ({ polls, seconds }) => {
    expect(meanDelay(polls)).toBeCloseTo(seconds, 6);
  });
});

describe('what stands', () => {
  it('is what the stack has', () => {
    const one = SynthesisedTemplate.of(fleetsOf(MINIMAL));
    const two = SynthesisedTemplate.of(fleetsOf(MINIMAL + MINIMAL.replaceAll('linux', 'other').trimStart()));
    const count = (template: SynthesisedTemplate) => ({
      alarms: JSON.stringify(template.all('AWS::CloudWatch::Alarm')).match(/"MetricName":/g)?.length,
      compositeAlarms: template.all('AWS::CloudWatch::CompositeAlarm').length,
      secrets: template.all('AWS::SecretsManager::Secret').length,
    });
    const both = { ...STACK_STANDING };
    for (const key of ['alarms', 'compositeAlarms', 'secrets'] as const) both[key] += FLEET_STANDING[key];
    expect(count(one)).toEqual(both);
    for (const key of ['alarms', 'compositeAlarms', 'secrets'] as const) both[key] += FLEET_STANDING[key];
    expect(count(two)).toEqual(both);
  });
});

describe("an execution's log", () => {
  it('holds every state with its data, which is about half of it', async () => {
    const { execute } = await oneFleet({ queued: 1, fleet: { pollIntervalSeconds: 20 } });
    const execution = await execute();
    const all = executionLogBytes(execution);
    const withoutData = executionLogBytes(execution, { data: false });
    expect(all).toBeGreaterThan(Buffer.byteLength(JSON.stringify(execution.path)));
    expect(withoutData).toBeGreaterThan(all / 3);
    expect(withoutData).toBeLessThan((all * 2) / 3);
    const shorter = { ...execution, path: execution.path.slice(1) };
    expect(executionLogBytes(shorter)).toBeLessThan(all);
  });
});

describe('a measurement', () => {
  it('gives what docs/cost.md and sandbox/usage.json say; `npm run generate` writes them', async () => {
    const { document, usage } = await costReport();
    expect(document).toBe(readFileSync('docs/cost.md', 'utf8'));
    expect(usage).toEqual(JSON.parse(readFileSync('sandbox/usage.json', 'utf8')));
  });
});
