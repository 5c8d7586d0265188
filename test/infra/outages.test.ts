import type { Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { EACH_FLEET, threeFleets } from '../support/fleets.ts';
import { appOf } from './template.ts';

const Properties = z.object({
  AlarmName: z.string(),
  AlarmRule: z.string().default(''),
  AlarmActions: z.array(z.unknown()).default([]),
});

/** The alarms of stacks, as CloudWatch has them ring. */
class Ringing {
  readonly metric: string[];
  readonly rules: Map<string, string>;
  readonly #speaking: Set<string>;

  constructor(stacks: Stack[]) {
    const templates = stacks.map((stack) => Template.fromStack(stack));
    const properties = (type: string) =>
      templates
        .flatMap((template) => Object.values(template.findResources(type)))
        .map((resource) => Properties.parse(resource.Properties));
    const metric = properties('AWS::CloudWatch::Alarm');
    const composite = properties('AWS::CloudWatch::CompositeAlarm');
    this.metric = metric.map(({ AlarmName }) => AlarmName);
    this.rules = new Map(composite.map(({ AlarmName, AlarmRule }) => [AlarmName, AlarmRule]));
    this.#speaking = new Set(
      [...metric, ...composite].flatMap(({ AlarmName, AlarmActions }) =>
        AlarmActions.length > 0 ? [AlarmName] : [],
      ),
    );
  }

  speaks(name: string): boolean {
    return this.#speaking.has(name);
  }

  /** Whom the alarms tell of something that lets these ring. */
  notified(ringing: string[]): string[] {
    const unknown = ringing.filter((name) => !this.metric.includes(name));
    if (unknown.length > 0) throw new Error(`No alarm is called ${unknown}`);
    const rings = (name: string): boolean => {
      const rule = this.rules.get(name);
      return rule === undefined ? ringing.includes(name) : holds(rule, rings);
    };
    return [...this.rules.keys(), ...this.metric]
      .filter((name) => this.speaks(name) && rings(name))
      .toSorted();
  }
}

