import { existsSync, readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { parse } from 'yaml';
import * as z from 'zod/mini';
import { faultsOfCeilings } from '../../fleets/ceilings.ts';
import { capacityOf, onDemandPercentage, quietPollIntervalOf } from '../../fleets/effective.ts';
import { ceilingsOf, Guardrails } from '../../fleets/guardrails.ts';
import { checkFleets, type FleetConfig, FleetsInvalid } from '../../fleets/load.ts';
import { STACK_NAME } from '../../fleets/names.ts';
import { CIRCLECI_CLOUD } from '../../functions/lib/circleci-url.ts';
import { DeployedSettings } from '../../functions/lib/contracts.ts';
import { largestMaximum } from '../../functions/lib/schedules.ts';
import { deployedSettings } from '../support/inputs.ts';
import { changed, FUZZED } from './runs.ts';

const TOKEN = 'CCIPAT_in_the_wrong_place_0123456789';

/** Files that are right: those of the examples, and the one with every setting in the reference. */
const FILES = [
  ...readdirSync('examples')
    .map((example) => `examples/${example}/fleets.yaml`)
    .filter(existsSync)
    .map((file) => readFileSync(file, 'utf8')),
  ...[...readFileSync('docs/configuration.md', 'utf8').matchAll(/```yaml\n(.*?)```/gs)].map(
    ([, yaml = '']) => yaml,
  ),
].map((text) => parse(text.replaceAll(/^ *install: .*\n/gm, '')));

/** With a token where no setting is, as people paste it. */
const withToken = FILES.map((file) => {
  const [name = ''] = Object.keys(file).filter((key) => typeof file[key] === 'object');
  return { ...file, [name]: { ...file[name], circle_token: TOKEN } };
});

/** The fleets that may be deployed without guardrails of one's own, or why not. */
function deployable(raw: unknown): FleetConfig[] | string {
  try {
    const fleets = checkFleets(raw, 'fleets.yaml');
    const faults = faultsOfCeilings(fleets, ceilingsOf(Guardrails.parse({}), STACK_NAME), STACK_NAME);
    return faults.length === 0 ? fleets : faults.join('\n');
  } catch (error) {
    if (error instanceof FleetsInvalid) return error.message;
    throw error;
  }
}

it('a fleets.yaml is refused with reasons, or stays below every ceiling and can be read by the functions', () => {
  let accepted = 0;
  const property = fc.property(changed([...FILES, ...withToken]), (raw) => {
    const fleets = deployable(raw);
    if (typeof fleets === 'string') {
      expect(fleets.length).toBeGreaterThan(0);
      expect(fleets).not.toContain(TOKEN);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: that none reaches a terminal is the point
      expect(fleets).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e]/);
      return;
    }
    accepted += 1;
    for (const fleet of fleets) {
      expect(
        fleet.circleciUrl === CIRCLECI_CLOUD ||
          /^https?:\/\/(localhost|127\.0\.0\.1|\[::1\])/.test(fleet.circleciUrl),
      ).toBe(true);
      for (const name of [fleet.scalerSecretName, fleet.runnerSecretName]) {
        expect(name ?? `${STACK_NAME}/`).toMatch(new RegExp(`^${STACK_NAME}/`));
      }
      expect(largestMaximum(fleet)).toBeLessThanOrEqual(500);
      expect(fleet.minReplicas).toBeLessThanOrEqual(fleet.maxReplicas);
      const written = deployedSettings({
        resourceClass: fleet.resourceClass,
        circleciUrl: fleet.circleciUrl,
        capacity: capacityOf(fleet),
        pollIntervalSeconds: fleet.pollInterval,
        quietPollIntervalSeconds: quietPollIntervalOf(fleet),
        breakerFailures: fleet.breaker.failures,
        breakerWindowSeconds: fleet.breaker.window,
        onDemandPercentage: onDemandPercentage(fleet),
      });
      expect(z.safeParse(DeployedSettings, JSON.parse(JSON.stringify(written))).error).toBeUndefined();
    }
  });
  fc.assert(property, FUZZED);
  expect(accepted).toBeGreaterThan(FUZZED.numRuns / 50);
});
