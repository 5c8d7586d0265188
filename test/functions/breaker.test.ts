import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type BreakerState,
  type FailedLaunch,
  isTrying,
  judgeLaunches,
  type Launch,
} from '../../functions/lib/breaker.ts';
import { FAILURE_KINDS, type FailureKind } from '../../functions/lib/launch-failures.ts';
import { EXECUTION_START } from '../support/inputs.ts';

const MINUTE = 60_000;
const SETTINGS = { failures: 3, windowSeconds: 900 };

/** Minutes from the start, as the breaker has it. */
const minutes = (count: number) => EXECUTION_START + count * MINUTE;

/** A launch that failed at that minute. By default it began a minute before. */
const fails = (at: number, kind: FailureKind = 'boot', startedAt = at - 1): FailedLaunch => ({
  outcome: 'failed',
  startedAt: minutes(startedAt),
  endedAt: minutes(at),
  kind,
  // All but boots and volumes fail before there is an instance.
  ...(kind !== 'boot' && kind !== 'volume-key' && { noInstance: true }),
  reason: `${kind} at ${at}`,
});
const succeeds = (at: number): Launch => ({
  outcome: 'succeeded',
  startedAt: minutes(at - 2),
  endedAt: minutes(at),
});
const underway = (since: number): Launch => ({ outcome: 'underway', startedAt: minutes(since) });

const times = <T>(count: number, of: (index: number) => T) => Array.from({ length: count }, (_, i) => of(i));

/** Minutes from the last failure to the next canary. */
function rest(state: BreakerState): number {
  if (!state.open) throw new Error('The breaker is closed');
  return (state.canaryAt - state.lastFailureAt) / MINUTE;
}

