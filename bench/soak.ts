import { randomNumbers } from '../sandbox/trace.ts';
import { NOTHING, playEpisode } from './soak-episode.ts';

/**
 * A soak: `node --import tsx bench/soak.ts [hours] [seed]`. Runs fleets through the real workflow for hundreds of
 * simulated hours, with faults of several subjects at random times, which overlap. It prints figures, and each time at
 * which something was wrong that must never be: a job that was killed, a write out of bounds, an alarm that rings
 * without a reason, jobs that wait for long without an alarm. Its exit code is 1 if there is any.
 */

const [hours = '300', seed = '1'] = process.argv.slice(2);
const random = randomNumbers(Number(seed));
const totals = { ...NOTHING };
const wrong: string[] = [];
for (let number = 1; totals.hours < Number(hours); number += 1) {
  const episode = await playEpisode(random);
  for (const key of Object.keys(totals) as (keyof typeof totals)[]) totals[key] += episode.totals[key];
  const found = episode.wrong.map((what) => `episode ${number}, ${what}`);
  wrong.push(...found);
  for (const line of found) console.error(line);
  console.error(`${totals.hours} h: ${totals.faults} faults, ${totals.jobs} jobs, ${wrong.length} wrong`);
}
console.log(JSON.stringify(totals, null, 2));
for (const line of wrong) console.log(line);
process.exitCode = wrong.length > 0 ? 1 : 0;
