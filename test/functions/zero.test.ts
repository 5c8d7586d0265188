import { describe, expect, it } from 'vitest';
import { doubtOf, isBeyondDoubt, type ZeroCheck } from '../../functions/lib/zero.ts';

const HOUR = 3_600_000;
const NOW = 100 * HOUR;
const NOBODY = { pending: 0, inService: 0, leaving: 0, standby: 0 };
const CALM = { unclaimed: 0, running: 0, members: NOBODY };
const FINE: ZeroCheck = { inventory: 3, fleet: { queued: 0, running: 0 }, unseen: 0, skipped: [] };

describe('counts of 0 are', () => {
  it.each<{
    case: string;
    check: Partial<ZeroCheck>;
    inService?: number;
    lastReadyAt?: number;
    doubt: string | undefined;
  }>([
    { case: 'true if runners and the fleet say so', check: {}, doubt: undefined },
    {
      case: 'true if nothing could be read',
      check: { inventory: undefined, fleet: undefined },
      doubt: undefined,
    },
    {
      case: 'doubtful if the token may not list runners',
      check: { inventory: 'refused' },
      doubt: 'the token may not list the runners of the resource class',
    },
    { case: 'true if two tasks were missed', check: { unseen: 2 }, doubt: undefined },
    {
      case: 'doubtful if three tasks were missed',
      check: { unseen: 3 },
      doubt: '3 runners ran tasks in the last 15 minutes that were never counted',
    },
    {
      case: 'doubtful if the fleet has a queued task',
      check: { fleet: { queued: 1, running: 0 } },
      doubt: "CircleCI's fleet of the class has 1 queued and 0 running tasks",
    },
    {
      case: 'doubtful if the fleet has a running task',
      check: { fleet: { queued: 0, running: 1 } },
      doubt: "CircleCI's fleet of the class has 0 queued and 1 running tasks",
    },
    {
      case: 'doubtful if there is neither a fleet nor a runner',
      check: { inventory: 0, fleet: 'unknown' },
      doubt: 'CircleCI lists neither a fleet nor a runner of the resource class',
    },
    {
      case: 'true if there is a runner and no fleet',
      check: { inventory: 1, fleet: 'unknown' },
      doubt: undefined,
    },
    { case: 'true if there is a fleet without runners', check: { inventory: 0 }, doubt: undefined },
    {
      case: 'true if there is no runner, and no instance was in service for 11 hours',
      check: { inventory: 0, fleet: undefined },
      lastReadyAt: NOW - 11 * HOUR,
      doubt: undefined,
    },
    {
      case: 'doubtful if there is no runner, and an instance came into service since then',
      check: { inventory: 0, fleet: undefined },
      lastReadyAt: NOW - 11 * HOUR + 1,
      doubt: 'CircleCI lists no runner of the resource class, and one came into service in the last 11 hours',
    },
    {
      case: 'doubtful if there is no runner, and an instance is in service',
      check: { inventory: 0, fleet: undefined },
      inService: 1,
      doubt: 'CircleCI lists no runner of the resource class, and 1 instances are in service',
    },
  ])('$case', ({ check, inService = 0, lastReadyAt, doubt }) => {
    const given = { ...FINE, ...check };
    const situation = { ...CALM, members: { ...NOBODY, inService } };
    expect(doubtOf(given, situation, lastReadyAt, NOW)).toBe(doubt);
    // Whatever is doubtful is checked again with the next execution.
    if (doubt !== undefined) expect(isBeyondDoubt(given)).toBe(false);
    // A count above zero proves that the class is known and seen.
    expect(doubtOf(given, { ...situation, unclaimed: 1 }, lastReadyAt, NOW)).toBeUndefined();
    expect(doubtOf(given, { ...situation, running: 1 }, lastReadyAt, NOW)).toBeUndefined();
  });

  it('beyond doubt for an hour only if the class is known and nothing runs', () => {
    expect(isBeyondDoubt(FINE)).toBe(true);
    expect(isBeyondDoubt({ ...FINE, fleet: undefined })).toBe(true);
    expect(isBeyondDoubt({ ...FINE, inventory: undefined, fleet: undefined })).toBe(true);
    expect(isBeyondDoubt({ ...FINE, unseen: 2 })).toBe(true);
    expect(isBeyondDoubt({ ...FINE, fleet: 'unknown' })).toBe(false);
    expect(isBeyondDoubt({ ...FINE, fleet: { queued: 1, running: 1 } })).toBe(false);
  });
});
