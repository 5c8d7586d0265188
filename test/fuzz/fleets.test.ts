import { existsSync, readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import * as z from 'zod/mini';
import { deployedSettingsOf } from '../../fleets/deployed-settings.ts';
import { type FleetConfig, FleetsInvalid, loadFleetsText, loadSettings } from '../../fleets/load.ts';
import { STACK_NAME } from '../../fleets/names.ts';
import { listPrice, vCpusOf } from '../../fleets/prices.ts';
import { faultsWithUndeclared, type UndeclaredFleet } from '../../fleets/undeclared.ts';
import { CIRCLECI_CLOUD } from '../../functions/lib/circleci-url.ts';
import { DeployedSettings } from '../../functions/lib/contracts.ts';
import { decide } from '../../functions/lib/decision.ts';
import { largestMaximum } from '../../functions/lib/schedules.ts';
import { deployedSettings } from '../support/inputs.ts';
import { changed, FUZZED } from './runs.ts';

const FOREIGN_KEY = 'arn:aws:kms:eu-west-1:999988887777:key/1234abcd-12ab-34cd-56ef-1234567890ab';
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
]
  // Without what other files must allow: the script must exist, and guardrails must list the key.
  .map((text) => parse(text.replaceAll(/^ *(install|encryptionKey): .*\n/gm, '')))
  .filter((file) => file.secretPrefixes === undefined);

/** With a token where no setting is, as people paste it. */
const withToken = FILES.map((file) => {
  const [name = ''] = Object.keys(file).filter((key) => typeof file[key] === 'object');
  return { ...file, [name]: { ...file[name], circle_token: TOKEN } };
});

/** What somebody may ask for, below and above the ceilings. */
const ASKED: [setting: string, values: unknown[]][] = [
  [
    'instanceTypes',
    [
      ['i4i.large'],
      ['t3.micro', 'm7i.48xlarge'],
      ['c9x.96xlarge'],
      ['m9x.metal'],
      ['t4g.small'],
      ['m7i.large'],
    ],
  ],
  [
    'instanceRequirements',
    [64, 65, 1_024].map((max) => ({
      architecture: 'arm64',
      vCpus: { min: 2, max },
      memoryGiB: { min: 4, max: 4 * max },
    })),
  ],
  ['image', ['ami-0123456789abcdef0']],
  ['maxReplicas', [1, 20, 500, 501, 10_000]],
  ['minReplicas', [0, 501]],
  ['schedules', [20, 500, 900].map((maxReplicas) => [{ start: '0 8 * * *', end: '0 9 * * *', maxReplicas }])],
  ['maxHourlyCost', [1, 1_000]],
  ['hourlyPrice', [0.001, 10]],
  ['rootVolumeSize', [8, 1_000, 65_536]],
  ['warmPool', [{ size: 'auto' }, { size: 500 }]],
  ['sshCidr', ['0.0.0.0/0', '128.0.0.0/1', '10.0.0.0/8', '::/0']],
  ['sshRerun', [{ cidr: '0.0.0.0/0' }, { cidr: '203.0.113.0/24' }]],
  ['network', ['new-vpc', 'default-vpc']],
  ['circleciUrl', ['https://attacker.example', 'https://runner.circleci.com/', 'http://127.0.0.1:4566']],
  [
    'runnerSecretName',
    ['core-banking/db-master-password', `${STACK_NAME}/x/scaler`, `${STACK_NAME}/x/token`],
  ],
  ['scalerSecretName', ['core-banking/db-master-password', `${STACK_NAME}/x/token`]],
  ['allowInstanceMetadata', [true]],
];

/** A right file in which somebody asks for some of this. */
const asking = fc
  .tuple(
    fc.constantFrom(...FILES),
    fc.option(fc.constant({ encryptionKey: FOREIGN_KEY }), { freq: 10 }),
    fc.array(
      fc.tuple(
        fc.nat(),
        fc.oneof(
          ...ASKED.map(([setting, values]) => fc.tuple(fc.constant(setting), fc.constantFrom(...values))),
        ),
      ),
      { minLength: 1, maxLength: 2 },
    ),
  )
  .map(([file, key, asked]) => {
    const changedFile = structuredClone(file);
    const names = Object.keys(file).filter((key) => file[key]?.resourceClass !== undefined);
    for (const [index, [setting, value]] of asked) {
      const fleet = changedFile[names[index % names.length] ?? ''];
      // A fleet has the one or the other.
      if (setting === 'instanceTypes') delete fleet.instanceRequirements;
      if (setting === 'instanceRequirements') delete fleet.instanceTypes;
      fleet[setting] = value;
    }
    return { ...changedFile, ...key };
  });

/** The ceilings that hold without guardrails, as docs/guardrails.md says them. */
const CEILINGS = {
  instances: { fleet: 500, all: 1_000 },
  dollars: { fleet: 100, all: 200 },
  types: /^([cmr][^.]*|t2|t3[^.]*|t4g)\./,
  requirements: { vCpus: 64, memoryGiB: 256 },
};

