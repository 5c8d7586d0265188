import { describe, expect, it } from 'vitest';
import { leaveOutUnknown } from '../../cli/local-aws/template.ts';
import { SynthesisedTemplate } from '../infra/template.ts';
import { fleetsWith, threeFleets } from '../support/fleets.ts';

function edited(template: object) {
  const { template: text, leftOut } = leaveOutUnknown(JSON.stringify(template));
  return { template: JSON.parse(text), leftOut };
}

const QUEUE = { Type: 'AWS::SQS::Queue' };
const COMPOSITE = {
  Type: 'AWS::CloudWatch::CompositeAlarm',
  Properties: { AlarmActions: [{ Ref: 'Queue' }] },
};
const QUERY = { Type: 'AWS::Logs::QueryDefinition' };
const POOL = { Type: 'AWS::AutoScaling::WarmPool' };

describe('a template for the local AWS', () => {
  it('leaves out resources of unsupported types, and returns them', () => {
    const { template, leftOut } = edited({
      Resources: { Composite: COMPOSITE, Queue: QUEUE, Query: QUERY, Pool: POOL },
    });
    expect(template).toEqual({ Resources: { Queue: QUEUE } });
    expect(leftOut).toEqual({ Composite: COMPOSITE, Query: QUERY, Pool: POOL });
  });

  it('has an alarm over several metrics watch the last of them', () => {
    const metric = (MetricName: string) => ({
      Metric: { Namespace: 'A', MetricName },
      Period: 60,
      Stat: 'Sum',
    });
    const Metrics = [
      { Id: 'all', Expression: 'failed - counted' },
      { Id: 'failed', MetricStat: metric('Failed') },
      { Id: 'counted', MetricStat: metric('Counted') },
    ];
    const alarm = (more: object) => ({
      Type: 'AWS::CloudWatch::Alarm',
      Properties: { Threshold: 1, ...more },
    });
    const one = { Namespace: 'A', MetricName: 'Counted', Period: 60, Statistic: 'Sum' };
    const { template } = edited({ Resources: { Several: alarm({ Metrics }), One: alarm(one) } });
    expect(template.Resources).toEqual({ Several: alarm(one), One: alarm(one) });
  });

  it('has each lifecycle hook of a group as a resource of its own', () => {
    const hook = { LifecycleHookName: 'launch', HeartbeatTimeout: 600 };
    const group = {
      Type: 'AWS::AutoScaling::AutoScalingGroup',
      Properties: { MaxSize: '10', LifecycleHookSpecificationList: [hook] },
    };
    const { template } = edited({ Resources: { Group: group } });
    expect(template.Resources).toEqual({
      Group: { Type: group.Type, Properties: { MaxSize: '10' } },
      GroupHook0: {
        Type: 'AWS::AutoScaling::LifecycleHook',
        Properties: { ...hook, AutoScalingGroupName: { Ref: 'Group' } },
      },
    });
  });

  it('keeps only dependencies on resources that it has', () => {
    const topic = { Type: 'AWS::SNS::Topic', DependsOn: ['Composite', 'Queue'] };
    const { template } = edited({ Resources: { Composite: COMPOSITE, Queue: QUEUE, Topic: topic } });
    expect(template.Resources.Topic.DependsOn).toEqual(['Queue']);
  });

  it.each([
    { case: 'a resource', reference: { Ref: 'Composite' }, text: 'Composite' },
    { case: 'an attribute', reference: { 'Fn::GetAtt': ['Composite', 'Arn'] }, text: 'Composite' },
    {
      case: 'an attribute within a text',
      reference: { 'Fn::Join': ['', ['["', { 'Fn::GetAtt': ['Composite', 'Arn'] }, '"]']] },
      text: { 'Fn::Join': ['', ['["', 'Composite', '"]']] },
    },
  ])('replaces $case of a removed resource by its logical id', ({ reference, text }) => {
    const { template } = edited({
      Resources: { Composite: COMPOSITE, Topic: { Type: 'AWS::SNS::Topic', Properties: { reference } } },
      Outputs: { Output: { Value: reference } },
    });
    expect(template.Resources.Topic.Properties.reference).toEqual(text);
    expect(template.Outputs.Output.Value).toEqual(text);
  });

  it.each([
    { reference: { Ref: 'Queue' } },
    { reference: { Ref: 'AWS::Region' } },
    { reference: { 'Fn::GetAtt': ['Queue', 'Arn'] } },
  ])('keeps other references: $reference', ({ reference }) => {
    const queue = { ...QUEUE, Properties: { reference } };
    expect(edited({ Resources: { Composite: COMPOSITE, Queue: queue } }).template.Resources.Queue).toEqual(
      queue,
    );
  });

  it('leaves out the pipeline of an image that is built, and keeps its parameter and its function', () => {
    const { templates } = SynthesisedTemplate.of(fleetsWith({ built: { image: '{build: weekly}' } }));
    const types = (resources: Record<string, { Type: string }>) =>
      Object.values(resources).map(({ Type }) => Type);
    const edits = templates.map(({ json }) => edited(json));
    const leftOut = edits.flatMap((edit) => types(edit.leftOut));
    expect(leftOut.filter((type) => type.startsWith('AWS::ImageBuilder::'))).toHaveLength(7);
    const kept = edits.flatMap(({ template }) => types(template.Resources));
    expect(kept.filter((type) => type.startsWith('AWS::ImageBuilder::'))).toEqual([]);
    expect(kept).toContain('Custom::circleci-runners-image');
    const functions = edits.flatMap(({ template }) =>
      Object.values<{ Properties?: { FunctionName?: string } }>(template.Resources).map(
        ({ Properties }) => Properties?.FunctionName,
      ),
    );
    expect(functions).toContain('circleci-runners-images');
  });

  it('leaves out only composite alarms and saved queries of the app, and the math of one alarm, and moves the hooks', () => {
    const edits = SynthesisedTemplate.of(threeFleets()).templates.map(({ json }) => {
      const { template, leftOut } = edited(json);
      const resources = Object.entries<{ Type: string }>(template.Resources);
      const kept = resources.filter(([id]) => Object.hasOwn(json.Resources, id));
      const added = resources.filter(([id]) => !Object.hasOwn(json.Resources, id));
      expect([...kept.map(([id]) => id), ...Object.keys(leftOut)].sort()).toEqual(
        Object.keys(json.Resources).sort(),
      );
      const groups = Object.values<{ Type: string }>(json.Resources).filter(
        ({ Type }) => Type === 'AWS::AutoScaling::AutoScalingGroup',
      );
      expect(added.map(([, { Type }]) => Type)).toEqual(groups.map(() => 'AWS::AutoScaling::LifecycleHook'));
      const changed = kept.filter(
        ([id, resource]) => JSON.stringify(resource) !== JSON.stringify(json.Resources[id]),
      );
      expect(template.Outputs).toEqual(json.Outputs);
      const names = changed.map(
        ([, resource]) => Object(resource).Properties.AlarmName ?? Object(resource).Type,
      );
      return { leftOut: Object.values(leftOut).map(({ Type }) => Type), changed: names };
    });
    expect(new Set(edits.flatMap(({ leftOut }) => leftOut))).toEqual(new Set([COMPOSITE.Type, QUERY.Type]));
    // The dashboard refers to what is left out, and so do the schedule and the settings of a group, which are made last.
    expect(new Set(edits.flatMap(({ changed }) => changed))).toEqual(
      new Set([
        'AWS::AutoScaling::AutoScalingGroup',
        'AWS::CloudWatch::Dashboard',
        'AWS::Scheduler::Schedule',
        'Custom::circleci-runners-fleet',
        'circleci-runners-ExecutionsFailed',
      ]),
    );
  });
});
