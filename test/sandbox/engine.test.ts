import { createRequire } from 'node:module';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../../sandbox/clock.ts';
import { loadEngine, query } from '../../sandbox/engine.ts';

const START = new Date('2026-01-05T08:00:00Z');
const ENGINE = createRequire(import.meta.url).resolve('aws-local-stepfunctions');
const { JSONPath } = createRequire(ENGINE)('jsonpath-plus');

const UNCHECKED = { validationOptions: { noValidate: true } };

describe('the engine', () => {
  const definition = {
    StartAt: 'Sleep',
    TimeoutSeconds: 100,
    States: { Sleep: { Type: 'Wait', Seconds: 60, Next: 'Done' }, Done: { Type: 'Succeed' } },
  } as const;

  it('obeys the clock that it was given, and each engine its own', async () => {
    const ends = [START, new Date('2030-01-01T00:00:00Z')].map(async (start) => {
      const clock = new VirtualClock(start);
      const { StateMachine } = loadEngine({ ...clock, random: () => 0 });
      const { result, eventLogs } = new StateMachine(definition, UNCHECKED).run({});
      await clock.run(result);
      const times: number[] = [];
      for await (const { timestamp } of eventLogs) times.push(timestamp - start.getTime());
      return [times[0], times.at(-1), clock.now() - start.getTime()];
    });
    expect(await Promise.all(ends)).toEqual([
      [0, 60_000, 60_000],
      [0, 60_000, 60_000],
    ]);
  });

  it('times an execution out by that clock', async () => {
    const clock = new VirtualClock(START);
    const { StateMachine, ExecutionTimeoutError } = loadEngine({ ...clock, random: () => 0 });
    const { result } = new StateMachine({ ...definition, TimeoutSeconds: 30 }, UNCHECKED).run({});
    await expect(clock.run(result)).rejects.toBeInstanceOf(ExecutionTimeoutError);
    expect(clock.now() - START.getTime()).toBe(30_000);
  });

  it.each([
    { random: 0, seconds: 0 },
    { random: 0.5, seconds: 10 },
    { random: 0.999_999, seconds: 20 },
  ])('draws the jitter of a retry: $random makes $seconds s of at most 20', async ({ random, seconds }) => {
    const clock = new VirtualClock(START);
    const { StateMachine } = loadEngine({ ...clock, random: () => random });
    const Retry = [
      { ErrorEquals: ['States.ALL'], IntervalSeconds: 20, MaxAttempts: 1, JitterStrategy: 'FULL' },
    ];
    let attempts = 0;
    const Try = () => {
      attempts += 1;
      if (attempts === 1) throw new Error('not yet');
      return {};
    };
    const task = {
      Type: 'Task',
      Resource: 'arn:aws:lambda:eu-west-1:000000000000:function:try',
      Retry,
      End: true,
    };
    const { result } = new StateMachine({ StartAt: 'Try', States: { Try: task } } as never, UNCHECKED).run(
      {},
      { overrides: { taskResourceLocalHandlers: { Try } } },
    );
    await clock.run(result);
    expect(Math.round((clock.now() - START.getTime()) / 1_000)).toBe(seconds);
  });
});

describe('a path', () => {
  const evaluate = query(JSONPath);
  const key = fc.constantFrom('a', 'b', 'length', 'constructor', 'x_1');
  const json = fc.letrec((tie) => ({
    value: fc.oneof(
      { depthSize: 'small' },
      fc.constantFrom(null, 0, false, '', 7, 'text', true),
      fc.array(tie('value'), { maxLength: 3 }),
      fc.dictionary(key, tie('value'), { maxKeys: 3 }),
    ),
  })).value;
  const step = fc.oneof(
    key.map((name) => `.${name}`),
    fc.nat({ max: 2 }).map((index) => `[${index}]`),
    fc.constantFrom('.*', "['a']", '..b', '[-1:]'),
  );

  it('finds what jsonpath-plus finds', () => {
    fc.assert(
      fc.property(json, fc.array(step, { maxLength: 4 }), (json, steps) => {
        const path = `$${steps.join('')}`;
        expect(evaluate({ path, json, wrap: false })).toEqual(JSONPath({ path, json, wrap: false }));
      }),
      { numRuns: 1_000 },
    );
  });
});