/** The least that a fleet costs an hour at its maximum size: its largest instances, without their volumes. */
function dollarsOf(fleet: FleetConfig): number {
  const prices = (fleet.instanceTypes ?? []).map((type) => listPrice(type) ?? 0.12 * (vCpusOf(type) ?? NaN));
  return largestMaximum(fleet) * Math.max(...prices, 0.15 * (fleet.instanceRequirements?.vCpus.max ?? 0));
}

/** The fleets that may be deployed without guardrails of one's own, or why not. */
function deployable(raw: unknown): FleetConfig[] | string {
  try {
    return loadSettings(raw, 'fleets.yaml', { stack: STACK_NAME, guardrails: undefined });
  } catch (error) {
    if (error instanceof FleetsInvalid) return error.message;
    throw error;
  }
}

/** What a poll of a fleet reads, of whatever CircleCI counts, at any time of a week. */
const storm = fc.record({
  unclaimed: fc.oneof(fc.nat({ max: 20 }), fc.nat({ max: 1_000_000 })),
  running: fc.oneof(fc.nat({ max: 20 }), fc.nat({ max: 1_000_000 })),
  share: fc.double({ min: 0, max: 1, noNaN: true }),
  pool: fc.nat({ max: 1_000_000 }),
  minute: fc.nat({ max: 7 * 24 * 60 }),
});
type Storm = typeof storm extends fc.Arbitrary<infer Value> ? Value : never;

const WEEK = Date.parse('2026-01-05T00:00:00Z');

/** What the workflow then sets: the desired capacity, and the warm pool if it is the workflow's to size. */
function launchedBy(fleet: FleetConfig, { unclaimed, running, share, pool, minute }: Storm) {
  const { capacity, onDemandPercentage, warmPoolAuto } = deployedSettingsOf(STACK_NAME, fleet);
  const inService = Math.floor(share * largestMaximum(capacity));
  const { desired, warmPoolSize = 0 } = decide(
    {
      lastAt: null,
      failedLaunches: 0,
      cameInService: 0,
      breaker: { open: false },
      ...(warmPoolAuto && { launchDemand: { peak: pool, today: 0, resting: true } }),
    },
    {
      counts: { unclaimed, running },
      group: {
        desired: inService,
        members: { pending: 0, inService, leaving: 0, standby: 0 },
        launchProcess: { suspended: false, byBreaker: false },
        paused: 'false',
        ...(warmPoolAuto && { warmPool: { size: 0, state: 'Stopped' as const } }),
      },
    },
    { capacity, onDemandPercentage },
    WEEK + minute * 60_000,
  ).decision;
  return { desired, warmPoolSize };
}

const sumOf = <Each>(all: Each[], of: (each: Each) => number) => all.reduce((sum, each) => sum + of(each), 0);

/** What is said of the same as a text, with the places of the faults; nothing if a file may say it. */
function complaintsAboutText(raw: unknown): string {
  try {
    const collectionStyle = (JSON.stringify(raw) ?? '').length % 2 === 0 ? 'flow' : 'any';
    loadFleetsText(stringify(raw, { collectionStyle }) ?? '', 'fleets.yaml', { stack: STACK_NAME });
    return '';
  } catch (error) {
    if (error instanceof FleetsInvalid) return error.message;
    throw error;
  }
}