describe('judgeLaunches', () => {
  it.each<{ case: string; launches: Launch[]; open: boolean; settings?: Partial<typeof SETTINGS> }>([
    { case: 'a group that never launched anything is well', launches: [], open: false },
    { case: 'two failures are not three', launches: [fails(1), fails(2)], open: false },
    { case: 'the third failure in the window opens', launches: [fails(1), fails(2), fails(3)], open: true },
    {
      case: 'the window is from the first of them to the last',
      launches: [fails(0), fails(1), fails(15)],
      open: true,
    },
    {
      case: 'failures that are further apart do not open',
      launches: [fails(0), fails(1), fails(15.02)],
      open: false,
    },
    {
      case: 'any three of them will do, not only the first',
      launches: [fails(0), fails(20), fails(24), fails(28)],
      open: true,
    },
    {
      case: 'any three of them will do, not only the last',
      launches: [fails(0), fails(1), fails(2), fails(30), fails(60)],
      open: true,
    },
    {
      case: 'failures every eight minutes do not open',
      launches: times(20, (i) => fails(8 * i)),
      open: false,
    },
    {
      case: 'a success between them resets the count of failures',
      launches: [fails(1), fails(2), succeeds(3), fails(4), fails(5)],
      open: false,
    },
    {
      case: 'three failures after a success open',
      launches: [succeeds(0), fails(1), fails(2), fails(3)],
      open: true,
    },
    {
      case: 'the next success closes',
      launches: [...times(10, () => fails(1)), succeeds(40)],
      open: false,
    },
    {
      case: 'a success in the same second as a failure has the last word',
      launches: [succeeds(3), fails(3), fails(3), fails(3)],
      open: false,
    },
    {
      case: 'a launch that failed and began before the success, but ended after it, counts',
      launches: [fails(5, 'boot', 0), fails(5.1, 'boot', 0), fails(5.2, 'boot', 0), succeeds(4)],
      open: true,
    },
    {
      case: 'launches under way are no failures',
      launches: [fails(1), fails(2), underway(2), underway(3)],
      open: false,
    },
    {
      case: 'launches under way are no successes either',
      launches: [fails(1), fails(2), fails(3), underway(4)],
      open: true,
    },
    {
      case: 'refusals of different kinds open together',
      launches: [fails(1, 'shortage'), fails(2, 'placement'), fails(3, 'refused')],
      open: true,
    },
    {
      case: 'boots that fail for different reasons open together',
      launches: [fails(1, 'boot'), fails(2, 'volume-key'), fails(3, 'boot')],
      open: true,
    },
    {
      case: 'a boot that failed is no refusal',
      launches: [fails(1, 'shortage'), fails(3, 'boot', 2), fails(4, 'refused')],
      open: false,
    },
    {
      case: 'EC2 gave an instance after it had refused others',
      launches: [...times(5, () => fails(1, 'placement', 1)), underway(1.02)],
      open: false,
    },
    {
      case: 'EC2 gave an instance after it had refused others, and that one never came up',
      launches: [...times(5, () => fails(1, 'placement', 1)), fails(3, 'boot', 1.02)],
      open: false,
    },
    {
      case: 'EC2 refuses launches while instances boot, which may be in other zones',
      launches: [underway(0), ...times(5, () => fails(1, 'placement', 1))],
      open: false,
    },
    {
      case: 'EC2 refuses launches, and others still wait for an answer',
      launches: [...times(3, () => fails(1, 'shortage', 1)), { ...underway(2), noInstance: true }],
      open: true,
    },
    {
      case: 'a few boots of a burst fail before the others can have come up',
      launches: [...times(3, () => fails(1, 'boot', 0.1)), ...times(17, () => underway(0))],
      open: false,
    },
    {
      case: 'most boots of a burst fail, and some hang',
      launches: [...times(15, () => fails(1, 'boot', 0.1)), ...times(5, () => underway(0))],
      open: true,
    },
    {
      case: 'what the group launches in place of failed boots is of no burst with them',
      launches: [...times(5, () => fails(1, 'boot', 0)), ...times(20, () => underway(1))],
      open: true,
    },
    {
      case: 'a launch that begins 30 s after the one that failed belongs to its burst',
      launches: [...times(3, () => fails(1, 'boot', 0)), ...times(4, () => underway(0.5))],
      open: false,
    },
    {
      case: 'as many boots of a burst fail as are still under way',
      launches: [...times(3, () => fails(1, 'boot', 0)), ...times(3, () => underway(0))],
      open: true,
    },
    {
      case: 'EC2 gave an instance at the moment in which it refused others, and that one never came up',
      launches: [...times(3, () => fails(1, 'shortage', 0)), fails(1, 'boot', 0)],
      open: false,
    },
    {
      case: 'one failure opens, if one is enough',
      launches: [fails(1)],
      open: true,
      settings: { failures: 1 },
    },
    {
      case: 'a success closes what one failure opened',
      launches: [fails(1), succeeds(2)],
      open: false,
      settings: { failures: 1 },
    },
    { case: 'a batch that fails at once opens', launches: times(3, () => fails(4)), open: true },
    {
      case: 'as many failures as are set, in the window that is set',
      launches: times(5, (i) => fails(i)),
      open: true,
      settings: { failures: 5, windowSeconds: 240 },
    },
    {
      case: 'one less than are set',
      launches: times(5, (i) => fails(i)),
      open: false,
      settings: { failures: 6, windowSeconds: 240 },
    },
    {
      case: 'a window that is a second too short',
      launches: times(5, (i) => fails(i)),
      open: false,
      settings: { failures: 5, windowSeconds: 239 },
    },
  ])('$case', ({ launches, open, settings }) => {
    expect(judgeLaunches(launches, { ...SETTINGS, ...settings }).open).toBe(open);
  });

  it('tells the failures since the last success, and the last of them', () => {
    const launches = [
      fails(0),
      succeeds(1),
      fails(2),
      fails(3, 'refused'),
      fails(4),
      fails(4.5),
      fails(9, 'shortage'),
    ];
    expect(judgeLaunches(launches, SETTINGS)).toEqual({
      open: true,
      // One refusal was made up for by the launch that followed.
      failures: 4,
      kind: 'shortage',
      reason: 'shortage at 9',
      openedAt: minutes(4.5),
      lastFailureAt: minutes(9),
      canaryAt: minutes(11),
    });
  });

  it.each<{ case: string; launches: Launch[]; complete: boolean; open: boolean; canaryIn?: number }>([
    { case: 'all that is on record', launches: times(5, (i) => fails(30 * i)), complete: true, open: false },
    {
      case: 'not all that is on record',
      launches: times(5, (i) => fails(30 * i)),
      complete: false,
      open: true,
    },
    {
      case: 'not all, and just as many as it takes',
      launches: times(3, (i) => fails(30 * i)),
      complete: false,
      open: true,
      canaryIn: 8,
    },
    {
      case: 'not all, but fewer than it takes',
      launches: [fails(0), fails(30)],
      complete: false,
      open: false,
    },
    {
      case: 'not all, but fewer boots and fewer refusals than it takes',
      launches: [fails(0), fails(30, 'shortage'), fails(60, 'shortage')],
      complete: false,
      open: false,
    },
    {
      case: 'not all, but one of them succeeded',
      launches: [succeeds(0), ...times(5, (i) => fails(30 * (i + 1)))],
      complete: false,
      open: false,
    },
  ])(
    'of failures half an hour apart: $case is open: $open',
    ({ launches, complete, open, canaryIn = 30 }) => {
      const state = judgeLaunches(launches, SETTINGS, complete);
      expect(state.open).toBe(open);
      if (state.open) expect(state.canaryAt - state.lastFailureAt).toBe(canaryIn * MINUTE);
    },
  );

  it('stays open when the window is long past, as each canary fails', () => {
    const launches: Launch[] = times(3, (i) => fails(i));
    for (const at of [30, 80, 200, 1_000]) {
      launches.push(fails(at));
      expect(judgeLaunches(launches, SETTINGS)).toMatchObject({ open: true, lastFailureAt: minutes(at) });
    }
  });
});

