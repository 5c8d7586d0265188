import {
  CloudWatchClient,
  DescribeAlarmsCommand,
  GetMetricStatisticsCommand,
  PutCompositeAlarmCommand,
  SetAlarmStateCommand,
} from '@aws-sdk/client-cloudwatch';
import { ListTopicsCommand, SNSClient, SubscribeCommand } from '@aws-sdk/client-sns';
import {
  CreateQueueCommand,
  DeleteMessageCommand,
  GetQueueAttributesCommand,
  ReceiveMessageCommand,
  SQSClient,
} from '@aws-sdk/client-sqs';
import * as z from 'zod';
import type { Resources } from '../../cli/local-aws/template.ts';

const STACK = 'circleci-runners';

/** How many failures of a kind CloudWatch has counted for the fleet in the last hour. */
export async function failures(fleet: string, kind: string): Promise<number> {
  const now = Date.now();
  const answer = await new CloudWatchClient({}).send(
    new GetMetricStatisticsCommand({
      Namespace: 'CircleCIRunnerAutoscaler/circleci-runners',
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

/** The state of each alarm, and of each over alarms, by its name behind the stack's. */
export async function alarmStates(): Promise<Record<string, string | undefined>> {
  const { MetricAlarms = [], CompositeAlarms = [] } = await new CloudWatchClient({}).send(
    new DescribeAlarmsCommand({ AlarmTypes: ['MetricAlarm', 'CompositeAlarm'] }),
  );
  return Object.fromEntries(
    [...MetricAlarms, ...CompositeAlarms].map((alarm) => [
      alarm.AlarmName?.replace(`${STACK}-`, ''),
      alarm.StateValue,
    ]),
  );
}

/** Sets the state of an alarm, until CloudWatch evaluates it again. */
export async function setAlarmState(name: string, state: 'OK' | 'ALARM'): Promise<void> {
  await new CloudWatchClient({}).send(
    new SetAlarmStateCommand({ AlarmName: `${STACK}-${name}`, StateValue: state, StateReason: 'A test' }),
  );
}

/** Makes the alarms over alarms as the template has them: the deployment left them out. */
export async function makeCompositeAlarms(leftOut: Resources): Promise<void> {
  const TopicArn = await topicArn();
  // Stacks refer to the topic by its name, and it is the only one here.
  const Topic = z.unknown().transform(() => TopicArn);
  const CompositeAlarm = z.strictObject({
    AlarmName: z.string(),
    AlarmDescription: z.string(),
    AlarmRule: z.string(),
    AlarmActions: z.array(Topic),
    OKActions: z.array(Topic),
  });
  const cloudWatch = new CloudWatchClient({});
  const composites = Object.values(leftOut)
    .filter(({ Type }) => Type === 'AWS::CloudWatch::CompositeAlarm')
    .map(({ Properties }) => CompositeAlarm.parse(Properties))
    // A deployment makes the shared stack first, whose alarm those of fleets name.
    .toSorted((a, b) => a.AlarmName.split('-').length - b.AlarmName.split('-').length);
  for (const composite of composites) await cloudWatch.send(new PutCompositeAlarmCommand(composite));
}

/** The topic that all fleets share. */
async function topicArn(): Promise<string> {
  const { Topics = [] } = await new SNSClient({}).send(new ListTopicsCommand({}));
  return Topics.find((topic) => topic.TopicArn?.endsWith(`:${STACK}`))?.TopicArn ?? '';
}

interface Notification {
  Subject: string;
  Message: string;
}

const Envelope = z.object({ Subject: z.string(), Message: z.string() });

/**
 * Listens to the stack's topic with a queue.
 *
 * @returns What gives everything that the topic has sent since, the oldest first.
 */
export async function listen(): Promise<() => Promise<Notification[]>> {
  const sns = new SNSClient({});
  const sqs = new SQSClient({});
  const TopicArn = await topicArn();
  const { QueueUrl } = await sqs.send(new CreateQueueCommand({ QueueName: 'received' }));
  const { Attributes } = await sqs.send(
    new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ['QueueArn'] }),
  );
  await sns.send(new SubscribeCommand({ TopicArn, Protocol: 'sqs', Endpoint: Attributes?.QueueArn }));
  const received: Notification[] = [];
  return async () => {
    for (;;) {
      const { Messages = [] } = await sqs.send(new ReceiveMessageCommand({ QueueUrl }));
      const [message] = Messages;
      if (message === undefined) return received;
      received.push(Envelope.parse(JSON.parse(message.Body ?? '')));
      await sqs.send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle: message.ReceiptHandle }));
    }
  };
}

const AlarmChange = z.object({
  AlarmName: z.string(),
  NewStateValue: z.string(),
  AlarmDescription: z.string(),
});

/** The alarms among notifications: name behind the stack's, state and description of each. */
export function alarmChanges(
  received: Notification[],
): { name: string; state: string; description: string }[] {
  return received
    .filter(({ Message }) => Message.startsWith('{'))
    .map(({ Message }) => AlarmChange.parse(JSON.parse(Message)))
    .map(({ AlarmName, NewStateValue, AlarmDescription }) => ({
      name: AlarmName.replace(`${STACK}-`, ''),
      state: NewStateValue,
      description: AlarmDescription,
    }));
}
