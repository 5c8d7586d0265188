import { Sandbox } from '../sandbox/sandbox.ts';

/** How long a simulated day takes through the whole workflow, and what one execution costs beside its waits. */

const DAY_SECONDS = 24 * 3_600;
const FLEET = {
  name: 'bench',
  resourceClass: 'bench/linux',
  minReplicas: 0,
  maxReplicas: 1_000,
  pollIntervalSeconds: 5,
};

/** A job every minute, each of four minutes: never idle, never saturated. */
const jobs = Array.from({ length: DAY_SECONDS / 60 }, (_, minute) => ({
  queuedAt: minute * 60 + 7,
  durationSeconds: 240,
}));

async function day(): Promise<void> {
  const sandbox = await Sandbox.open({ keepExecutions: 1, keepMetrics: false });
  sandbox.addFleet(FLEET, jobs);
  const start = process.hrtime.bigint();
  await sandbox.runUntil(DAY_SECONDS);
  const seconds = Number(process.hrtime.bigint() - start) / 1e9;
  const polls = sandbox.circleci.requests / 2;
  console.log(
    `24 simulated hours: ${seconds.toFixed(1)} s for ${polls} polls, ${((seconds * 1_000) / polls).toFixed(2)} ms each`,
  );
}

/** A warm execution with one poll, median of many: the engine's and the functions' own time. */
async function execution(): Promise<void> {
  const sandbox = await Sandbox.open({ keepExecutions: 1, keepMetrics: false });
  sandbox.addFleet({ ...FLEET, pollIntervalSeconds: 60 });
  const times: number[] = [];
  for (let run = 0; run < 500; run += 1) {
    const start = process.hrtime.bigint();
    await sandbox.execute(FLEET.name);
    times.push(Number(process.hrtime.bigint() - start) / 1e6);
  }
  const warm = times.slice(100).sort((a, b) => a - b);
  console.log(
    `A warm execution with one poll: ${warm[Math.floor(warm.length / 2)]?.toFixed(2)} ms (median of ${warm.length})`,
  );
}

await execution();
await day();
