import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { addPoll, type PollHistory } from '../../functions/lib/claims.ts';
import {
  formatOutside,
  outsideAfter,
  parseOutside,
  stillOutside,
  type TasksOutside,
} from '../../functions/lib/outside.ts';
import { seenBefore, type Withheld, withheldAfter } from '../../functions/lib/withheld.ts';
import { pollHistory } from '../support/inputs.ts';

describe('tasks outside at the first poll of an execution', () => {
  it.each<{ case: string; before: TasksOutside | undefined; running: number; outside: number }>([
    { case: 'none on record', before: undefined, running: 4, outside: 0 },
    { case: 'as many run', before: { outside: 3, running: 5 }, running: 5, outside: 3 },
    { case: 'one more runs', before: { outside: 3, running: 5 }, running: 6, outside: 3 },
    { case: 'two have ended', before: { outside: 3, running: 5 }, running: 3, outside: 1 },
    { case: 'all but one have ended', before: { outside: 4, running: 4 }, running: 1, outside: 1 },
    { case: 'more have ended than were outside', before: { outside: 3, running: 9 }, running: 5, outside: 0 },
    { case: 'somebody wrote more than run', before: { outside: 9, running: 4 }, running: 4, outside: 4 },
    { case: 'somebody wrote more than ran', before: { outside: 9, running: 4 }, running: 20, outside: 4 },
  ])('$case: $outside', ({ before, running, outside }) => {
    expect(stillOutside(before, running)).toBe(outside);
  });
});

const TWO: TasksOutside = { outside: 2, running: 4 };

describe('the record of tasks outside', () => {
  it.each<{
    case: string;
    before?: TasksOutside;
    seen: Partial<PollHistory>;
    polls?: number;
    spare?: number;
    outside: number | undefined;
  }>([
    { case: 'begins with a surplus at every poll', seen: { surplus: 2 }, outside: 2 },
    { case: 'needs two polls to begin', seen: { surplus: 2 }, polls: 1, outside: undefined },
    {
      case: 'is none of a fleet without idle runners',
      seen: { surplus: 2, outside: 2 },
      spare: 0,
      outside: undefined,
    },
    {
      case: 'has no task that was claimed meanwhile, perhaps by a member that comes into service',
      seen: { surplus: 2, claimed: 1 },
      outside: 1,
    },
    { case: 'does not begin with such tasks', seen: { surplus: 2, claimed: 3 }, outside: undefined },
    { case: 'does not begin with what another record says', seen: { outside: 2 }, outside: undefined },
    {
      case: 'does not rise to what another record says',
      before: { outside: 1, running: 4 },
      seen: { outside: 2 },
      outside: 1,
    },
    { case: 'is none if there are none', seen: {}, outside: undefined },
    { case: 'stays', before: TWO, seen: { outside: 2 }, outside: 2 },
    { case: 'stays after claims', before: TWO, seen: { outside: 2, claimed: 4 }, outside: 2 },
    { case: 'stays after one poll', before: TWO, seen: { outside: 2 }, polls: 1, outside: 2 },
    {
      case: 'does not rise after one poll',
      before: TWO,
      seen: { outside: 2, surplus: 3 },
      polls: 1,
      outside: 2,
    },
    { case: 'rises to the surplus', before: TWO, seen: { outside: 2, surplus: 3 }, outside: 3 },
    { case: 'does not fall to it', before: TWO, seen: { outside: 2, surplus: 1 }, outside: 2 },
  ])('$case', ({ before, seen, polls = 2, spare = 1, outside }) => {
    const inService = 4 - (seen.surplus ?? 0);
    const history = pollHistory({ unclaimed: 0, running: 4, inService, ...seen });
    const record = outside === undefined ? undefined : { outside, running: 4 };
    expect(outsideAfter(before, history, spare, polls)).toEqual(record);
  });

  it('is read as it was written', () => {
    const count = fc.nat(999_999);
    fc.assert(
      fc.property(fc.record({ outside: count, running: count }), (record) => {
        expect(parseOutside(formatOutside(record))).toEqual(record);
      }),
    );
  });

  it.each(['', '3', '3 3 3', '-1 3', '3 x', '1234567 3', ' 3 3', '3 3 '])(
    'is none if it says "%s"',
    (tag) => {
      expect(parseOutside(tag)).toBeUndefined();
    },
  );
});

