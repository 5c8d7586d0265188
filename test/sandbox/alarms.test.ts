import { describe, expect, it } from 'vitest';
import { alarmsOver, NEEDS_YOU, OUTAGE, type Run, ringingMinutes } from '../../sandbox/alarms.ts';
import type { Metric } from '../../sandbox/workflow.ts';
import { fleetsWith } from '../support/fleets.ts';

/** `X` is a bad minute, `0` a good one, and `-` one without data. */
const datapoints = (minutes: string, { bad = 1, good = 0 } = {}) =>
  [...minutes].map((minute) => ({ X: bad, 0: good, '-': undefined })[minute]);

describe('an alarm over 3 minutes', () => {
  // The tables of https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
  it.each([
    { minutes: '0-X-X', bad: 3, breaching: false, notBreaching: false },
    { minutes: '----0', bad: 3, breaching: false, notBreaching: false },
    { minutes: '-----', bad: 3, breaching: true, notBreaching: false },
    { minutes: '0XX-X', bad: 3, breaching: true, notBreaching: true },
    { minutes: '--X--', bad: 3, breaching: true, notBreaching: false },
    { minutes: '0-X-X', bad: 2, breaching: true, notBreaching: true },
    { minutes: '00X0X', bad: 2, breaching: true, notBreaching: true },
    { minutes: '0-X--', bad: 2, breaching: true, notBreaching: false },
    { minutes: '----0', bad: 2, breaching: true, notBreaching: false },
    { minutes: '----X', bad: 2, breaching: true, notBreaching: false },
  ])(
    'after $minutes, $bad of them to be bad: $breaching if missing is bad, else $notBreaching',
    (example) => {
      const minutes: [number, number] = [example.bad, 3];
      const rings = (bad: 'any' | 'none') =>
        ringingMinutes(
          { minutes, bad },
          datapoints(example.minutes, bad === 'any' ? {} : { bad: 0, good: 1 }),
        ).at(-1);
      expect([rings('none'), rings('any')]).toEqual([example.breaching, example.notBreaching]);
    },
  );

  it.each([
    { case: 'not at once', minutes: 'XX', rings: [false, false] },
    { case: 'at the third bad minute', minutes: '0XXX0', rings: [false, false, false, true, false] },
    {
      case: 'until old bad minutes are out of sight',
      minutes: 'XXX---',
      rings: [false, false, true, true, true, false],
    },
  ])('rings $case', ({ minutes, rings }) => {
    expect(ringingMinutes({ minutes: [3, 3], bad: 'any' }, datapoints(minutes))).toEqual(rings);
  });
});

const STARTED = Date.parse('2026-01-05T08:00:00Z');
const FLEETS = fleetsWith({ linux: {}, macos: {} });

/** A run of 30 minutes in which all fleets poll, with what a test adds. */
function alarms(
  metrics: { name: string; minutes: number[]; fleet?: string; step?: string; value?: number }[],
  {
    silent = [],
    outage = [],
    uncounted = [],
    timedOut = [],
    alone = [],
  }: {
    silent?: string[];
    outage?: number[];
    uncounted?: number[];
    timedOut?: number[];
    /** Minutes in which one fleet alone has such a failure. */
    alone?: number[];
  } = {},
) {
  const at = (minute: number) => STARTED + minute * 60_000 + 30_000;
  const metric = (name: string, fleet: string, minute: number, value: number, step?: string): Metric => ({
    namespace: 'CircleCIRunnerAutoscaler/circleci-runners',
    name,
    dimensions: { Fleet: fleet, ...(step && { Step: step }) },
    value,
    at: at(minute),
  });
  const all = Array.from({ length: 30 }, (_, minute) => minute);
  const polls = ['linux', 'macos']
    .filter((fleet) => !silent.includes(fleet))
    .flatMap((fleet) => all.map((minute) => metric('PollDuration', fleet, minute, 0)));
  const more = metrics.flatMap(({ name, minutes, fleet = 'linux', step, value = 1 }) =>
    minutes.map((minute) => metric(name, fleet, minute, value, step)),
  );
  // An outage hits both fleets.
  const ofAll = [...outage, ...outage, ...alone].map((minute) => ({
    ...metric('OutageFailures', '', minute, 1),
    dimensions: { Stack: 'circleci-runners' },
  }));
  const status = (minute: number): Run['executions'][number]['status'] => {
    if (timedOut.includes(minute)) return 'TIMED_OUT';
    return [...outage, ...uncounted].includes(minute) ? 'FAILED' : 'SUCCEEDED';
  };
  const executions = FLEETS.flatMap(() =>
    all.map((minute) => ({ status: status(minute), endedAt: at(minute) })),
  );
  const over = alarmsOver(FLEETS, {
    metrics: [...polls, ...more, ...ofAll],
    executions,
    startedAt: STARTED,
    minutes: 30,
  });
  return over
    .filter(({ ringings }) => ringings.length > 0)
    .map(({ heading, fleet, ringings }) => ({ heading: fleet ? `${heading}: ${fleet}` : heading, ringings }));
}

const from = (first: number, last: number) =>
  Array.from({ length: last - first + 1 }, (_, minute) => first + minute);