describe('the canaries', () => {
  /** The minutes that each canary waits, if all of them fail 10 minutes after they began. */
  function waits(first: Launch[], kind: FailureKind, settings = SETTINGS): number[] {
    const launches = [...first];
    return times(6, () => {
      const state = judgeLaunches(launches, settings);
      if (!state.open) throw new Error('The breaker is closed');
      const startsAt = (state.canaryAt - EXECUTION_START) / MINUTE;
      launches.push(fails(startsAt + 10, kind, startsAt));
      return rest(state);
    });
  }

  it.each<{ case: string; first: Launch[]; kind: FailureKind; settings?: typeof SETTINGS }>([
    { case: 'fail to boot', first: times(3, (i) => fails(i)), kind: 'boot' },
    { case: 'are refused', first: times(3, (i) => fails(i, 'refused')), kind: 'refused' },
    {
      case: 'follow on a batch of 10 that failed at once: one failure each, but no canary',
      first: times(10, () => fails(1)),
      kind: 'boot',
    },
    {
      case: 'follow on a batch of 10 that failed one by one',
      first: times(10, (i) => fails(10 + i, 'boot', 0)),
      kind: 'boot',
    },
    {
      case: 'follow on a batch of 10 that EC2 refused within seconds, one after the other',
      first: times(10, (i) => fails(1 + i / 100, 'refused', 0.995 + i / 100)),
      kind: 'refused',
    },
    {
      case: 'follow on a single failure that opened',
      first: [fails(1)],
      kind: 'boot',
      settings: { failures: 1, windowSeconds: 900 },
    },
    {
      case: 'follow on a shortage that has become something worse',
      first: times(3, (i) => fails(i, 'shortage')),
      kind: 'boot',
    },
  ])('that $case launch 2, 4, 8, 16, 30, 30 minutes after the failure before', (example) => {
    expect(waits(example.first, example.kind, example.settings)).toEqual([2, 4, 8, 16, 30, 30]);
  });

  it.each(['shortage', 'addresses', 'throttled'] as const)(
    'launch 2 minutes after each failure of the kind %s, because it passes and they cost nothing',
    (kind) => {
      const first = times(3, (i) => fails(i, kind));
      expect(waits(first, kind)).toEqual([2, 2, 2, 2, 2, 2]);
    },
  );

  it('that fail to boot keep their intervals, also with shortages between them', () => {
    const opened = times(3, (i) => fails(i));
    const shortages = times(3, (i) => fails(20 + 5 * i, 'shortage'));
    expect(rest(judgeLaunches([...opened, ...shortages], SETTINGS))).toBe(2);
    expect(rest(judgeLaunches([...opened, ...shortages, fails(50)], SETTINGS))).toBe(30);
  });

  it('do not include launches that were under way when the breaker opened, however late they fail', () => {
    const late = times(10, (i) => fails(30 + i, 'boot', 2));
    expect(rest(judgeLaunches([...times(3, (i) => fails(i)), ...late], SETTINGS))).toBe(2);
  });

  it.each([
    { case: 'before the failure that opened it', startedAt: 9, rest: 2 },
    { case: 'with the failure that opened it', startedAt: 10, rest: 2 },
    { case: 'a moment after it', startedAt: 10.01, rest: 4 },
  ])('are the launches that began after the breaker had opened: $case', ({ startedAt, rest: becomes }) => {
    const opened = times(3, () => fails(10, 'boot', 0));
    expect(rest(judgeLaunches([...opened, fails(20, 'boot', startedAt)], SETTINGS))).toBe(becomes);
  });

  it.each([
    { case: 'just under', startedAt: 2.99, rest: 2 },
    { case: 'just', startedAt: 3, rest: 4 },
  ])('begin 2 minutes after the launch before, not $case that: $rest', ({ startedAt, rest: becomes }) => {
    const opened = times(3, () => fails(1, 'refused', 1));
    expect(rest(judgeLaunches([...opened, fails(4, 'refused', startedAt)], SETTINGS))).toBe(becomes);
  });

  it('count as one if the group launches 10 at once', () => {
    const again = times(10, () => fails(20.1, 'boot', 10.1));
    expect(rest(judgeLaunches([...times(10, () => fails(10, 'boot', 0)), ...again], SETTINGS))).toBe(4);
  });

  it('are counted from 0 after a success', () => {
    const first = [...times(3, (i) => fails(i)), fails(10, 'boot', 5), fails(30, 'boot', 20)];
    expect(rest(judgeLaunches(first, SETTINGS))).toBe(8);
    const again = [...first, succeeds(40), ...times(3, (i) => fails(50 + i))];
    expect(rest(judgeLaunches(again, SETTINGS))).toBe(2);
  });
});

