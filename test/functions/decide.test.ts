import { describe, expect, it } from 'vitest';
import type { Activities, Group } from '../../functions/lib/contracts.ts';
import { decide } from '../../functions/lib/decision.ts';

describe('decide', () => {
  const NOW = Date.parse('2026-01-05T08:00:00Z');
  const IDLE: Activities = { lastAt: null, failedLaunches: 0, cameInService: 0, breaker: { open: false } };
  const GROUP: Group = {
    desired: 2,
    members: { pending: 0, inService: 2, leaving: 0, standby: 0 },
    launchProcess: { suspended: false, byBreaker: false },
    paused: 'false',
  };
  const decided = (group: Partial<Group>, activities: Partial<Activities> = {}, unclaimed = 0) =>
    decide(
      { ...IDLE, ...activities },
      { counts: { unclaimed, running: 2 }, group: { ...GROUP, ...group } },
      { capacity: { minReplicas: 0, maxReplicas: 10 }, onDemandPercentage: 30 },
      NOW,
    ).decision;

  it.each<{ case: string; paused: Group['paused']; becomes: number | undefined }>([
    { case: 'returns to Spot after a shortage', paused: 'false', becomes: 30 },
    { case: 'returns to Spot while the fleet drains', paused: 'drain', becomes: 30 },
    { case: 'changes no purchase of a paused fleet', paused: 'true', becomes: undefined },
  ])('$case', ({ paused, becomes }) => {
    const purchase = { onDemandPercentage: 100, byFallback: true };
    expect(decided({ paused, purchase }).onDemandPercentage).toBe(becomes);
  });

  it.each<{
    case: string;
    activities: Partial<Activities>;
    paused?: Group['paused'];
    unclaimed?: number;
    size?: number;
  }>([
    {
      case: 'shrinks while nothing launches',
      activities: { launchDemand: { peak: 3, today: 0, resting: true } },
      size: 3,
    },
    {
      case: 'does not shrink with a rise',
      activities: { launchDemand: { peak: 3, today: 0, resting: true } },
      unclaimed: 1,
    },
    {
      case: 'grows with a rise',
      activities: { launchDemand: { peak: 8, today: 0, resting: true } },
      unclaimed: 1,
      size: 8,
    },
    {
      case: 'holds at most maxReplicas',
      activities: { launchDemand: { peak: 40, today: 0, resting: true } },
      size: 10,
    },
    { case: 'is left to its owner', activities: {} },
    {
      case: 'is left while the fleet is paused',
      activities: { launchDemand: { peak: 8, today: 0, resting: true } },
      paused: 'true',
    },
    {
      case: 'is left while the fleet drains',
      activities: { launchDemand: { peak: 8, today: 0, resting: true } },
      paused: 'drain',
    },
  ])('the warm pool $case', ({ activities, paused = 'false', unclaimed, size }) => {
    const warmPool = { size: 5, state: 'Stopped' } as const;
    const { warmPoolSize, reasons } = decided({ paused, warmPool }, activities, unclaimed);
    expect(warmPoolSize).toBe(size);
    expect(reasons.filter((reason) => reason.startsWith('the warm pool'))).toHaveLength(
      size === undefined ? 0 : 1,
    );
  });

  it('sizes no warm pool of a group without one', () => {
    const activities = { launchDemand: { peak: 8, today: 0, resting: true } };
    const decision = decided({}, activities);
    expect(decision.change).toBe(false);
    expect(decision.warmPoolSize).toBeUndefined();
  });
});
