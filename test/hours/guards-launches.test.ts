import { describe, expect, it } from 'vitest';
import { DURATIONS } from '../../sandbox/group/durations.ts';
import type { LaunchFault } from '../../sandbox/group/faults.ts';
import { visits } from '../support/sandbox.ts';
import { type Fault, longestGap, play, type Scenario } from '../support/scenario.ts';

const { request, boot, launchHook } = DURATIONS;
const MINUTE = 60;
const READY = request + boot;

describe('launches that fail for hours', () => {
  const QUEUED = 4;
  const LASTS = 300;
  const HOURS = 2.5;
  const BOOT_FAILS = request + boot / 3;

  const failing = (how: LaunchFault, changes: Partial<Scenario> = {}): Scenario => ({
    minReplicas: 0,
    maxReplicas: QUEUED,
    pollIntervalSeconds: 60,
    breaker: { failures: 3, windowSeconds: 900 },
    jobs: Array(QUEUED).fill({ queuedAt: 0, durationSeconds: LASTS }),
    faults: [{ kind: 'launches', how, from: 0, to: HOURS * 60 * MINUTE }],
    ...changes,
  });
  const suffer = (scenario: Scenario, hours = HOURS) => play(scenario, hours * 60 * MINUTE - 1, false);

  /** When the canaries launch: at the first poll that is due 2, 4, 8, 16, 30, 30 ... minutes after the last failure. */
  function canaries(every: number, lastFailure: number, until: number): number[] {
    const at: number[] = [];
    for (let rest = 2; ; rest = Math.min(2 * rest, 30)) {
      const due = lastFailure + rest * MINUTE;
      const intoMinute = Math.ceil((due % MINUTE) / every) * every;
      const poll = due - (due % MINUTE) + (intoMinute > 50 ? MINUTE : intoMinute);
      if (poll >= until) return at;
      at.push(poll);
      lastFailure = poll + BOOT_FAILS;
    }
  }

  it.each([60, 30])('launch one canary at a time, polled every %i s, later and later', async (every) => {
    const { broken, launchedAt } = await suffer(failing('failing', { pollIntervalSeconds: every }));
    expect(broken).toEqual([]);
    expect(launchedAt).toEqual([
      ...Array(QUEUED).fill(0),
      ...canaries(every, BOOT_FAILS, HOURS * 60 * MINUTE),
    ]);
  });

  it.each([20, 5])('launch one canary at a time, polled every %i s, later and later', async (every) => {
    const { launchedAt } = await suffer(failing('failing', { pollIntervalSeconds: every }));
    // The breaker is read once a minute.
    const again = Math.ceil(BOOT_FAILS / every) * every;
    expect(launchedAt).toEqual([
      ...Array(QUEUED).fill(0),
      ...Array(QUEUED).fill(again),
      ...canaries(every, again + BOOT_FAILS, HOURS * 60 * MINUTE),
    ]);
  });

  it('cost nothing and ask for one instance, if EC2 refuses them', async () => {
    const { broken, world, launchedAt, endings } = await suffer(failing('refused'), 1);
    expect(broken).toEqual([]);
    expect(launchedAt).toEqual([]);
    // The group itself tries once a minute; its third try opens the breaker, and the next execution knows.
    const asked = world.executions.flatMap((execution) =>
      visits(execution, 'Update Group').map(({ answer }) => (answer as { desired: number }).desired),
    );
    expect(asked[0]).toBe(QUEUED);
    expect(asked.length).toBeGreaterThan(10);
    expect(Math.max(...asked.slice(1))).toBe(1);
    expect(endings.length).toBeLessThanOrEqual(60);
  });

  it('are not all made again by the group, if the instances are dead', async () => {
    const lasts = request + launchHook;
    const { launchedAt } = await suffer(failing('dead'), 2);
    // What the group had launched again before the workflow could know, and then one after the other.
    const later = launchedAt.filter((at) => at > lasts + MINUTE);
    expect(later.length).toBeLessThanOrEqual((2 * 60 * MINUTE) / lasts);
  });

  it('open a breaker of however many failures', async () => {
    const scenario = failing('failing', {
      pollIntervalSeconds: 20,
      maxReplicas: 8,
      jobs: Array(8).fill({ queuedAt: 0, durationSeconds: LASTS }),
      breaker: { failures: 60, windowSeconds: 3_600 },
    });
    const { broken, launchedAt } = await suffer(scenario, 0.4);
    expect(broken).toEqual([]);
    expect(launchedAt.length).toBeLessThanOrEqual(60 + 3 * 8);
  });

  const shortly = async (every: number) => {
    const faults: Fault[] = [{ kind: 'launches', how: 'failing', from: 0, to: MINUTE }];
    const scenario = failing('failing', { pollIntervalSeconds: every, faults });
    const { drainedAt, endings } = await play(scenario, 60 * MINUTE);
    const lastFailure = endings.findLast(({ succeeded }) => !succeeded)?.endedAt ?? 0;
    const [canary = 0] = canaries(every, lastFailure, 60 * MINUTE);
    expect(drainedAt).toBeLessThanOrEqual(canary + READY + MINUTE + longestGap(scenario) + READY + LASTS);
  };
  it.each([60, 30, 20, 5])(
    'hold the queue for the first rest if they failed but once, polled every %i s',
    shortly,
  );
});