const alarmsIn = (rule: string) => [...rule.matchAll(/ALARM\("([^"]+)"\)/g)].map(([, name = '']) => name);

/** Whether a rule holds, by the grammar of https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutCompositeAlarm.html */
function holds(rule: string, rings: (alarm: string) => boolean): boolean {
  const tokens = rule.match(/ALARM\("[^"]+"\)|\(|\)|AND|OR|NOT|\S/g) ?? [];
  const next = () => tokens.shift() ?? 'the end';
  const operand = (): boolean => {
    const token = next();
    if (token === 'NOT') return !operand();
    if (token === '(') {
      const value = expression();
      if (next() !== ')') throw new Error(`No ) in ${rule}`);
      return value;
    }
    const [name] = alarmsIn(token);
    if (name === undefined) throw new Error(`${token} in ${rule}`);
    return rings(name);
  };
  const expression = (): boolean => {
    let value = operand();
    const operators = new Set<string>();
    while (tokens[0] === 'AND' || tokens[0] === 'OR') {
      const operator = next();
      const other = operand();
      value = operator === 'AND' ? value && other : value || other;
      // Without brackets it would take the operators' precedence to read it.
      if (operators.add(operator).size > 1) throw new Error(`AND beside OR in ${rule}`);
    }
    return value;
  };
  const value = expression();
  if (tokens.length > 0) throw new Error(`${tokens} at the end of ${rule}`);
  return value;
}

const { shared, fleets } = appOf(threeFleets()).stacks;
const alarms = new Ringing([shared, ...fleets]);
const of = (fleet: string, ...kinds: string[]) => kinds.map((kind) => `circleci-runners-${fleet}-${kind}`);
const ofEach = (...kinds: string[]) => EACH_FLEET.flatMap(({ name }) => of(name, ...kinds));
const ofAll = (...kinds: string[]) => kinds.map((kind) => `circleci-runners-${kind}`);

describe('one cause sends one notification:', () => {
  it.each([
    { cause: 'nothing', rings: [], notified: [] },
    {
      cause: 'CircleCI goes down',
      rings: [...ofEach('CircleCiUnavailable'), ...ofAll('ExecutionsFailed')],
      notified: ofAll('Outage'),
    },
    {
      cause: 'CircleCI is down for long',
      rings: [...ofEach('CircleCiUnavailable', 'NotRunning'), ...ofAll('ExecutionsFailed')],
      notified: ofAll('Outage'),
    },
    {
      cause: 'CircleCI hangs',
      rings: [...ofEach('ExecutionOverTime', 'NotRunning'), ...ofAll('ExecutionsFailed')],
      notified: ofAll('Outage'),
    },
    {
      cause: 'CircleCI refuses the token of one fleet',
      rings: of('arm', 'CircleCiRefuses', 'NotRunning'),
      notified: of('arm', 'NeedsYou'),
    },
    {
      cause: 'the secret of one fleet cannot be read',
      rings: of('linux-large', 'SecretsUnreadable', 'NotRunning'),
      notified: of('linux-large', 'NeedsYou'),
    },
    {
      cause: 'somebody removes the group of one fleet',
      rings: of('owned', 'GroupUnreadable', 'NotRunning'),
      notified: of('owned', 'NeedsYou'),
    },
    {
      cause: 'somebody takes the right to change the group of one fleet',
      rings: of('owned', 'GroupUpdateRefused'),
      notified: of('owned', 'NeedsYou'),
    },
    {
      cause: 'half a deployment',
      rings: of('arm', 'DecisionInvalid', 'NotRunning'),
      notified: of('arm', 'NeedsYou'),
    },
    {
      cause: 'the instances of one fleet do not boot',
      rings: of('arm', 'LaunchesFailing', 'BreakerOpen', 'Starving'),
      notified: of('arm', 'NeedsYou'),
    },
    {
      cause: 'no instance claims tasks',
      rings: of('arm', 'Starving'),
      notified: of('arm', 'NeedsYou'),
    },
    {
      cause: 'a crash in a step',
      rings: [...ofEach('StepBroken', 'NotRunning'), ...ofAll('ExecutionsFailed')],
      notified: ofAll('Outage'),
    },
    { cause: 'somebody stops the schedules', rings: ofEach('NotRunning'), notified: ofEach('NeedsYou') },
    { cause: 'somebody stops one schedule', rings: of('arm', 'NotRunning'), notified: of('arm', 'NeedsYou') },
    {
      cause: 'a schedule may not start executions',
      rings: [...ofEach('NotRunning'), ...ofAll('DeliveryFailing')],
      notified: ofAll('Outage'),
    },
    {
      cause: 'Step Functions is slow',
      rings: [...ofEach('NotRunning'), ...ofAll('ExecutionsTimedOut')],
      notified: ofAll('Outage'),
    },
    {
      cause: 'the account is at a limit',
      rings: ofAll('ExecutionsThrottled', 'DeliveryFailing'),
      notified: ofAll('Outage'),
    },
    {
      cause: 'the settings of one fleet cannot be read',
      rings: of('arm', 'NotRunning'),
      notified: of('arm', 'NeedsYou'),
    },
    { cause: 'a fleet that is too small', rings: of('arm', 'Saturated'), notified: of('arm', 'Saturated') },
  ])('$cause', ({ rings, notified }) => {
    expect(alarms.notified(rings)).toEqual(notified);
  });

  it('two causes send two notifications, and neither hides the other', () => {
    expect(
      alarms.notified([
        ...of('arm', 'SecretsUnreadable', 'NotRunning'),
        ...of('owned', 'CircleCiUnavailable', 'NotRunning'),
        ...ofAll('ExecutionsFailed'),
      ]),
    ).toEqual([...ofAll('Outage'), ...of('arm', 'NeedsYou')].toSorted());
    expect(
      alarms.notified([...of('arm', 'SecretsUnreadable', 'NotRunning'), ...of('owned', 'NotRunning')]),
    ).toEqual([...of('arm', 'NeedsYou'), ...of('owned', 'NeedsYou')]);
  });

  /** What `Outage` is about rings no alarm of a fleet without this one. */
  const withOutage = (name: string) =>
    /(CircleCiUnavailable|ExecutionOverTime|StepBroken)$/.test(name)
      ? [name, ...ofAll('ExecutionsFailed')]
      : [name];

  it.each(alarms.metric)('%s alone sends a notification', (name) => {
    expect(alarms.notified(withOutage(name))).toHaveLength(1);
  });
});

describe('the rules over alarms', () => {
  const { metric, rules } = alarms;

  it('have no more characters and alarms than CloudWatch allows', () => {
    for (const rule of rules.values()) {
      expect(rule.length).toBeLessThanOrEqual(10_240);
      expect(new Set(alarmsIn(rule)).size).toBeLessThanOrEqual(100);
    }
  });

  it('name only alarms that exist', () => {
    const known = new Set([...metric, ...rules.keys()]);
    expect([...rules.values()].flatMap(alarmsIn).filter((name) => !known.has(name))).toEqual([]);
  });

  it('contain each alarm of the stack, and of a fleet those that need you', () => {
    const held = [...rules.values()].flatMap(alarmsIn).filter((name) => metric.includes(name));
    const notHeld = metric.filter((name) => !alarms.speaks(name) && !held.includes(name));
    expect(notHeld.toSorted()).toEqual(
      ofEach('CircleCiUnavailable', 'ExecutionOverTime', 'StepBroken').toSorted(),
    );
    expect(new Set(held).size).toBe(held.length);
  });

  it('of the stack contain no alarm of a fleet, which could then not be removed', () => {
    expect(alarmsIn(rules.get('circleci-runners-Outage') ?? '')).toEqual(
      ofAll('ExecutionsFailed', 'ExecutionsTimedOut', 'ExecutionsThrottled', 'DeliveryFailing'),
    );
  });
});
