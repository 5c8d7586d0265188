import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Agenda } from '../../sandbox/agenda.ts';

describe('the agenda', () => {
  it('lets everything happen in order of time, and at one time in the order it was planned', () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 20 })), (times) => {
        const agenda = new Agenda();
        const happened: { at: number; order: number }[] = [];
        for (const [order, at] of times.entries()) agenda.plan(at, () => happened.push({ at, order }));
        agenda.advance(20);
        expect(happened).toEqual(happened.toSorted((a, b) => a.at - b.at || a.order - b.order));
        expect(happened).toHaveLength(times.length);
      }),
    );
  });

  it('lets happen what is due by then, also what that plans, and nothing later', () => {
    const agenda = new Agenda();
    const happened: number[] = [];
    const again = () => {
      happened.push(agenda.now);
      agenda.plan(agenda.now + 4, again);
    };
    agenda.plan(1, again);
    agenda.advance(10);
    expect(happened).toEqual([1, 5, 9]);
    expect(agenda.now).toBe(10);
    expect(agenda.next).toBe(13);
  });

  it('never goes back in time', () => {
    const agenda = new Agenda(5);
    const happened: number[] = [];
    agenda.plan(2, () => happened.push(agenda.now));
    agenda.advance(3);
    expect(happened).toEqual([5]);
    expect(agenda.now).toBe(5);
  });
});
