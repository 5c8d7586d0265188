/**
 * How long boots took, part by part, by the lines that instances write to their consoles (userdata/boot.sh, watch.sh). Metrics
 * of a log would do as well, but few fleets have the log, and a job with sudo could write there at any time. Here it can
 * only write lines that come too late: the first ones count, and the workflow knows the parts.
 */

import type { SeenInstance } from './fleet-seen.ts';

/** The parts of a boot, in order. `Resume` is the whole start of an instance of a warm pool. */
export const BOOT_PHASES = [
  'Launched',
  'Network',
  'UserData',
  'Install',
  'RunnerUp',
  'FirstClaim',
  'Resume',
] as const;
export type BootPhase = (typeof BOOT_PHASES)[number];

/** The parts from the launch of an instance until its runner is up. */
export const UNTIL_RUNNER = ['Launched', 'Network', 'UserData', 'Install', 'RunnerUp'] as const;

/** Seconds by part. */
export type BootSeconds = Partial<Record<BootPhase, number>>;

/**
 * Whether the instance was in a warm pool; the second in which systemd started; hundredths of a second until the user data, until
 * the boot unit, until everything was installed, and until the runner had started. `tell_times` in userdata/boot.sh.
 */
const TIMES = /boot: times: (true|false) (\d{10}) (\d+) (\d+) (\d+) (\d+)/g;
/** Seconds from the start of the runner to its first task. */
const CLAIM = /watch: claim: (\d+)/;

/** No part of a boot takes longer; see the limit of `bootTimeout`. */
const LONGEST_SECONDS = 7_200;

/**
 * Reads the times of a boot from the console output of an instance.
 *
 * @param launchedAt When EC2 started the instance the last time, in milliseconds. The output may have earlier boots.
 * @returns `undefined` if the output has no boot since then.
 */
export function bootOn(console: string, launchedAt: number): BootSeconds | undefined {
  for (const match of console.matchAll(TIMES)) {
    const [, resumed, since, ...hundredths] = match;
    // EC2 says the second, and so does the instance.
    const launched = Math.max(Number(since) - launchedAt / 1_000, 0);
    if (Number(since) < launchedAt / 1_000 - 2) continue;
    const [Network = 0, UserData = 0, Install = 0, RunnerUp = 0] = hundredths.map(
      (given) => Number(given) / 100,
    );
    const parts = { Launched: launched, Network, UserData, Install, RunnerUp };
    if (Object.values(parts).some((seconds) => seconds > LONGEST_SECONDS)) return undefined;
    const claim = CLAIM.exec(console.slice(match.index))?.[1];
    const whole = Object.values(parts).reduce((sum, seconds) => sum + seconds, 0);
    return {
      ...(resumed === 'true' ? { Resume: Math.round(whole * 1_000) / 1_000 } : parts),
      ...(claim !== undefined && { FirstClaim: Math.min(Number(claim), LONGEST_SECONDS) }),
    };
  }
  return undefined;
}

/**
 * Each instance is looked at once, by the one execution of every 10 minutes that finds it this old, in milliseconds. By then it
 * has booted and has taken its first task, or takes none soon. EC2 keeps the output for an hour after it has terminated:
 * https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/troubleshoot-unreachable-instance.html
 */
const LOOKED_AT = { from: 15 * 60_000, to: 25 * 60_000 };

/**
 * Boots are published in one hour of three: CloudWatch bills a metric for each hour in which it is published, and boots change
 * slowly.
 *
 * @param now Milliseconds since the epoch.
 */
export const areBootsPublished = (now: number): boolean =>
  new Date(now).getUTCHours() % HOURS_BETWEEN_BOOTS === 0;
export const HOURS_BETWEEN_BOOTS = 3;

/** EC2 throttles the call, and a sample of ten says as much. */
const MOST = 10;

/** The instances whose boots an execution reads: of many, some that are spread over them. */
export function bootsToRead(instances: readonly SeenInstance[], now: number): SeenInstance[] {
  const due = instances
    .filter(({ launchedAt, state }) => {
      const age = now - launchedAt;
      return state !== 'stopped' && age >= LOOKED_AT.from && age < LOOKED_AT.to;
    })
    .sort((a, b) => a.launchedAt - b.launchedAt);
  const step = Math.max(due.length / MOST, 1);
  return Array.from(
    { length: Math.min(due.length, MOST) },
    (_, index) => due[Math.floor(index * step)],
  ).filter((instance) => instance !== undefined);
}