describe('the alarms of a run', () => {
  it('are silent when all is well', () => {
    expect(alarms([])).toEqual([]);
  });

  it('ring for a failure that lasts, together with the composite alarm, and end after it', () => {
    expect(alarms([{ name: 'CircleCiRefuses', minutes: from(10, 19) }])).toEqual([
      { heading: `${NEEDS_YOU}: linux`, ringings: [{ from: 13, until: 25 }] },
      { heading: 'CircleCI Refuses: linux', ringings: [{ from: 13, until: 25 }] },
    ]);
    const outage = from(10, 29);
    expect(alarms([{ name: 'CircleCiUnavailable', minutes: outage, fleet: 'macos' }], { outage })).toEqual([
      { heading: OUTAGE, ringings: [{ from: 13 }] },
      { heading: 'CircleCI Unavailable: macos', ringings: [{ from: 13 }] },
      { heading: 'Executions Failed', ringings: [{ from: 13 }] },
    ]);
  });

  it('ring for failed executions if CloudWatch did not take their metrics', () => {
    const [outage, failed] = alarms([], { uncounted: from(10, 29) });
    expect(outage).toEqual({ heading: OUTAGE, ringings: [{ from: 13 }] });
    expect(failed).toEqual({ heading: 'Executions Failed', ringings: [{ from: 13 }] });
  });

  it('ring again when the failure comes back', () => {
    const minutes = [...from(3, 5), ...from(20, 22)];
    expect(alarms([{ name: 'StepBroken', minutes }], { outage: minutes })[0]).toEqual({
      heading: OUTAGE,
      ringings: [
        { from: 6, until: 11 },
        { from: 23, until: 28 },
      ],
    });
  });

  it.each([
    { case: 'two failures', metrics: [{ name: 'StepBroken', minutes: [10, 11] }] },
    {
      case: 'a failure of one step',
      metrics: [{ name: 'StepBroken', minutes: from(1, 9), step: 'Count Running' }],
    },
    { case: 'another fleet', metrics: [{ name: 'StepBroken', minutes: from(1, 9), fleet: 'windows' }] },
    { case: 'a count of 0', metrics: [{ name: 'StepBroken', minutes: from(1, 9), value: 0 }] },
    {
      case: 'tasks that wait for less than starvingAfter',
      metrics: [
        { name: 'Starving', minutes: [0, 12], value: 0 },
        { name: 'Starving', minutes: from(1, 11) },
      ],
    },
    {
      case: 'tasks that wait for longer, if one of them is claimed',
      metrics: [
        { name: 'Starving', minutes: [0, 12, 24], value: 0 },
        { name: 'Starving', minutes: from(1, 29) },
      ],
    },
  ])('do not ring for $case', ({ metrics }) => {
    expect(alarms(metrics)).toEqual([]);
  });

  it('ring when tasks wait for as long as starvingAfter', () => {
    const claimed = { name: 'Starving', minutes: [0, 13], value: 0 };
    // Up to 2 minutes pass until an execution has seen it, and a minute until CloudWatch judges it.
    expect(alarms([claimed, { name: 'Starving', minutes: from(1, 12) }])[0]).toMatchObject({
      heading: `${NEEDS_YOU}: linux`,
      ringings: [{ from: 13, until: 14 }],
    });
  });

  it('do not take one fleet that fails on its own for an outage, which could hide the next one', () => {
    const why = { name: 'StepBroken', minutes: from(0, 29), fleet: 'macos' };
    const given = { silent: ['linux', 'macos'], alone: from(0, 29) };
    expect(alarms([why], given).map(({ heading }) => heading)).toEqual([
      `${NEEDS_YOU}: linux`,
      'Scaler Not Running: linux',
      `${NEEDS_YOU}: macos`,
      'Scaler Not Running: macos',
      'Step Broken: macos',
    ]);
  });

  it('ring for a fleet without polls, unless another alarm has the cause', () => {
    expect(alarms([], { silent: ['macos'] })).toEqual([
      { heading: `${NEEDS_YOU}: macos`, ringings: [{ from: 7 }] },
      { heading: 'Scaler Not Running: macos', ringings: [{ from: 7 }] },
    ]);
    expect(alarms([], { silent: ['macos'], outage: from(0, 29) }).map(({ heading }) => heading)).toEqual([
      OUTAGE,
      'Scaler Not Running: macos',
      'Executions Failed',
    ]);
    const why = { name: 'SecretsUnreadable', minutes: from(0, 29), fleet: 'macos' };
    expect(alarms([why], { silent: ['macos'] }).map(({ heading }) => heading)).toEqual([
      `${NEEDS_YOU}: macos`,
      'Scaler Not Running: macos',
      'Secrets Unreadable: macos',
    ]);
  });

  it('ring for failures of all fleets, also beside a fleet that needs somebody', () => {
    const why = { name: 'SecretsUnreadable', minutes: from(0, 29) };
    expect(alarms([why], { outage: from(10, 12) }).map(({ heading }) => heading)).toEqual([
      OUTAGE,
      `${NEEDS_YOU}: linux`,
      'Secrets Unreadable: linux',
      'Executions Failed',
    ]);
  });

  it('ring for executions that time out, also if another alarm rings', () => {
    const why = { name: 'SecretsUnreadable', minutes: from(0, 29) };
    const headings = alarms([why], { timedOut: from(10, 12) }).map(({ heading }) => heading);
    expect(headings).toEqual([
      OUTAGE,
      `${NEEDS_YOU}: linux`,
      'Secrets Unreadable: linux',
      'Executions Timed Out',
    ]);
  });
});
