import { describe, expect, it } from 'vitest';
import { quietPollIntervalOf } from '../../fleets/effective.ts';
import { SynthesisedTemplate } from '../infra/template.ts';
import { complaintsAbout, fleetsOf, fleetsWith, minimalWith } from '../support/fleets.ts';

const TIME = 'a number of seconds, or numbers with units as in 90s, 1h30m or 2d';
const ARN = 'must be the ARN of a standard SNS topic, such as arn:aws:sns:eu-west-1:111122223333:alarms';
const BREAKER = 'must be a map of failures and window; {} is 3 failures within 15m';

describe('the settings of breaker and alarms', () => {
  it.each([
    { given: 'quietPollInterval: 5', becomes: { quietPollInterval: 5 } },
    { given: 'quietPollInterval: 1m', becomes: { quietPollInterval: 60 } },
    { given: 'breaker: {}', becomes: { breaker: { failures: 3, window: 900 } } },
    { given: 'breaker: {failures: 1}', becomes: { breaker: { failures: 1, window: 900 } } },
    { given: 'breaker: {window: 24h}', becomes: { breaker: { failures: 3, window: 86_400 } } },
    {
      given: 'breaker: {failures: 100, window: 60}',
      becomes: { breaker: { failures: 100, window: 60 } },
    },
    { given: 'starvingAfter: 5m', becomes: { starvingAfter: 300 } },
    { given: 'starvingAfter: 6h', becomes: { starvingAfter: 21_600 } },
    {
      given: 'alarmTopicArn: arn:aws:sns:eu-west-1:111122223333:alarms',
      becomes: { alarmTopicArn: 'arn:aws:sns:eu-west-1:111122223333:alarms' },
    },
    {
      given: 'alarmTopicArn: arn:aws-us-gov:sns:us-gov-west-1:111122223333:On-Call_1',
      becomes: { alarmTopicArn: 'arn:aws-us-gov:sns:us-gov-west-1:111122223333:On-Call_1' },
    },
  ])('take $given', ({ given, becomes }) => {
    expect(fleetsOf(minimalWith(given))).toEqual([expect.objectContaining(becomes)]);
  });

  it.each([
    {
      given: 'quietPollInterval: 61',
      said: `quietPollInterval: must be an interval from 1s to 1m: ${TIME}, got 61`,
    },
    {
      given: 'quietPollInterval: 4s',
      said: 'quietPollInterval: must be at least pollInterval (5s), got "4s"',
    },
    { given: 'breaker: 3', said: `breaker: ${BREAKER}, got 3` },
    { given: 'breaker:', said: `breaker: ${BREAKER}, got nothing` },
    {
      given: 'breaker: {failures: 0}',
      said: 'breaker.failures: must be a whole number from 1 to 100, the number of failed launches that open the breaker, got 0',
    },
    {
      given: 'breaker: {window: 59s}',
      said: `breaker.window: must be a time from 1m to 1d: ${TIME}, got "59s"`,
    },
    {
      given: 'breaker: {windows: 15m}',
      said: 'breaker.windows: is not a setting; the nearest one is window',
    },
    {
      given: 'starvingAfter: 4m',
      said: `starvingAfter: must be a time from 5m to 6h: ${TIME}, got "4m"`,
    },
    {
      given: 'starvingAfter: 7h',
      said: `starvingAfter: must be a time from 5m to 6h: ${TIME}, got "7h"`,
    },
    { given: 'alarmTopicArn: alarms', said: `alarmTopicArn: ${ARN}, got "alarms"` },
    {
      given: 'alarmTopicArn: arn:aws:sqs:eu-west-1:111122223333:alarms',
      said: `alarmTopicArn: ${ARN}, got "arn:aws:sqs:eu-west-1:111122223333:alarms"`,
    },
    {
      given: 'alarmTopicArn: arn:aws:sns:eu-west-1:111122223333:alarms.fifo',
      said: `alarmTopicArn: ${ARN}, got "arn:aws:sns:eu-west-1:111122223333:alarms.fifo"`,
    },
  ])('refuse $given', ({ given, said }) => {
    expect(complaintsAbout(minimalWith(given))).toBe(`fleets.yaml has a fault:\n  linux.${said}`);
  });
});

describe('quietPollInterval, left out,', () => {
  it.each([
    { pollInterval: '1s', cold: 60, pool: 15 },
    { pollInterval: '5s', cold: 60, pool: 15 },
    { pollInterval: '15s', cold: 60, pool: 15 },
    { pollInterval: '16s', cold: 60, pool: 16 },
    { pollInterval: '1m', cold: 60, pool: 60 },
  ])('is $cold s, or $pool s with a warm pool, beside pollInterval $pollInterval', (given) => {
    const intervalOf = (...lines: string[]) =>
      fleetsOf(minimalWith(`pollInterval: ${given.pollInterval}`, ...lines)).map(quietPollIntervalOf);
    expect(intervalOf()).toEqual([given.cold]);
    expect(intervalOf('warmPool: { size: 4 }')).toEqual([given.pool]);
    expect(intervalOf('warmPool: { size: 4 }', 'quietPollInterval: 60s')).toEqual([60]);
  });
});

describe('quietPollInterval', () => {
  it.each([
    { interval: '9s', sound: false },
    { interval: '10s', sound: true },
    { interval: '11s', sound: true },
  ])('$interval beside pollInterval 10s: sound is $sound', ({ interval, sound }) => {
    const given = minimalWith('pollInterval: 10s', `quietPollInterval: ${interval}`);
    if (sound) expect(fleetsOf(given)[0]?.quietPollInterval).toBe(Number.parseInt(interval, 10));
    else {
      expect(complaintsAbout(given)).toBe(
        `fleets.yaml has a fault:\n  linux.quietPollInterval: must be at least pollInterval (10s), got "${interval}"`,
      );
    }
  });
});

describe('starvingAfter', () => {
  it.each([
    { starvingAfter: '5m', periods: 1 },
    { starvingAfter: '8m', periods: 2 },
    { starvingAfter: '15m', periods: 4 },
    { starvingAfter: '1019s', periods: 4 },
    { starvingAfter: '17m', periods: 5 },
    { starvingAfter: '6h', periods: 119 },
  ])('$starvingAfter is $periods periods of 3 minutes to the alarm', ({ starvingAfter, periods }) => {
    const template = SynthesisedTemplate.of(fleetsWith({ arm: { starvingAfter } }));
    expect(template.the('AWS::CloudWatch::Alarm', 'ArmAlarmsStarving').properties).toMatchObject({
      Period: 180,
      EvaluationPeriods: periods,
      DatapointsToAlarm: periods,
    });
  });
});
