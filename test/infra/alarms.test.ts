import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { EACH_FLEET, threeFleets } from './fleets.ts';
import { SynthesisedTemplate } from './template.ts';

const template = new SynthesisedTemplate(threeFleets());

describe('every alarm', () => {
  const operations = readFileSync('docs/operations.md', 'utf8');
  const alarms = template.all('AWS::CloudWatch::Alarm');
  const topic = 'Topic(AlarmsTopic)';

  it("watches a failure: of each fleet's steps, or of the executions", () => {
    expect(
      alarms.map(({ id, properties }) => [id.slice(0, -8), properties.MetricName, properties.Dimensions]),
    ).toEqual([
      ...EACH_FLEET.map(({ id, name }) => [
        `Alarms${id}StepFailed`,
        'StepFailed',
        [{ Name: 'Fleet', Value: name }],
      ]),
      [
        'AlarmsExecutionsFailed',
        'ExecutionsFailed',
        [{ Name: 'StateMachineArn', Value: 'StateMachine(circleci-runners)' }],
      ],
      [
        'AlarmsExecutionsTimedOut',
        'ExecutionsTimedOut',
        [{ Name: 'StateMachineArn', Value: 'StateMachine(circleci-runners)' }],
      ],
    ]);
    expect(alarms[0]?.properties.Namespace).toBe('CircleCIRunnerAutoscaler');
  });

  it.each(alarms)(
    '$id says what is wrong and where to read on, and tells the topic of its coming and going',
    ({ properties }) => {
      expect(properties).toMatchObject({
        AlarmActions: [topic],
        OKActions: [topic],
        TreatMissingData: 'notBreaching',
      });
      const [, heading] =
        / See docs\/operations\.md, "(.+)"\.$/.exec(String(properties.AlarmDescription)) ?? [];
      expect(operations).toContain(`\n## ${heading}\n`);
    },
  );

  it('may speak to the topic, whose own policy would otherwise keep it silent', () => {
    expect(template.the('AWS::SNS::TopicPolicy').properties).toMatchObject({
      Topics: [topic],
      PolicyDocument: {
        Statement: expect.arrayContaining([
          {
            Sid: expect.any(String),
            Effect: 'Allow',
            Principal: { Service: 'cloudwatch.amazonaws.com' },
            Action: 'sns:Publish',
            Resource: topic,
            Condition: { StringEquals: { 'aws:SourceAccount': '111122223333' } },
          },
        ]),
      },
    });
  });

  it('is told to each address once', () => {
    expect(template.all('AWS::SNS::Subscription').map(({ properties }) => properties)).toEqual([
      { Protocol: 'email', Endpoint: 'ops@acme.example', TopicArn: topic },
    ]);
  });
});