describe('isTrying', () => {
  it.each([
    { case: 'before the canary is due', at: -1, trying: true },
    { case: 'less than half an hour after it was due', at: 29.99, trying: true },
    { case: 'half an hour after it was due', at: 30, trying: false },
  ])('is $trying $case', ({ at, trying }) => {
    expect(isTrying({ canaryAt: minutes(0) }, minutes(at))).toBe(trying);
  });
});

const kinds = fc.constantFrom<FailureKind>(...FAILURE_KINDS);
const launch = fc
  .record({
    outcome: fc.constantFrom('failed', 'failed', 'failed', 'succeeded', 'underway'),
    startedAt: fc.nat({ max: 120 }),
    took: fc.nat({ max: 15 }),
    kind: kinds,
  })
  .map(({ outcome, startedAt, took, kind }): Launch => {
    if (outcome === 'failed') return fails(startedAt + took, kind, startedAt);
    if (outcome === 'underway') return underway(startedAt);
    return { outcome: 'succeeded', startedAt: minutes(startedAt), endedAt: minutes(startedAt + took) };
  });
const endOf = (launch: Launch) => (launch.outcome === 'underway' ? Number.NaN : launch.endedAt);
const histories = fc.uniqueArray(launch, {
  selector: endOf,
  comparator: 'IsStrictlyEqual',
  maxLength: 25,
});
const settings = fc.record({
  failures: fc.integer({ min: 1, max: 5 }),
  windowSeconds: fc.nat({ max: 3_600 }),
});

