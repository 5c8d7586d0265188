import { describe, expect, it } from 'vitest';
import { type Learned, learnFrom, parseLearned } from '../../functions/lib/learned.ts';

const AT = 1_800_000_000;
const NOW = AT * 1_000;
const SPARES = {
  at: AT - 60,
  readySeconds: 92,
  learnedUntil: AT - 60,
  fadedAt: AT - 60,
  arrivals: [],
  counts: { unclaimed: 0, running: 0 },
  seen: { a12: [1, 2.5], s3: [0] },
};
const LEARNED: Learned = { version: 1, spares: SPARES, peaks: [[20_832, 4]] };
const SEEN = { unclaimed: 2, running: 1 };
const LEARNS = { spareRunners: {} };
const NO_DEMAND = { activities: {} };

describe('learnFrom', () => {
  const poll = { arrivals: [[AT, 1] as const], seen: SEEN };

  it('learns from arrivals and counts', () => {
    const after = learnFrom(LEARNED, { poll, ...NO_DEMAND }, LEARNS, NOW);
    expect(after).toMatchObject({ version: 1, spares: { at: AT, counts: SEEN }, peaks: LEARNED.peaks });
    expect(learnFrom(undefined, { poll, ...NO_DEMAND }, LEARNS, NOW)).toStrictEqual({
      version: 1,
      spares: expect.objectContaining({ at: AT, arrivals: [[AT, 1]] }),
    });
  });

  it.each([
    { case: 'the fleet does not learn', state: { poll, ...NO_DEMAND }, settings: {} },
    {
      case: 'no poll got counts',
      state: { poll: { arrivals: poll.arrivals }, ...NO_DEMAND },
      settings: LEARNS,
    },
    {
      case: 'nothing arrived or ended',
      state: { poll: { seen: SPARES.counts }, ...NO_DEMAND },
      settings: LEARNS,
    },
  ])('is the same, or still nothing, if $case', ({ state, settings }) => {
    expect(learnFrom(LEARNED, state, settings, NOW)).toBe(LEARNED);
    expect(learnFrom(undefined, state, settings, NOW)).toBeUndefined();
  });

  it('keeps the counts if tasks ended, and nothing of a fleet to which none ever came', () => {
    const ended = { poll: { seen: SEEN }, ...NO_DEMAND };
    expect(learnFrom(LEARNED, ended, LEARNS, NOW)).toStrictEqual({
      ...LEARNED,
      spares: { ...SPARES, at: AT, counts: SEEN },
    });
    expect(learnFrom(undefined, ended, LEARNS, NOW)).toBeUndefined();
  });

  it('learns what comes during the stay of a runner', () => {
    const spares = { ...SPARES, at: AT - 1_000, learnedUntil: AT - 1_000, seen: {} };
    const known: Learned = { version: 1, spares };
    const after = learnFrom(known, { poll, ...NO_DEMAND }, { spareRunners: { stays: 700 } }, NOW);
    expect(after?.spares).toMatchObject({ laterUntil: AT - 775, later: { s3: [8, 1] } });
  });

  it("keeps the largest demand of a day for the warm pool's size", () => {
    const demand = (today: number) => ({
      poll: {},
      activities: { launchDemand: { peak: today, today, resting: false } },
    });
    const day = Math.floor(AT / 86_400);
    expect(learnFrom(undefined, demand(3), {}, NOW)).toStrictEqual({ version: 1, peaks: [[day, 3]] });
    const known: Learned = { version: 1, spares: SPARES, peaks: [[day, 4]] };
    expect(learnFrom(known, demand(4), {}, NOW)).toBe(known);
    expect(learnFrom(known, demand(5), {}, NOW)).toStrictEqual({ ...known, peaks: [[day, 5]] });
  });
});

describe('parseLearned', () => {
  const withSeen = (seen: object) => ({ ...LEARNED, spares: { ...SPARES, seen } });

  it.each<{ case: string; value: unknown; read: boolean }>([
    { case: 'all that is learned', value: LEARNED, read: true },
    {
      case: 'what comes during a stay',
      value: { ...LEARNED, spares: { ...SPARES, later: { a1: [1, 2.5] }, laterUntil: AT } },
      read: true,
    },
    {
      case: 'other contexts of it',
      value: { ...LEARNED, spares: { ...SPARES, later: { b1: [1] } } },
      read: false,
    },
    { case: 'a context before its name', value: withSeen({ xa1: [1] }), read: false },
    { case: 'a context behind its name', value: withSeen({ a1x: [1] }), read: false },
    { case: 'a context with three digits', value: withSeen({ a123: [1] }), read: false },
    { case: 'a demand without a day', value: { version: 1, peaks: [[4]] }, read: false },
    { case: 'a demand below 0', value: { version: 1, peaks: [[20_832, -1]] }, read: false },
  ])('reads $case: $read', ({ value, read }) => {
    expect(parseLearned(JSON.stringify(value))).toEqual(read ? value : undefined);
  });
});