it('a fleets.yaml is refused with reasons, or stays below every ceiling and can be read by the functions', () => {
  let accepted = 0;
  const property = fc.property(
    fc.oneof(changed([...FILES, ...withToken]), { weight: 2, arbitrary: asking }),
    fc.array(storm, { minLength: 1, maxLength: 4 }),
    (raw, storms) => {
      const fleets = deployable(raw);
      if (typeof fleets === 'string') {
        expect(fleets.length).toBeGreaterThan(0);
        for (const said of [fleets, complaintsAboutText(raw)]) {
          expect(said).not.toContain(TOKEN);
          // biome-ignore lint/suspicious/noControlCharactersInRegex: that none reaches a terminal is the point
          expect(said).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e]/);
        }
        return;
      }
      accepted += 1;
      expect(sumOf(fleets, largestMaximum)).toBeLessThanOrEqual(CEILINGS.instances.all);
      expect(sumOf(fleets, dollarsOf)).toBeLessThanOrEqual(CEILINGS.dollars.all);
      const launched = fleets.map((fleet, index) => ({
        fleet,
        price: dollarsOf(fleet) / largestMaximum(fleet),
        ...launchedBy(fleet, storms[index % storms.length] ?? expect.fail()),
      }));
      for (const { fleet, desired, warmPoolSize, price } of launched) {
        expect(desired).toBeLessThanOrEqual(largestMaximum(fleet));
        expect(warmPoolSize).toBeLessThanOrEqual(largestMaximum(fleet));
        expect(desired).toBeLessThanOrEqual(CEILINGS.instances.fleet);
        expect(desired * price).toBeLessThanOrEqual(CEILINGS.dollars.fleet + 1e-9);
      }
      expect(sumOf(launched, ({ desired }) => desired)).toBeLessThanOrEqual(CEILINGS.instances.all);
      expect(sumOf(launched, ({ desired, price }) => desired * price)).toBeLessThanOrEqual(
        CEILINGS.dollars.all + 1e-9,
      );
      for (const fleet of fleets) {
        expect(
          new URL(fleet.circleciUrl).origin === CIRCLECI_CLOUD ||
            /^https?:\/\/(localhost|127\.0\.0\.1|\[::1\])/.test(fleet.circleciUrl),
        ).toBe(true);
        for (const name of [fleet.scalerSecretName, fleet.runnerSecretName]) {
          expect(name ?? `${STACK_NAME}/`).toMatch(new RegExp(`^${STACK_NAME}/`));
        }
        // The instances would read a personal API token.
        expect(fleet.runnerSecretName ?? '').not.toMatch(/\/scaler$/);
        expect(largestMaximum(fleet)).toBeLessThanOrEqual(CEILINGS.instances.fleet);
        expect(dollarsOf(fleet)).toBeLessThanOrEqual(CEILINGS.dollars.fleet);
        for (const type of fleet.instanceTypes ?? []) expect(type).toMatch(CEILINGS.types);
        const { vCpus, memoryGiB } = fleet.instanceRequirements ?? {
          vCpus: { max: 0 },
          memoryGiB: { max: 0 },
        };
        expect(vCpus.max).toBeLessThanOrEqual(CEILINGS.requirements.vCpus);
        expect(memoryGiB.max).toBeLessThanOrEqual(CEILINGS.requirements.memoryGiB);
        expect(fleet.encryptionKey).toBeUndefined();
        expect(fleet.allowInstanceMetadata).toBe(false);
        for (const range of [fleet.sshCidr, fleet.sshRerun?.cidr]) expect(range ?? '').not.toMatch(/\/0$/);
        expect(fleet.minReplicas).toBeLessThanOrEqual(fleet.maxReplicas);
        const written = deployedSettings(deployedSettingsOf(STACK_NAME, fleet));
        expect(z.safeParse(DeployedSettings, JSON.parse(JSON.stringify(written))).error).toBeUndefined();
      }
    },
  );
  fc.assert(property, FUZZED);
  expect(accepted).toBeGreaterThan(FUZZED.numRuns / 50);
});

/** The fleet as it is deployed, once the file no longer has it. */
const stillDeployed = (fleet: FleetConfig, name: string, ofOtherClass: boolean): UndeclaredFleet => ({
  fleet: name,
  instances: largestMaximum(fleet),
  draining: false,
  settings: {
    resourceClass: ofOtherClass ? `${fleet.resourceClass}-${name}` : fleet.resourceClass,
    mostHourlyCost: fleet.mostHourlyCost,
  },
});

/** The right files as they are, and with fleets that come near the ceilings. */
const DEPLOYABLE = [
  undefined,
  ...[100, 250, 400, 500].map((maxReplicas) => ({ instanceTypes: ['t4g.small'], maxReplicas })),
  ...[100, 400].map((maxReplicas) => ({ instanceTypes: ['m7i.xlarge'], maxReplicas })),
]
  .flatMap((asked) =>
    FILES.map((file) => {
      const fleets = Object.entries<object>(file).map(([name, value]) => {
        if (asked === undefined || !Object.hasOwn(value, 'resourceClass')) return [name, value];
        const { resourceClass } = value as { resourceClass: string };
        return [name, { resourceClass, ...asked }];
      });
      return deployable(Object.fromEntries(fleets));
    }),
  )
  .filter((fleets) => typeof fleets !== 'string');
const deployed = fc.constantFrom(...DEPLOYABLE);

it('a second fleets.yaml is refused, or stays below every ceiling with the fleets of the first that it does not have', () => {
  let [accepted, refused] = [0, 0];
  const property = fc.property(
    fc.tuple(deployed, deployed),
    fc.array(fc.boolean(), { minLength: 1, maxLength: 4 }),
    ([before, after], kept) => {
      const gone = before.filter(
        ({ name }, index) => kept[index % kept.length] || !after.some((fleet) => fleet.name === name),
      );
      const left = gone.map((fleet, index) =>
        stillDeployed(fleet, `${fleet.name}-${index}`, kept[0] ?? false),
      );
      const faults = faultsWithUndeclared(STACK_NAME, after, left);
      const classes = [...after, ...left.flatMap(({ settings }) => settings ?? [])].map(
        ({ resourceClass }) => resourceClass,
      );
      if (faults.length > 0) {
        refused += 1;
        return;
      }
      accepted += 1;
      expect(sumOf(after, largestMaximum) + sumOf(left, (fleet) => fleet.instances)).toBeLessThanOrEqual(
        CEILINGS.instances.all,
      );
      expect(sumOf([...after, ...gone], dollarsOf)).toBeLessThanOrEqual(CEILINGS.dollars.all + 1e-9);
      // The classes of the first file among themselves are that file's.
      for (const { settings } of left)
        expect(classes.slice(0, after.length)).not.toContain(settings?.resourceClass);
    },
  );
  fc.assert(property, FUZZED);
  expect(Math.min(accepted, refused)).toBeGreaterThan(FUZZED.numRuns / 100);
});
