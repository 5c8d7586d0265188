import { CloudFormationClient, GetTemplateCommand } from '@aws-sdk/client-cloudformation';
import {
  CloudWatchClient,
  DescribeAlarmsCommand,
  GetMetricStatisticsCommand,
  PutCompositeAlarmCommand,
} from '@aws-sdk/client-cloudwatch';
import { ListTopicsCommand, SNSClient, SubscribeCommand } from '@aws-sdk/client-sns';
import {
  CreateQueueCommand,
  GetQueueAttributesCommand,
  ReceiveMessageCommand,
  SQSClient,
} from '@aws-sdk/client-sqs';
import * as z from 'zod';

const STACK = 'circleci-runners';

/** How many failures of a kind CloudWatch has counted for the fleet in the last hour. */
export async function failures(fleet: string, kind: string): Promise<number> {
  const now = Date.now();
  const answer = await new CloudWatchClient({}).send(
    new GetMetricStatisticsCommand({
      Namespace: 'CircleCIRunnerAutoscaler',
      MetricName: kind,
      Dimensions: [{ Name: 'Fleet', Value: fleet }],
      StartTime: new Date(now - 3_600_000),
      EndTime: new Date(now + 60_000),
      Period: 60,
      Statistics: ['Sum'],
    }),
  );
  return (answer.Datapoints ?? []).reduce((sum, point) => sum + (point.Sum ?? 0), 0);
}

/** The state of an alarm, or of one over alarms, by its name behind the stack's. */
export async function alarmState(name: string): Promise<string | undefined> {
  const { MetricAlarms = [], CompositeAlarms = [] } = await new CloudWatchClient({}).send(
    new DescribeAlarmsCommand({
      AlarmNames: [`${STACK}-${name}`],
      AlarmTypes: ['MetricAlarm', 'CompositeAlarm'],
    }),
  );
  return [...MetricAlarms, ...CompositeAlarms][0]?.StateValue;
}

const Template = z.object({
  Resources: z.record(
    z.string(),
    z.looseObject({ Type: z.string(), Properties: z.record(z.string(), z.unknown()).default({}) }),
  ),
});

/**
 * Listens to the stack's topic with a queue. Before that it makes the alarms over alarms, as they are in the
 * template: MiniStack's CloudFormation records them and makes none, its CloudWatch knows them well.
 *
 * @returns What gives the next message, and waits for one up to 20 s.
 */
export async function listen(): Promise<() => Promise<Record<string, unknown>>> {
  const { TemplateBody } = await new CloudFormationClient({}).send(
    new GetTemplateCommand({ StackName: STACK }),
  );
  const { Resources } = Template.parse(JSON.parse(TemplateBody ?? ''));
  const sns = new SNSClient({});
  const { Topics = [] } = await sns.send(new ListTopicsCommand({}));
  const TopicArn = Topics.find((topic) => topic.TopicArn?.includes(STACK))?.TopicArn ?? '';
  for (const { Type, Properties } of Object.values(Resources)) {
    if (Type !== 'AWS::CloudWatch::CompositeAlarm') continue;
    await new CloudWatchClient({}).send(
      new PutCompositeAlarmCommand({
        AlarmName: String(Properties.AlarmName),
        AlarmDescription: String(Properties.AlarmDescription),
        AlarmRule: String(Properties.AlarmRule),
        AlarmActions: [TopicArn],
        OKActions: [TopicArn],
      }),
    );
  }
  const sqs = new SQSClient({});
  const { QueueUrl } = await sqs.send(new CreateQueueCommand({ QueueName: 'told' }));
  const { Attributes } = await sqs.send(
    new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ['QueueArn'] }),
  );
  await sns.send(new SubscribeCommand({ TopicArn, Protocol: 'sqs', Endpoint: Attributes?.QueueArn }));
  return async () => {
    const { Messages = [] } = await sqs.send(new ReceiveMessageCommand({ QueueUrl, WaitTimeSeconds: 20 }));
    return JSON.parse(JSON.parse(Messages[0]?.Body ?? '{"Message":"{}"}').Message);
  };
}