describe('the laws of judgeLaunches', () => {
  const law = (
    name: string,
    holds: (history: Launch[], settings: { failures: number; windowSeconds: number }) => void,
  ) => it(name, () => fc.assert(fc.property(histories, settings, holds), { numRuns: 1_000 }));

  const lastEnd = (history: Launch[]) =>
    Math.max(0, ...history.map(endOf).filter((end) => !Number.isNaN(end)));
  const nextMinute = (history: Launch[]) => (lastEnd(history) - EXECUTION_START) / MINUTE + 1;

  law('after a success it is closed, whatever there was', (history, settings) => {
    expect(judgeLaunches([...history, succeeds(nextMinute(history))], settings)).toEqual({ open: false });
  });

  law('a canary that fails never closes it', (history, settings) => {
    const canaryAt = nextMinute(history) + 1;
    for (const kind of FAILURE_KINDS) {
      const more = judgeLaunches([...history, fails(canaryAt + 1, kind, canaryAt)], settings);
      if (judgeLaunches(history, settings).open) expect(more.open).toBe(true);
    }
  });

  law('a canary under way never closes it', (history, settings) => {
    const canary = underway(nextMinute(history) + 1);
    if (judgeLaunches(history, settings).open)
      expect(judgeLaunches([...history, canary], settings).open).toBe(true);
  });

  it('one more refusal never closes it, wherever in the history it was', () => {
    const refusals = fc.constantFrom<FailureKind>('shortage', 'placement', 'refused');
    fc.assert(
      fc.property(histories, settings, fc.nat({ max: 140 }), refusals, (history, settings, at, kind) => {
        // Half a minute off the others, so that it is clear what came first.
        const more = judgeLaunches([...history, fails(at + 0.5, kind)], settings);
        if (judgeLaunches(history, settings).open) expect(more.open).toBe(true);
      }),
      { numRuns: 1_000 },
    );
  });

  law('it opens for no fewer failures than are set', (history, settings) => {
    const state = judgeLaunches(history, settings);
    if (state.open) expect(state.failures).toBeGreaterThanOrEqual(settings.failures);
  });

  law('a longer window never closes it, and more failures to wait for never open it', (history, settings) => {
    const { failures, windowSeconds } = settings;
    const { open } = judgeLaunches(history, settings);
    if (open) expect(judgeLaunches(history, { failures, windowSeconds: windowSeconds + 60 }).open).toBe(true);
    else expect(judgeLaunches(history, { failures: failures + 1, windowSeconds }).open).toBe(false);
  });

  law(
    'the next canary is 2 to 30 minutes after the last failure, and after a shortage 2',
    (history, settings) => {
      const state = judgeLaunches(history, settings);
      if (!state.open) return;
      expect(rest(state)).toBeGreaterThanOrEqual(2);
      expect(rest(state)).toBeLessThanOrEqual(30);
      if (state.kind === 'shortage') expect(rest(state)).toBe(2);
    },
  );

  law(
    'what it tells of the last failure is one that there was, and no boot that failed came after it',
    (history, settings) => {
      const state = judgeLaunches(history, settings);
      if (!state.open) return;
      const boots = history.filter((launch) => launch.outcome === 'failed' && !launch.noInstance);
      expect(state.lastFailureAt).toBeGreaterThanOrEqual(lastEnd(boots));
      const { kind, reason, lastFailureAt: endedAt } = state;
      expect(history).toContainEqual(expect.objectContaining({ outcome: 'failed', kind, reason, endedAt }));
    },
  );

  law('launches under way never open it', (history, settings) => {
    const ended = history.filter(({ outcome }) => outcome !== 'underway');
    if (!judgeLaunches(ended, settings).open) expect(judgeLaunches(history, settings).open).toBe(false);
  });

  it('the order in which the launches are given makes no difference', () => {
    const shuffled = fc
      .uniqueArray(launch, { selector: ({ startedAt }) => startedAt, maxLength: 25 })
      .chain((history) =>
        fc.tuple(
          fc.constant(history),
          fc.shuffledSubarray(history, { minLength: history.length, maxLength: history.length }),
        ),
      );
    fc.assert(
      fc.property(shuffled, settings, ([history, order], settings) => {
        expect(judgeLaunches(order, settings)).toEqual(judgeLaunches(history, settings));
      }),
      { numRuns: 1_000 },
    );
  });

  law('it leaves the launches that it is given as they were', (history, settings) => {
    const given = structuredClone(history);
    judgeLaunches(history, settings);
    expect(history).toEqual(given);
  });
});