/** What happens between two polls: tasks are claimed by members or by others, or end on them. */
const step = fc.record({
  kind: fc.constantFrom('claimed', 'claimed elsewhere', 'ended', 'ended elsewhere', 'nothing'),
  count: fc.nat({ max: 3 }),
  comes: fc.nat({ max: 2 }),
  leaves: fc.nat({ max: 2 }),
});

it('are never more than there are, as long as no claim hides an end between two polls', () => {
  const executions = fc.array(fc.array(step, { minLength: 2, maxLength: 6 }), { maxLength: 8 });
  fc.assert(
    fc.property(executions, fc.nat({ max: 5 }), (played, others) => {
      let [busy, outside, idle] = [0, others, 1];
      let record: TasksOutside | undefined;
      for (const polls of played) {
        let seen: PollHistory | undefined;
        for (const { kind, count, comes, leaves } of polls) {
          const claims = kind === 'claimed' ? Math.min(count, idle) : 0;
          const ends = kind === 'ended' ? Math.min(count, busy) : 0;
          busy += claims - ends;
          idle += ends - claims;
          if (kind === 'claimed elsewhere') outside += count;
          if (kind === 'ended elsewhere') outside -= Math.min(count, outside);
          idle = Math.max(idle - leaves, 0) + comes;
          const running = busy + outside;
          const known = stillOutside(record, running);
          seen = addPoll(seen, { unclaimed: 0, running, inService: busy + idle, outside: known }).seen;
          expect(seen.outside ?? 0).toBeLessThanOrEqual(outside);
        }
        if (seen === undefined) continue;
        record = outsideAfter(record, seen, 1, polls.length);
        expect(record?.outside ?? 0).toBeLessThanOrEqual(outside);
      }
    }),
  );
});

it('are none while a healthy fleet grows, although members are in service only some seconds after they claim', () => {
  const growth = fc.record({
    gaps: fc.array(fc.nat({ max: 30 }), { minLength: 1, maxLength: 40 }),
    spare: fc.integer({ min: 1, max: 4 }),
    boot: fc.constantFrom(20, 35, 90),
    late: fc.integer({ min: 0, max: 20 }),
    interval: fc.constantFrom(5, 10, 15, 20, 25, 30, 45, 60),
  });
  fc.assert(
    fc.property(growth, ({ gaps, spare, boot, late, interval }) => {
      // Long tasks: none ends. An instance launches as each is queued, and others were launched to be idle.
      const queuedAt = gaps.map((_, number) => gaps.slice(0, number + 1).reduce((sum, gap) => sum + gap, 0));
      const readyAt = [...Array.from({ length: spare }, () => 0), ...queuedAt.map((at) => at + boot)];
      const claimedAt = queuedAt.map((at, number) => Math.max(at, readyAt[number] ?? 0));
      const upTo = (times: number[], now: number) => times.filter((at) => at <= now).length;
      let record: TasksOutside | undefined;
      let withheld: Withheld | undefined;
      for (let start = 0; start < 900; start += 60) {
        const came = upTo(readyAt, start - late) - upTo(readyAt, start - late - 60);
        let seen: PollHistory | undefined = seenBefore(withheld);
        let polls = 0;
        let inService = 0;
        for (let now = start; now < start + 60; now += interval) {
          const running = upTo(claimedAt, now);
          inService = upTo(readyAt, now - late);
          const counts = { unclaimed: upTo(queuedAt, now) - running, running, inService };
          seen = addPoll(seen, { ...counts, outside: stillOutside(record, running) }).seen;
          polls += 1;
        }
        if (seen === undefined) throw new Error('no poll');
        const execution = { present: inService, came, moreCame: false, polls };
        withheld = withheldAfter(withheld, seen, execution, 3, start * 1_000 + 60_000);
        record = outsideAfter(record, seen, spare, polls);
        expect(record).toBeUndefined();
        if (polls > 1) expect(withheld?.outside ?? 0).toBe(0);
      }
    }),
  );
});
