import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse as parseYaml } from 'yaml';
import * as z from 'zod';
import { configurationReference } from '../../fleets/reference.ts';
import { fleetsSchema, guardrailsSchema } from '../../fleets/schema.ts';
import { fleetsOf, MINIMAL, minimalNamed, minimalWith, RUNNER } from '../support/fleets.ts';

const schema = JSON.parse(fleetsSchema());
const settings: Record<string, Record<string, unknown>> = schema.additionalProperties.properties;

describe('fleets.schema.json', () => {
  it('is current; `npm run generate` writes it', () => {
    expect(readFileSync('fleets.schema.json', 'utf8')).toBe(fleetsSchema());
    expect(readFileSync('guardrails.schema.json', 'utf8')).toBe(guardrailsSchema());
  });

  it('is named by the fleets.yaml of the repository', () => {
    expect(readFileSync('fleets.yaml', 'utf8')).toMatch(
      /^# yaml-language-server: \$schema=\.\/fleets\.schema\.json\n/,
    );
  });
});

describe('an editor with the schema', () => {
  it('describes every setting', () => {
    const silent = Object.entries(settings).filter(([, { description }]) => typeof description !== 'string');
    expect(silent).toEqual([]);
    expect(schema).toMatchObject({ title: expect.any(String), description: expect.any(String) });
  });

  it('says that each fleet has a stack of its own, as the reference does', () => {
    expect(schema).toMatchObject({ minProperties: 1 });
    expect(schema).not.toHaveProperty('maxProperties');
    expect(schema.description).toContain('Each fleet is deployed as a stack of its own.');
    expect(configurationReference()).toContain(`\n\n${schema.description}\n\n`);
  });

  it('shows the defaults of a fleet, as the file would set them', () => {
    const defaults = Object.entries(settings).flatMap(([name, { default: value }]) =>
      value === undefined ? [] : [[name, value]],
    );
    expect(Object.fromEntries(defaults)).toEqual({
      minReplicas: 0,
      headroom: 0,
      schedules: [],
      otherRunners: 0,
      pollInterval: '5s',
      idleTimeout: '5m',
      maxRunTime: '5h',
      reuse: 'single-task',
      bootTimeout: '10m',
      breaker: { failures: 3, window: '15m' },
      circleciUrl: 'https://runner.circleci.com',
      image: 'ubuntu',
      workingDirectory: 'root-volume',
      docker: false,
      unsafeRetries: false,
      network: 'default-vpc',
      sessionManager: false,
      allowInstanceMetadata: false,
      logs: false,
      reconcile: 'report',
      starvingAfter: '15m',
      tags: {},
    });
    const written = defaults.map(([name, value]) => `${name}: ${JSON.stringify(value)}`);
    expect(fleetsOf(minimalWith(...written))).toEqual(fleetsOf(MINIMAL));
  });

  it('requires the required settings, and has no other settings', () => {
    expect(schema.additionalProperties).toMatchObject({
      required: ['resourceClass', 'maxReplicas'],
      additionalProperties: false,
    });
  });

  it('explains each pattern in words', () => {
    const patterns: { patternErrorMessage?: string }[] = [];
    JSON.parse(fleetsSchema(), (_, value) => {
      if (typeof value?.pattern === 'string') patterns.push(value);
      return value;
    });
    expect(patterns.length).toBeGreaterThan(10);
    expect(patterns.filter((value) => value.patternErrorMessage === undefined)).toEqual([]);
  });

  const { patternProperties, ...ofFleets } = schema;
  const isExtension = (key: string) => Object.keys(patternProperties).some((each) => key.match(each));

  /** Zod does not hold other keys to `additionalProperties` if a schema has `patternProperties`, as editors do. */
  function validates(text: string): boolean {
    const others = Object.entries(parseYaml(text)).filter(([key]) => !isExtension(key));
    return z.fromJSONSchema(ofFleets).safeParse(Object.fromEntries(others)).success;
  }

  it('takes anything under a key that begins with x-', () => {
    const extended = (key: string) => `${key}: {maxReplicas: 5, note: any}\n${MINIMAL}`;
    expect(validates(extended('x-common'))).toBe(true);
    expect('x-common').toMatch(new RegExp(schema.propertyNames.pattern));
    expect(Object.values(patternProperties)).toEqual([{ description: expect.any(String) }]);
    expect(validates(extended('common'))).toBe(false);
  });

  it.each([
    { setting: 'pollInterval: 5' },
    { setting: 'pollInterval: 10s' },
    { setting: 'network: new-vpc' },
    { setting: 'network: {vpcId: vpc-01234567, subnetIds: [subnet-01234567]}' },
    {
      setting:
        'network: {vpcId: vpc-01234567, subnetIds: [subnet-01234567], securityGroupIds: [sg-01234567]}',
    },
    { setting: 'tags: {team: build}' },
    { setting: 'alarmEmail: ops@acme.example' },
    { setting: 'sshCidr: 203.0.113.0/24' },
    { setting: 'sshCidr: 2001:db8::/48' },
    { setting: 'rootVolume: {size: 100, iops: 4000, throughput: 1000}' },
    { setting: 'rootVolume: {}' },
    { setting: 'sshRerun: {cidr: 203.0.113.0/24, address: private}' },
    { setting: 'httpProxy: http://proxy.acme.example:3128' },
    { setting: 'workingDirectory: instance-store' },
    { setting: 'docker: true' },
    { setting: 'bootTimeout: 2h' },
    { setting: 'image: amazon-linux' },
    { setting: 'image: ami-0123456789abcdef0' },
    { setting: 'image: /acme/runner' },
    { setting: `runner: ${JSON.stringify(RUNNER)}` },
    { setting: 'spot: {}' },
    { setting: 'spot: {percentage: 50, onDemandBase: 2}' },
    { setting: 'logs: true' },
    { setting: 'quietPollInterval: 1m' },
    { setting: 'maxHourlyCost: 2.5' },
    { setting: 'headroom: 3' },
    { setting: 'headroom: 20%' },
    { setting: 'maxSurge: 5' },
    { setting: 'schedules: []' },
    { setting: 'schedules: [{start: 0 8 * * *, end: 0 9 * * *, timezone: Europe/Berlin, headroom: 5%}]' },
    { setting: 'breaker: {}' },
    { setting: 'breaker: {failures: 5, window: 1h}' },
    { setting: 'starvingAfter: 6h' },
    { setting: 'starvingAfter: 1h30m' },
    { setting: 'alarmTopicArn: arn:aws:sns:eu-west-1:111122223333:alarms' },
  ])('accepts $setting', ({ setting }) => {
    expect(validates(minimalWith(setting))).toBe(true);
    expect(fleetsOf(minimalWith(setting))).toHaveLength(1);
  });

  it.each([
    { setting: 'maxReplica: 5' },
    { setting: 'minReplicas: -1' },
    { setting: 'minReplicas: 0.5' },
    { setting: 'pollInterval: 61' },
    { setting: 'pollInterval: 5 seconds' },
    { setting: 'idleTimeout: 30m1h' },
    { setting: 'network: private' },
    { setting: 'network: {vpcId: vpc-01234567}' },
    { setting: 'network: {vpcId: vpc-01234567, subnetIds: [subnet-01234567], securityGroupIds: [web]}' },
    { setting: 'network: {vpcId: vpc-01234567, subnetIds: [subnet-01234567], subnet: a}' },
    { setting: 'tags: {cost: 5}' },
    { setting: 'tags: {aws:team: build}' },
    { setting: 'tags: {circleci-runners:recycle: now}' },
    { setting: 'tags: {team: R&D}' },
    { setting: 'bootTimeout: 119' },
    { setting: 'image: debian' },
    { setting: 'runner: {version: 3.1.13}' },
    { setting: `runner: ${JSON.stringify({ ...RUNNER, sha1: '0' })}` },
    { setting: 'spot: true' },
    { setting: 'spot: {percentage: 0}' },
    { setting: 'spot: {onDemand: 2}' },
    { setting: 'logs: yes' },
    { setting: 'quietPollInterval: 61' },
    { setting: 'headroom: a lot' },
    { setting: 'maxSurge: 0' },
    { setting: 'schedules: {}' },
    { setting: 'schedules: [{start: 0 8 * * *}]' },
    { setting: 'schedules: [{start: 0 8 * * *, end: 0 9 * * *, scaleDownDelay: 5m}]' },
    { setting: 'breaker: 5' },
    { setting: 'rootVolume: 100' },
    { setting: 'sshRerun: {cidr: all}' },
    { setting: 'httpProxy: http://ci:hunter2@proxy:3128' },
    { setting: 'httpProxy: http://proxy:65536' },
    { setting: 'noProxy: .acme.example' },
    { setting: 'httpProxy: http://proxy\n  noProxy: ["*.acme.example"]' },
    { setting: 'httpProxy: http://proxy\n  noProxy: [acme.example:443]' },
    { setting: 'httpProxy: http://proxy\n  noProxy: [10.0.0.0/33]' },
    { setting: 'workingDirectory: /mnt' },
    { setting: 'docker: yes' },
    { setting: 'rootVolume: {throughput: 100}' },
    { setting: 'sshCidr: 203.0.113.7' },
    { setting: 'maxHourlyCost: 2 dollars' },
    { setting: 'hourlyPrice: 0' },
    { setting: 'breaker: {failures: 0}' },
    { setting: 'breaker: {windows: 1h}' },
    { setting: 'starvingAfter: 299' },
    { setting: 'alarmTopicArn: alarms' },
  ])('underlines $setting', ({ setting }) => {
    expect(validates(MINIMAL)).toBe(true);
    expect(validates(minimalWith(setting))).toBe(false);
  });

  it.each(['2fast', 'linux large', 'a'.repeat(33)])('underlines a fleet called %s', (name) => {
    expect(validates(minimalNamed(`"${name}"`))).toBe(false);
  });
});
