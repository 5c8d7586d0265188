import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { brokenLaw, type Decision } from '../../functions/lib/capacity.ts';
import {
  FALLBACK_SECONDS,
  isSpotUnavailable,
  type Purchase,
  withFallback,
} from '../../functions/lib/spot.ts';

const NOW = Date.parse('2026-01-05T08:00:00Z');
const ago = (seconds: number) => NOW - seconds * 1_000;

const HELD: Decision = { from: 2, desired: 2, change: false, reasons: ['because'] };
const SPOT: Purchase = { onDemandPercentage: 30, byFallback: false };
const FALLEN_BACK: Purchase = { onDemandPercentage: 100, byFallback: true };
const BY_HAND: Purchase = { onDemandPercentage: 100, byFallback: false };

interface Case {
  case: string;
  configured?: number;
  purchase: Purchase | undefined;
  shortage?: number;
  becomes?: number;
  because?: string;
}

describe('withFallback', () => {
  it.each<Case>([
    { case: 'a group that finds Spot capacity stays as it is', purchase: SPOT },
    {
      case: 'a shortage of Spot capacity makes it On-Demand alone',
      purchase: SPOT,
      shortage: 10,
      becomes: 100,
      because: 'On-Demand alone until 2026-01-05T08:14:50.000Z: EC2 lacks Spot capacity',
    },
    { case: 'it stays so while the shortage is recent', purchase: FALLEN_BACK, shortage: 899 },
    {
      case: 'after 15 minutes it is as configured again',
      purchase: FALLEN_BACK,
      shortage: FALLBACK_SECONDS,
      becomes: 30,
      because: '70 % Spot again: 15 minutes have passed without a shortage of it',
    },
    { case: 'so it is if the shortage is on no record any more', purchase: FALLEN_BACK, becomes: 30 },
    {
      case: 'a deployment that set it back meanwhile is followed by the fallback',
      purchase: { onDemandPercentage: 30, byFallback: true },
      shortage: 10,
      becomes: 100,
    },
    {
      case: 'the record is deleted after a deployment, too',
      purchase: { onDemandPercentage: 30, byFallback: true },
      shortage: 1_000,
      becomes: 30,
    },
    { case: 'what a person has set stays so', purchase: BY_HAND },
    { case: 'what a person has set stays so in a shortage', purchase: BY_HAND, shortage: 10 },
    {
      case: 'a fleet without Spot capacity has no fallback',
      configured: 100,
      purchase: BY_HAND,
      shortage: 10,
    },
    {
      case: 'a fleet that has given up Spot capacity has none, before its group is updated',
      configured: 100,
      purchase: SPOT,
      shortage: 10,
    },
    {
      case: 'such a fleet leaves what the fallback had set to its deployment',
      configured: 100,
      purchase: FALLEN_BACK,
    },
    { case: 'a group without a policy has none', purchase: undefined, shortage: 10 },
  ])('$case', ({ configured = 30, purchase, shortage, becomes, because }) => {
    const at = shortage === undefined ? undefined : ago(shortage);
    const decision = withFallback(HELD, configured, purchase, at, NOW);
    expect(decision.onDemandPercentage).toBe(becomes);
    expect(decision.change).toBe(becomes !== undefined);
    if (because !== undefined) expect(decision.reasons).toEqual(['because', because]);
    if (becomes === undefined) expect(decision).toBe(HELD);
  });

  it('breaks no law, leaves the capacity alone, and comes to rest at once', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 100 }),
        fc.record({ onDemandPercentage: fc.integer({ min: 0, max: 100 }), byFallback: fc.boolean() }),
        fc.option(fc.integer({ min: 0, max: 2_000 }), { nil: undefined }),
        (configured, purchase, shortage) => {
          const at = shortage === undefined ? undefined : ago(shortage);
          const decision = withFallback(HELD, configured, purchase, at, NOW);
          const members = { pending: 0, inService: 2, leaving: 0, standby: 0 };
          expect(brokenLaw(decision, { members, maxReplicas: 5 })).toBeUndefined();
          expect(decision.desired).toBe(HELD.desired);
          const { onDemandPercentage } = decision;
          if (onDemandPercentage === undefined) return;
          expect([configured, 100]).toContain(onDemandPercentage);
          const written = { onDemandPercentage, byFallback: onDemandPercentage === 100 };
          expect(withFallback(HELD, configured, written, at, NOW)).toBe(HELD);
        },
      ),
    );
  });
});

describe('isSpotUnavailable', () => {
  const succeeded = (seconds: number) => ({ startedAt: ago(seconds), outcome: 'succeeded' });
  it.each([
    { case: 'without a shortage', shortage: undefined, launches: [], unavailable: false },
    { case: 'right after a shortage', shortage: 0, launches: [succeeded(5)], unavailable: true },
    {
      case: 'while On-Demand instances launch',
      shortage: FALLBACK_SECONDS - 0.001,
      launches: [succeeded(300)],
      unavailable: true,
    },
    {
      case: 'after the fallback, if only it has launched',
      shortage: 1_000,
      launches: [succeeded(101)],
      unavailable: true,
    },
    {
      case: 'after the fallback, if a launch was refused',
      shortage: 1_000,
      launches: [{ startedAt: ago(50), outcome: 'failed' }],
      unavailable: true,
    },
    {
      case: 'after the fallback, while EC2 has given no instance yet',
      shortage: 1_000,
      launches: [{ startedAt: ago(50), outcome: 'underway', noInstance: true }],
      unavailable: true,
    },
    {
      case: 'after the fallback, once an instance launches',
      shortage: 1_000,
      launches: [{ startedAt: ago(100), outcome: 'underway' }],
      unavailable: false,
    },
    { case: 'until an hour later', shortage: 3_599.999, launches: [], unavailable: true },
    { case: 'an hour later, if nothing has launched', shortage: 3_600, launches: [], unavailable: false },
  ])('is $unavailable $case', ({ shortage, launches, unavailable }) => {
    const at = shortage === undefined ? undefined : ago(shortage);
    expect(isSpotUnavailable(at, launches, NOW)).toBe(unavailable);
  });
});
