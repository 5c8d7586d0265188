import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { MOST_FLEETS_IN_ROWS } from '../../infra/dashboard.ts';
import { manyFleets } from '../support/fleets.ts';
import { SynthesisedTemplate } from './template.ts';

const Body = z.object({
  variables: z
    .array(
      z.looseObject({
        type: z.string(),
        pattern: z.string(),
        defaultValue: z.string().optional(),
        values: z.array(z.object({ value: z.string(), label: z.string() })),
      }),
    )
    .default([]),
  widgets: z.array(z.looseObject({ type: z.string() })),
});

const dashboardOf = (fleets: number) => {
  const template = SynthesisedTemplate.of(manyFleets(fleets));
  const text = String(template.the('AWS::CloudWatch::Dashboard').properties.DashboardBody);
  return { template, text, body: Body.parse(JSON.parse(text)) };
};

describe('the dashboard of more fleets than rows', () => {
  const { template, body } = dashboardOf(MOST_FLEETS_IN_ROWS + 1);
  const [menu, ...others] = body.variables;
  if (menu === undefined) throw new Error('It has no menu');
  const widgets = JSON.stringify(body.widgets);
  const alarms = ['CompositeAlarm', 'Alarm'].flatMap((type) =>
    template.all(`AWS::CloudWatch::${type}`).map(({ properties }) => String(properties.AlarmName)),
  );

  it('has one menu, of all fleets', () => {
    expect(others).toEqual([]);
    expect(menu.type).toBe('pattern');
    expect(menu.defaultValue).toBe('fleet-0');
    expect(menu.values).toEqual(
      Array.from({ length: MOST_FLEETS_IN_ROWS + 1 }, (_, index) => ({
        value: `fleet-${index}`,
        label: `fleet-${index}`,
      })),
    );
  });

  it('names no fleet but the chosen one', () => {
    expect(widgets).toContain(menu.pattern);
    expect(widgets).not.toMatch(/fleet-\d|acme\//);
  });

  it.each(['fleet-0', `fleet-${MOST_FLEETS_IN_ROWS}`])('shows all alarms of %s if it is chosen', (fleet) => {
    const shown = widgets.replaceAll(menu.pattern, fleet);
    const named = [...shown.matchAll(/:alarm:([\w-]+)/g)].map(([, name]) => name).toSorted();
    expect(named.length).toBeGreaterThan(20);
    expect(named).toEqual(alarms.filter((name) => name.startsWith(`circleci-runners-${fleet}-`)).toSorted());
    expect(shown).toContain(`"Fleet","${fleet}"`);
    expect(shown).toContain(`"AutoScalingGroupName","circleci-runners-${fleet}"`);
  });

  it('is as small as that of one fleet, but for the menu', () => {
    expect(body.widgets).toHaveLength(dashboardOf(1).body.widgets.length);
  });
});

it('the dashboard of as many fleets as rows has no menu, and no more widgets than CloudWatch allows', () => {
  const { body } = dashboardOf(MOST_FLEETS_IN_ROWS);
  expect(body.variables).toEqual([]);
  expect(body.widgets.length).toBeLessThanOrEqual(500);
});
