import { describe, expect, it } from 'vitest';
import { Sandbox, type SandboxFleet } from '../../sandbox/sandbox.ts';
import { summarise } from '../../sandbox/summary.ts';
import type { Job } from '../../sandbox/trace.ts';

const HOUR = 3_600;

async function run(fleet: Partial<SandboxFleet>, jobs: Job[], passOverIdleHours: boolean) {
  const sandbox = await Sandbox.open({ keepExecutions: 1, keepMetrics: false, passOverIdleHours });
  const events: string[] = [];
  sandbox.watch = ({ at, subject, kind }) => events.push(`${at} ${subject} ${kind}`);
  const world = sandbox.addFleet(
    {
      name: 'linux',
      resourceClass: 'acme/linux',
      minReplicas: 0,
      maxReplicas: 5,
      pollIntervalSeconds: 5,
      quietPollIntervalSeconds: 60,
      ...fleet,
    },
    jobs,
  );
  await sandbox.drain(jobs.length);
  return { events, summary: summarise(world), started: world.started, hours: sandbox.hoursPassedOver };
}

/** The interval is the longest one from the beginning. */
const QUICK = { pollIntervalSeconds: 30, quietPollIntervalSeconds: 30 };

const jobs = (...queuedAt: number[]) => queuedAt.map((at) => ({ queuedAt: at, durationSeconds: 60 }));

describe('hours that are passed over change nothing:', () => {
  it.each<{ case: string; fleet: Partial<SandboxFleet>; at: number[]; hours: number }>([
    { case: 'between two jobs', fleet: { pollIntervalSeconds: 20 }, at: [10, 6.7 * HOUR], hours: 2 },
    {
      case: 'with a short interval',
      fleet: QUICK,
      at: [10, 2.3 * HOUR + 4.4, 2.3 * HOUR + 8],
      hours: 1,
    },
    {
      case: 'with a warm pool that is sized by its launches',
      fleet: { warmPoolSize: 'auto', ...QUICK },
      at: [10, 20, 30, 3 * HOUR],
      hours: 1,
    },
    {
      case: 'around a schedule that keeps an instance',
      fleet: {
        ...QUICK,
        schedules: [{ start: '30 10 * * *', end: '40 10 * * *', timezone: 'UTC', minReplicas: 1 }],
      },
      at: [10, 5 * HOUR],
      hours: 2,
    },
  ])('$case', async ({ fleet, at, hours }) => {
    const [fast, slow] = [await run(fleet, jobs(...at), true), await run(fleet, jobs(...at), false)];
    expect(fast).toEqual({ ...slow, hours });
  });

  it('none while an instance is kept', async () => {
    expect(await run({ minReplicas: 1, ...QUICK }, jobs(10, 2.3 * HOUR), true)).toMatchObject({
      hours: 0,
    });
  });

  it('none after a launch that failed', async () => {
    let refused = false;
    const launchFault = () => {
      const first = !refused;
      refused = true;
      return first ? 'refused' : undefined;
    };
    expect(await run({ launchFault, ...QUICK }, jobs(10, 2.3 * HOUR), true)).toMatchObject({ hours: 0 });
  });

  it('a month of them takes no longer than a few hours', async () => {
    const { summary, hours } = await run({}, jobs(0, 30 * 24 * HOUR), true);
    expect(hours).toBe(715);
    expect(summary.executions).toEqual({ succeeded: 43_203, failed: 0 });
  });
});
