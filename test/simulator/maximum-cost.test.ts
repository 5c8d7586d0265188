import { describe, expect, it } from 'vitest';
import { policyOf } from '../../simulator/peers.ts';
import { replay } from '../../simulator/replay.ts';
import { WORLD } from '../../simulator/world.ts';
import { jobs, LINUX, openSandbox } from '../support/sandbox.ts';
import { ours } from './choices.ts';

const AFFORDABLE = 4;
const BURST = Array.from({ length: 12 }, () => ({ queuedAt: 0, durationSeconds: 600 }));

describe('maxHourlyCost', () => {
  it('bounds launches in the workflow, with its reason and its metric', async () => {
    const sandbox = await openSandbox();
    const world = sandbox.addFleet({ ...LINUX, affordable: AFFORDABLE }, jobs(12));
    let largest = 0;
    sandbox.watch = () => {
      largest = Math.max(largest, world.group.size);
    };
    await sandbox.runUntil(600);
    expect(largest).toBe(AFFORDABLE);
    expect(world.group.desired).toBe(AFFORDABLE);
    const names = sandbox.workflow.metrics.map(({ name }) => name);
    expect(names).toContain('AtMaxHourlyCost');
    expect(names).not.toContain('AtMaximum');
    expect(names).not.toContain('MaximumSizeTooSmall');
    expect(JSON.stringify(world.executions)).toContain('capped at what maxHourlyCost allows (4)');
  });

  it('bounds launches in the replay in the same way', () => {
    const members = (settings: Parameters<typeof ours>[0]) =>
      replay(BURST, policyOf(ours(settings)), WORLD).startedAt.filter((at) => at < 600).length;
    expect(members({ maxReplicas: 20, affordable: AFFORDABLE })).toBe(AFFORDABLE);
    expect(members({ maxReplicas: 20 })).toBe(12);
  });
});
