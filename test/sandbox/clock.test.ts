import { beforeEach, describe, expect, it } from 'vitest';
import { VirtualClock } from '../../sandbox/clock.ts';

const START = new Date('2026-01-05T08:00:00Z');

let clock: VirtualClock;

beforeEach(() => {
  clock = new VirtualClock(START);
});

const sleep = (seconds: number) => clock.sleep(seconds);

describe('the virtual clock', () => {
  it('shows the time it was started with', () => {
    expect(clock.now()).toBe(START.getTime());
  });

  it('lets a day pass in less than 10 s', async () => {
    const before = performance.now();
    await clock.run(sleep(86_400));
    expect(clock.now() - START.getTime()).toBe(86_400_000);
    expect(performance.now() - before).toBeLessThan(10_000);
  });

  it('stands still while anything can still run', async () => {
    const turns = async () => {
      for (let turn = 0; turn < 1_000; turn += 1) await undefined;
      return clock.now();
    };
    const [now] = await clock.run(Promise.all([turns(), sleep(60)]));
    expect(now).toBe(START.getTime());
  });

  it('wakes sleepers in order of time', async () => {
    const woken: number[] = [];
    const sleeper = async (seconds: number) => {
      await sleep(seconds);
      woken.push((clock.now() - START.getTime()) / 1_000);
    };
    await clock.run(Promise.all([30, 5, 12].map(sleeper)));
    expect(woken).toEqual([5, 12, 30]);
  });

  it('aborts deadlines when their time has come', async () => {
    const deadline = clock.timeout(7_750);
    await clock.run(sleep(7.7));
    expect(deadline.aborted).toBe(false);
    await clock.run(sleep(0.1));
    expect(deadline.aborted).toBe(true);
    expect(deadline.reason).toMatchObject({ name: 'TimeoutError' });
  });

  it('returns the result of the work, or throws its error', async () => {
    expect(await clock.run(sleep(1).then(() => 'done'))).toBe('done');
    const failing = sleep(1).then(() => {
      throw new RangeError('lost');
    });
    await expect(clock.run(failing)).rejects.toThrow(RangeError);
  });

  it('throws when no timer is left', async () => {
    await expect(clock.run(new Promise(() => {}))).rejects.toThrow('no timer left to wait for');
  });

  it('leaves the clock of the process alone', async () => {
    const before = Date.now();
    await clock.run(sleep(86_400));
    expect(Date.now() - before).toBeLessThan(10_000);
  });

  it('does not call a timer that was cleared', async () => {
    const called: string[] = [];
    const timer = clock.setTimeout(() => called.push('cleared'), 1_000);
    clock.setTimeout(() => called.push('kept'), 2_000);
    clock.clearTimeout(timer);
    await clock.run(sleep(3));
    expect(called).toEqual(['kept']);
  });

  it('wakes code that waits for a deadline, and skips deadlines without listeners', async () => {
    const awaited = clock.timeout(5_000);
    clock.timeout(4_000);
    const abortedAt = new Promise((resolve) => {
      awaited.addEventListener('abort', () => resolve(clock.now() - START.getTime()));
    });
    expect(await clock.run(abortedAt)).toBe(5_000);
  });
});
