import { describe, expect, it } from 'vitest';
import { keptRunners } from '../../functions/lib/kept-runners.ts';

const learned = (spare: number) => ({ spare, why: 'it pays' });

describe('keptRunners', () => {
  it.each<{ case: string; given: Partial<Parameters<typeof keptRunners>[0]>; spare: number; kept: string }>([
    { case: 'nothing is configured', given: { running: 3 }, spare: 0, kept: 'minReplicas' },
    { case: 'minReplicas alone', given: { minReplicas: 2 }, spare: 2, kept: 'minReplicas' },
    { case: 'headroom, while a task runs', given: { running: 1, headroom: 2 }, spare: 2, kept: 'headroom' },
    {
      case: 'headroom, while a task waits',
      given: { unclaimed: 1, headroom: 2 },
      spare: 2,
      kept: 'headroom',
    },
    { case: 'headroom without a task', given: { headroom: 2 }, spare: 0, kept: 'minReplicas' },
    {
      case: 'a share of the waiting and running tasks, rounded up',
      given: { unclaimed: 2, running: 3, headroom: '25%' },
      spare: 2,
      kept: 'headroom 25%',
    },
    {
      case: 'as much headroom as minReplicas',
      given: { running: 1, headroom: 2, minReplicas: 2 },
      spare: 2,
      kept: 'minReplicas',
    },
    {
      case: 'more headroom than minReplicas',
      given: { running: 1, headroom: 3, minReplicas: 2 },
      spare: 3,
      kept: 'headroom',
    },
    {
      case: 'what is learned, without a task',
      given: { spares: learned(1) },
      spare: 1,
      kept: 'spareRunners: it pays',
    },
    {
      case: 'as much headroom as is learned',
      given: { running: 1, headroom: 2, spares: learned(2) },
      spare: 2,
      kept: 'headroom',
    },
    {
      case: 'more learned than headroom',
      given: { running: 1, headroom: 2, spares: learned(3) },
      spare: 3,
      kept: 'spareRunners: it pays',
    },
    {
      case: "no more than the plan's concurrency leaves",
      given: { unclaimed: 1, running: 2, headroom: 9, concurrency: 5 },
      spare: 2,
      kept: 'headroom',
    },
    {
      case: "nothing ahead if the plan's concurrency is exceeded",
      given: { running: 7, headroom: 9, minReplicas: 1, concurrency: 5 },
      spare: 1,
      kept: 'minReplicas',
    },
  ])('keeps for $case: $spare', ({ given, spare, kept }) => {
    expect(keptRunners({ unclaimed: 0, running: 0, minReplicas: 0, ...given })).toEqual({ spare, kept });
  });
});
