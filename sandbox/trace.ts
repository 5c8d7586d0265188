import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import { skipN } from 'pure-rand/utils/skipN';

/** A job as a trace knows it, in seconds from the trace's start. */
export interface Job {
  queuedAt: number;
  durationSeconds: number;
}

/** What second 0 is: a Monday morning. It can be any instant, but must always be the same, so that runs are equal. */
export const SANDBOX_START = new Date('2026-01-05T08:00:00Z');

/** The jobs that arrive in the first hours, counted from the first arrival. */
export function firstHours(jobs: Job[], hours: number): Job[] {
  const start = jobs[0]?.queuedAt ?? 0;
  return jobs.filter((job) => job.queuedAt < start + hours * 3_600);
}

/** Pipelines an hour over a working day that starts at eight: a slow start, two peaks, a lunch between them. */
export const PIPELINES_PER_HOUR = [12, 30, 40, 26, 14, 36, 38, 24, 8];

/** Jobs of a pipeline and the duration around which each lies, in seconds. */
const PIPELINE = [90, 180, 240, 240, 420];

/** Numbers from 0 to 1, without 1; the same seed, a whole number, makes the same ones. */
export function randomNumbers(seed: number): () => number {
  const generator = xoroshiro128plus(seed);
  // The first numbers of small seeds are alike.
  skipN(generator, 64);
  return () => uniformFloat64(generator);
}

/**
 * Generates the jobs of a working day: pipelines that arrive at random, at a rate that follows the hour, each
 * of a few jobs whose durations scatter (log-normal) around those of a usual build. The same seed makes the
 * same day.
 */
export function workingDay(seed: number): Job[] {
  return pipelines(PIPELINES_PER_HOUR, randomNumbers(seed));
}

/** Pipelines that arrive at random, at the rate of each hour from second 0 on; one rate at least must be above 0. */
export function pipelines(perHour: number[], random: () => number): Job[] {
  const jobs: Job[] = [];
  const peak = Math.max(...perHour);
  // Thinning: draw arrivals at the peak's rate, and keep each hour's share of them.
  for (let at = 0; ; ) {
    at += (-Math.log(1 - random()) * 3_600) / peak;
    const rate = perHour[Math.floor(at / 3_600)];
    if (rate === undefined) return jobs;
    if (random() > rate / peak) continue;
    const size = 1 + Math.floor(random() * PIPELINE.length);
    for (const usual of PIPELINE.slice(0, size)) {
      jobs.push({ queuedAt: round(at), durationSeconds: scattered(usual, random) });
    }
  }
}

/** A duration (log-normal) around a usual one, in seconds. */
export function scattered(usual: number, random: () => number): number {
  const spread = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  return round(usual * Math.exp(0.5 * spread));
}

/** Tenths of a second, as traces have them. */
export const round = (seconds: number) => Math.round(seconds * 10) / 10;
