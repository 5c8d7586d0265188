import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { type FleetConfig, FleetsInvalid, readFleets } from '../../fleets/load.ts';

/** A fleet with nothing but what it must have, to which a test adds what it is about. */
export const MINIMAL = `
linux:
  resourceClass: acme/linux
  instanceTypes: [m7i.large]
  maxReplicas: 20
`;

/** The one fleet of `MINIMAL` under another name. */
export const minimalNamed = (name: string) => MINIMAL.replace('linux:', `${name}:`);

/** The one fleet of `MINIMAL` with more settings. */
export const minimalWith = (...settings: string[]) =>
  MINIMAL + settings.map((setting) => `  ${setting}\n`).join('');

/** The fleets of a `fleets.yaml` with this text, and with these files beside it, which stay: a stack reads install scripts. */
export function fleetsOf(text: string, beside: Record<string, string> = {}): FleetConfig[] {
  const directory = mkdtempSync(join(tmpdir(), 'fleets-'));
  try {
    for (const [name, content] of Object.entries({ 'fleets.yaml': text, ...beside })) {
      writeFileSync(join(directory, name), content);
    }
    return readFleets(join(directory, 'fleets.yaml'));
  } catch (error) {
    if (error instanceof FleetsInvalid) error.message = error.message.replaceAll(`${directory}/`, '');
    throw error;
  }
}

/** Fleets by their names, each of the least settings and these, and with these files beside them. */
export function fleetsWith(
  settings: Record<string, Record<string, string>>,
  beside: Record<string, string> = {},
): FleetConfig[] {
  const text = Object.entries(settings).map(([name, more]) => {
    const least = { resourceClass: `acme/${name}`, instanceTypes: '[m7i.large]', maxReplicas: '20' };
    const lines = Object.entries({ ...least, ...more }).map(([key, value]) => `  ${key}: ${value}\n`);
    return `${name}:\n${lines.join('')}`;
  });
  return fleetsOf(text.join(''), beside);
}

/** Any number of fleets, each with these settings: more than one file may hold, so each is of a file of its own. */
export const manyFleets = (
  count: number,
  settings: (index: number) => Record<string, string> = () => ({}),
  name = (index: number) => `fleet-${index}`,
): FleetConfig[] =>
  Array.from({ length: count }, (_, index) => fleetsWith({ [name(index)]: settings(index) })).flat();

/** What is said of a `fleets.yaml` that cannot be used, without the places of the faults. */
export const complaintsAbout = (text: string, beside: Record<string, string> = {}): string =>
  withoutPlaces(placedComplaintsAbout(text, beside));

/** Expects that a fleet with this setting has these values. */
export function expectAccepted({ given, becomes }: { given: string; becomes: object }): void {
  expect(fleetsOf(minimalWith(given))).toEqual([expect.objectContaining(becomes)]);
}

/** Expects that this setting is the one fault of a fleet, in these words. */
export function expectRefused({ given, said }: { given: string; said: string }): void {
  expect(complaintsAbout(minimalWith(given))).toBe(`fleets.yaml has a fault:\n  linux.${said}`);
}

/** A message of `FleetsInvalid` without the place of each setting and the excerpt, which places.test.ts is about. */
export const withoutPlaces = (message: string): string =>
  message.replace(/\n {4}(used at )?\S+:\d+:\d+\n {4}\d+ \| .*\n {4} +\| +\^+/g, '');

/** The whole of what is said of it. */
export function placedComplaintsAbout(text: string, beside: Record<string, string> = {}): string {
  try {
    fleetsOf(text, beside);
  } catch (error) {
    if (error instanceof FleetsInvalid) return error.message;
    throw error;
  }
  throw new Error(`Nothing is wrong with\n${text}`);
}

/** The install script of `linux-large`. */
export const INSTALL = '#!/bin/sh\napt-get install -y nodejs\n';

/** A pinned release of machine runner 3. */
export const RUNNER = { version: '3.1.13', sha256: 'c0ffee'.padEnd(64, '0') };

/** One fleet of each network; `linux-large` asks for everything that can be asked for. */
export const threeFleets = () =>
  fleetsOf(
    `
arm:
  resourceClass: acme/arm
  instanceTypes: [m7g.large]
  maxReplicas: 20
linux-large:
  resourceClass: acme/linux-large
  instanceTypes: [m7i.2xlarge, m6i.2xlarge, m7a.2xlarge]
  minReplicas: 2
  maxReplicas: 40
  headroom: 20%
  maxSurge: 10
  scaleDownDelay: 5m
  recycleAfter: 4h
  schedules:
    - name: working hours
      start: 0 8 * * MON-FRI
      end: 0 18 * * MON-FRI
      timezone: Europe/Berlin
      minReplicas: 4
      maxReplicas: 60
  pollInterval: 10s
  quietPollInterval: 20s
  idleTimeout: 10m
  maxRunTime: 2h
  bootTimeout: 20m
  breaker: {failures: 5, window: 30m}
  runner: {version: ${RUNNER.version}, sha256: ${RUNNER.sha256}}
  spot: {percentage: 75, onDemandBase: 4}
  unsafeRetries: true
  circleciUrl: https://circleci.acme.example
  network: new-vpc
  rootVolume: {size: 100, iops: 4000, throughput: 500}
  keyPairName: ops-team
  sshCidr: 203.0.113.0/24
  sshRerun: {cidr: 198.51.100.0/24}
  httpProxy: http://proxy.acme.example:3128
  noProxy: [.acme.example, 10.0.0.0/8]
  workingDirectory: instance-store
  docker: true
  sessionManager: true
  allowInstanceMetadata: true
  logs: true
  install: install.sh
  scalerSecretName: existing/scaler
  runnerSecretName: existing/runner
  alarmEmail: ops@acme.example
  alarmTopicArn: arn:aws:sns:eu-west-1:111122223333:builds
  starvingAfter: 1201s
  tags: {team: build, cost-centre: "0815"}
owned:
  resourceClass: acme/owned
  instanceTypes: [c7i.large]
  maxReplicas: 3
  network: {vpcId: vpc-0123456789abcdef0, subnetIds: [subnet-0123456789abcdef0, subnet-0fedcba9876543210]}
  alarmEmail: ops@acme.example
  tags: {team: platform}
`,
    { 'install.sh': INSTALL },
  );

/** Each of the three by the name that the outputs give it. */
export const EACH_FLEET = [
  { id: 'Arm', name: 'arm' },
  { id: 'LinuxLarge', name: 'linux-large' },
  { id: 'Owned', name: 'owned' },
];

/** Schedules that make the settings of a fleet too long for Systems Manager, with the names of 100 fleets. */
export const LONG_SCHEDULES = Array.from({ length: 20 }, (_, index) => ({
  name: `${index}`.padEnd(64, 'é'),
  start: '0 8 * * MON-FRI',
  end: '0 18 * * MON-FRI',
  timezone: 'Europe/Berlin',
  minReplicas: 1,
}));
