import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App } from 'aws-cdk-lib';
import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { addStacks, type FleetsFile, FleetsInvalid } from '../../infra/library.ts';

const SETTINGS: FleetsFile = {
  linux: {
    resourceClass: 'acme/linux',
    instanceTypes: ['m7i.large'],
    maxReplicas: 20,
    bootTimeout: '5m',
    alarmEmail: 'ops@example.com',
  },
  spot: {
    resourceClass: 'acme/spot',
    instanceTypes: ['m7i.large', 'm6i.large'],
    maxReplicas: 5,
    spot: { percentage: 80 },
    schedules: [
      { start: '0 8 * * MON-FRI', end: '0 18 * * MON-FRI', timezone: 'Europe/Berlin', minReplicas: 2 },
    ],
  },
};

const appWith = (context: Record<string, string> = {}) =>
  new App({
    builtinCloudFormationValidation: false,
    context: { runner: 'current', 'aws:cdk:bundling-stacks': [], ...context },
    outdir: mkdtempSync(join(tmpdir(), 'library-')),
  });

/** The templates of all stacks of an app, by their names. */
const templatesOf = (app: App) =>
  Object.fromEntries(app.synth().stacks.map(({ stackName, template }) => [stackName, template]));

describe('addStacks', () => {
  it('makes the same templates of settings and of a fleets.yaml that says them', () => {
    const file = join(mkdtempSync(join(tmpdir(), 'library-')), 'fleets.yaml');
    writeFileSync(file, stringify(SETTINGS));
    const ofFile = appWith({ fleets: file });
    addStacks(ofFile);
    const ofSettings = appWith();
    addStacks(ofSettings, { fleets: SETTINGS });
    const templates = templatesOf(ofSettings);
    expect(Object.keys(templates).toSorted()).toEqual([
      'circleci-runners',
      'circleci-runners-linux',
      'circleci-runners-spot',
    ]);
    expect(templates).toEqual(templatesOf(ofFile));
  });

  it('names every fault of settings, as of a file', () => {
    const fleets: FleetsFile = {
      linux: { resourceClass: 'acme/linux', instanceTypes: ['m7i.large'], maxReplicas: 20, minReplicas: 30 },
      spot: { resourceClass: 'acme', instanceTypes: ['m7i.large'], maxReplicas: 5 },
    };
    const adding = () => addStacks(appWith(), { fleets });
    expect(adding).toThrow(FleetsInvalid);
    expect(adding).toThrow(
      /^The app has 2 faults:\n {2}linux\..*minReplicas[\s\S]*\n {2}spot\.resourceClass/,
    );
  });

  it('asks the guardrails about settings, as about a file', () => {
    const fleets: FleetsFile = {
      linux: { resourceClass: 'acme/linux', instanceTypes: ['m7i.large'], maxReplicas: 501 },
    };
    expect(() => addStacks(appWith(), { fleets })).toThrow(/^The app asks for more than [\s\S]*maxReplicas/);
  });
});
