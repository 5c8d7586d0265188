import { AutoScalingClient } from '@aws-sdk/client-auto-scaling';
import {
  CreateTagsCommand,
  DeleteTagsCommand,
  DescribeImagesCommand,
  EC2Client,
  type Image,
} from '@aws-sdk/client-ec2';
import { GetImageCommand, ImagebuilderClient } from '@aws-sdk/client-imagebuilder';
import { PublishCommand, SNSClient } from '@aws-sdk/client-sns';
import { paginateGetParametersByPath, SSMClient } from '@aws-sdk/client-ssm';
import * as z from 'zod/mini';
import { connectionSettings } from '../functions/lib/client-settings.ts';
import { builtImageParameter, imageMessagesParameter } from '../functions/lib/fleet-names.ts';
import { changesOf, imageOnTrial, imagesBefore, isUnpublished } from '../functions/lib/images.ts';
import { printable } from '../functions/lib/printable.ts';
import { IMAGE_IN_USE_TAG, STACK_TAG } from '../functions/lib/tags.ts';
import { answer, checkedRequest } from './group-settings-request.ts';
import { sendOnce, unsent } from './image-messages.ts';
import { parameterValue, versionsOf, write } from './image-parameters.ts';
import { replaceOldMembers } from './pool-images.ts';

/** What the function calls. */
interface Clients {
  autoScaling: AutoScalingClient;
  ssm: SSMClient;
  ec2: EC2Client;
  sns: SNSClient;
  imageBuilder: ImagebuilderClient;
}

/** Retries, unlike the clients of the steps, because no workflow retries this function. */
const settings = { ...connectionSettings, maxAttempts: 3 };
const PRODUCTION: Clients = {
  autoScaling: new AutoScalingClient(settings),
  ssm: new SSMClient(settings),
  ec2: new EC2Client(settings),
  sns: new SNSClient(settings),
  imageBuilder: new ImagebuilderClient(settings),
};

type Handler = (event: unknown) => Promise<void>;

/** https://docs.aws.amazon.com/imagebuilder/latest/userguide/integ-eventbridge.html */
const ImageEvent = z.object({
  source: z.literal('aws.imagebuilder'),
  resources: z.tuple([z.string()], z.string()),
  detail: z.object({ state: z.object({ status: z.enum(['AVAILABLE', 'FAILED']) }) }),
});

/** https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch-and-eventbridge.html */
const AlarmEvent = z.object({
  source: z.literal('aws.cloudwatch'),
  time: z.string().check(z.refine((time) => !Number.isNaN(Date.parse(time)))),
  detail: z.object({ alarmName: z.string() }),
});

/** The rule by which the images of warm pools are compared: https://docs.aws.amazon.com/lambda/latest/dg/with-eventbridge-scheduler.html */
const ScheduledEvent = z.object({
  source: z.literal('aws.events'),
  'detail-type': z.literal('Scheduled Event'),
});

/** What this function reads of a fleet's settings. */
const FleetSettings = z.object({
  imageBuiltBy: z.optional(z.string()),
  imageSource: z.optional(z.string()),
  alarmTopicArn: z.string(),
});

/** A fleet for which an image is built. */
interface Fleet {
  name: string;
  imageBuiltBy: string;
  imageSource: string | undefined;
  alarmTopicArn: string;
}

const stack = () => process.env.STACK_NAME ?? '';

/**
 * Brings built images to the fleets of the app. CloudFormation asks it to write the parameter of a new fleet. EC2 Image
 * Builder reports builds: an image goes into the parameter of each fleet that has it, and a failure notifies people. If
 * the breaker of a fleet opens within an hour of a new image, the fleet gets the image before it again. Every 10 minutes, it
 * replaces some of the instances in warm pools that have another image than their fleet.
 */
export const handler: Handler & { with(clients: Clients): Handler } = Object.assign(handlerIn(PRODUCTION), {
  with: handlerIn,
});

function handlerIn(clients: Clients): Handler {
  return (event) => handle(event, clients);
}

async function handle(event: unknown, clients: Clients): Promise<void> {
  const built = z.safeParse(ImageEvent, event);
  if (built.success) {
    const [arn] = built.data.resources;
    return built.data.detail.state.status === 'AVAILABLE'
      ? publish(arn, clients)
      : tellOfFailure(arn, clients);
  }
  const alarm = z.safeParse(AlarmEvent, event);
  if (alarm.success) return rollBack(alarm.data.detail.alarmName, Date.parse(alarm.data.time), clients);
  if (z.safeParse(ScheduledEvent, event).success) return refreshPools(clients);
  const request = checkedRequest(event, process.env);
  let failure: string | undefined;
  try {
    await prepare(request, clients);
  } catch (thrown) {
    const error = thrown as Error;
    failure = printable(
      `The parameter of the image of ${request.ResourceProperties.GroupName}: ${error.name}: ${error.message}`,
    );
    console.error(failure);
  }
  await answer(request, `${request.ResourceProperties.GroupName}-image`, failure);
}

/**
 * Writes the parameter of a fleet, if it is missing, names no image, or is about an image of another source. Which image it
 * begins with is in the fleet's settings: whoever may invoke this function could name any image in the event.
 */
async function prepare(
  {
    RequestType,
    ResourceProperties: { GroupName = '' },
    OldResourceProperties: { Source: before } = {},
  }: ReturnType<typeof checkedRequest>,
  clients: Clients,
): Promise<void> {
  // The parameter stays, by the removal policy of the resource.
  if (RequestType === 'Delete') return;
  const fleet = GroupName.slice(stack().length + 1);
  const source = (await allFleets(clients)).find((candidate) => candidate.name === fleet)?.imageSource;
  if (source === undefined) throw new Error(`The settings of fleet ${fleet} name no image to begin with`);
  const name = builtImageParameter(stack(), fleet);
  const current = (before ?? source) === source ? await parameterValue(name, clients) : undefined;
  if (current !== undefined && (await exists(current, clients))) return;
  const image = source.startsWith('ssm:')
    ? await parameterValue(source.slice('ssm:'.length), clients)
    : source;
  if (image === undefined) throw new Error(`There is no parameter ${source.slice('ssm:'.length)}`);
  await write(name, image, clients);
}

async function publish(arn: string, clients: Clients): Promise<void> {
  const { image } = await clients.imageBuilder.send(new GetImageCommand({ imageBuildVersionArn: arn }));
  const id = image?.outputResources?.amis?.find(({ region }) => region === process.env.AWS_REGION)?.image;
  if (id === undefined) throw new Error(`${arn} has no image in this Region`);
  const replaced = new Set<string>();
  for (const fleet of await fleetsOf(arn, clients)) {
    const name = builtImageParameter(stack(), fleet.name);
    const versions = await versionsOf(name, clients);
    const current = versions.at(-1)?.image;
    if (isUnpublished(versions, id) && !(await isOlder(id, current, clients))) {
      await write(name, id, clients);
      console.info(`Fleet ${fleet.name} has the new image ${id}`);
    } else if (current !== id) continue;
    // Also if this was written before, by a call that failed afterwards.
    const [before] = imagesBefore([...versions, { image: id, at: 0 }]);
    if (before !== undefined) replaced.add(before);
  }
  await unmark(replaced, clients);
}

/** The images of the app among these, by a tag that says more about them. */
async function tagged(images: Iterable<string>, tag: string, { ec2 }: Clients): Promise<Image[]> {
  const Filters = [
    { Name: 'image-id', Values: [...images] },
    { Name: `tag:${tag}`, Values: [stack()] },
  ];
  const { Images = [] } = await ec2.send(new DescribeImagesCommand({ Filters }));
  return Images;
}

const idsOf = (images: Image[]) => images.flatMap(({ ImageId }) => ImageId ?? []);

/** Whether a fleet has an image of the app that was made later: the event of this one has come late. */
async function isOlder(image: string, current: string | undefined, clients: Clients): Promise<boolean> {
  if (current === undefined) return false;
  const images = await tagged([image, current], STACK_TAG, clients);
  const madeAt = (id: string) => images.find(({ ImageId }) => ImageId === id)?.CreationDate;
  return (madeAt(image) ?? '') < (madeAt(current) ?? '');
}

const mark = (Resources: string[]) => ({ Resources, Tags: [{ Key: IMAGE_IN_USE_TAG, Value: stack() }] });

/** Keeps an image of the app from being deleted as an old one. Without the mark, the rollback still goes on. */
async function keepInUse(image: string, clients: Clients): Promise<void> {
  try {
    const own = idsOf(await tagged([image], STACK_TAG, clients));
    if (own.length > 0) await clients.ec2.send(new CreateTagsCommand(mark(own)));
  } catch (error) {
    console.error(printable(`The image ${image} is not marked as in use: ${(error as Error).message}`));
  }
}

/** Takes the mark from images that no fleet has any more. */
async function unmark(images: ReadonlySet<string>, clients: Clients): Promise<void> {
  const inUse = new Set<string | undefined>();
  for (const { name } of await allFleets(clients))
    inUse.add(await parameterValue(builtImageParameter(stack(), name), clients));
  const unused = [...images].filter((image) => !inUse.has(image));
  const marked = unused.length === 0 ? [] : idsOf(await tagged(unused, IMAGE_IN_USE_TAG, clients));
  if (marked.length > 0) await clients.ec2.send(new DeleteTagsCommand(mark(marked)));
}

async function tellOfFailure(arn: string, clients: Clients): Promise<void> {
  const { image } = await clients.imageBuilder.send(new GetImageCommand({ imageBuildVersionArn: arn }));
  const [, name = '', version = ''] = /:image\/([^/]+)\/(.+)$/.exec(arn) ?? [];
  const fleets = await fleetsOf(arn, clients);
  const [first] = fleets;
  if (first === undefined) return;
  const log = image?.loggingConfiguration?.logGroupName ?? `/aws/imagebuilder/${name}`;
  const facts = [
    `Fleets with this image: ${fleets.map((fleet) => fleet.name).join(', ')}`,
    `Reason: ${printable(image?.state?.reason ?? 'not given')}`,
    `Log: ${addressOf(log, version)}`,
  ];
  const send = () =>
    tell(clients, fleets, 'The build of an image failed', process.env.BUILD_FAILED, first.name, facts);
  await sendOnce(imageMessagesParameter(stack()), `build ${name} ${version}`, send, clients.ssm);
}

/** @param opened When the breaker opened. The event may arrive later, when the fleet has another image. */
async function rollBack(alarmName: string, opened: number, clients: Clients): Promise<void> {
  const name = alarmName.slice(stack().length + 1).replace(/-BreakerOpen$/, '');
  const fleet = (await allFleets(clients)).find((candidate) => candidate.name === name);
  if (fleet === undefined) return;
  const parameter = builtImageParameter(stack(), name);
  const versions = await versionsOf(parameter, clients);
  const bad = imageOnTrial(versions, opened);
  if (bad === undefined) return tellOfLastRollback(fleet, versions.at(-1)?.image, clients);
  const before = await firstThat(imagesBefore(versions), (image) => exists(image, clients));
  if (before === undefined) {
    console.warn(`Fleet ${name} has no image before ${bad}`);
    return;
  }
  let isTried = false;
  const bringBack = async () => {
    isTried = true;
    await keepInUse(before, clients);
    await write(parameter, before, clients);
    console.warn(`Fleet ${name} has the image ${before} again, because launches with ${bad} fail`);
  };
  const send = async () => {
    await bringBack();
    await tellOfRollback(fleet, bad, before, clients);
  };
  // The same images can be rolled back again, if somebody deletes the parameter: that is another message.
  const publishedAt = new Date(changesOf(versions).at(-1)?.at ?? 0).toISOString();
  const message = `rollback ${name} ${bad} ${before} ${publishedAt}`;
  try {
    await sendOnce(imageMessagesParameter(stack()), message, send, clients.ssm);
  } catch (error) {
    if (isTried) throw error;
    // The record of the messages failed. The fleet must not wait for it.
    console.error(printable(`The record of "${message}" failed: ${(error as Error).message}`));
    await send();
  }
  // Another call has the message. It may have ended before it wrote the image.
  if (!isTried && (await parameterValue(parameter, clients)) === bad) await bringBack();
  // Somebody may have chosen it.
  await unmark(new Set([bad]), clients);
}

/** Tells of the rollback that gave a fleet the image that it has, if no topic took that message. */
async function tellOfLastRollback(fleet: Fleet, current: string | undefined, clients: Clients) {
  const messages = imageMessagesParameter(stack());
  const message = await unsent(messages, `rollback ${fleet.name} `, clients.ssm);
  const [, , bad = '', before] = message?.split(' ') ?? [];
  if (message === undefined || before === undefined || before !== current) return;
  await sendOnce(messages, message, () => tellOfRollback(fleet, bad, before, clients), clients.ssm);
}

const tellOfRollback = (fleet: Fleet, bad: string, before: string, clients: Clients) =>
  tell(clients, [fleet], 'An image was rolled back', process.env.ROLLED_BACK, fleet.name, [
    `Image that failed: ${bad}`,
    `Image in use: ${before}`,
  ]);

/** A fleet that cannot be refreshed does not hold up the others. */
async function refreshPools(clients: Clients): Promise<void> {
  const failed: string[] = [];
  for (const { name } of await allFleets(clients)) {
    try {
      const image = await parameterValue(builtImageParameter(stack(), name), clients);
      if (image === undefined) continue;
      const replaced = await replaceOldMembers(clients, `${stack()}-${name}`, image);
      if (replaced.length > 0)
        console.info(`The warm pool of fleet ${name} gets ${image} in place of ${replaced.join(', ')}`);
    } catch (error) {
      failed.push(printable(`${name}: ${(error as Error).name}: ${(error as Error).message}`));
    }
  }
  if (failed.length > 0) throw new Error(`Warm pools were not refreshed: ${failed.join('; ')}`);
}

async function firstThat<T>(
  items: readonly T[],
  holds: (item: T) => Promise<boolean>,
): Promise<T | undefined> {
  for (const item of items) if (await holds(item)) return item;
  return undefined;
}

/** Where partitions have their consoles, by how the names of their Regions begin. */
const CONSOLES = [
  ['cn-', 'amazonaws.cn'],
  ['us-gov-', 'amazonaws-us-gov.com'],
] as const;

/** Where the CloudWatch console has the log of a build: https://docs.aws.amazon.com/imagebuilder/latest/userguide/monitor-cwlogs.html */
function addressOf(group: string, stream: string): string {
  const region = process.env.AWS_REGION ?? '';
  const [, host = 'aws.amazon.com'] = CONSOLES.find(([prefix]) => region.startsWith(prefix)) ?? [];
  const encoded = (text: string) => encodeURIComponent(encodeURIComponent(text)).replaceAll('%', '$');
  return `https://${region}.console.${host}/cloudwatch/home?region=${region}#logsV2:log-groups/log-group/${encoded(group)}/log-events/${encoded(stream)}`;
}

/**
 * Publishes to each topic. If only some take the message, it is no error, because Lambda would call again, and the others would
 * get it twice.
 */
async function tell(
  { sns }: Clients,
  fleets: Fleet[],
  subject: string,
  text = '',
  fleet = '',
  facts: string[] = [],
): Promise<void> {
  const topics = new Set([process.env.TOPIC_ARN ?? '', ...fleets.map(({ alarmTopicArn }) => alarmTopicArn)]);
  const Message = [text.replaceAll('FLEET_NAME', fleet), '', ...facts].join('\n');
  const Subject = `${subject}: ${fleet}`.slice(0, 100);
  const failed: string[] = [];
  for (const TopicArn of topics) {
    try {
      await sns.send(new PublishCommand({ TopicArn, Subject, Message }));
    } catch (error) {
      failed.push(printable(`${TopicArn}: ${(error as Error).name}: ${(error as Error).message}`));
    }
  }
  if (failed.length === 0) return;
  const what = `Topics that did not take the message "${Subject}": ${failed.join('; ')}`;
  if (failed.length === topics.size) throw new Error(what);
  console.error(what);
}

/** The fleets that have the image with this ARN. */
async function fleetsOf(arn: string, clients: Clients): Promise<Fleet[]> {
  const [, name] = /:image\/([^/]+)\//.exec(arn) ?? [];
  return (await allFleets(clients)).filter(({ imageBuiltBy }) => imageBuiltBy === name);
}

/** The fleets for which an image is built, by their deployed settings. */
async function allFleets({ ssm }: Clients): Promise<Fleet[]> {
  const path = `/${stack()}/fleets`;
  const found: Fleet[] = [];
  for await (const { Parameters = [] } of paginateGetParametersByPath({ client: ssm }, { Path: path })) {
    for (const { Name = '', Value = '' } of Parameters) {
      const { imageBuiltBy, imageSource, alarmTopicArn } = z.parse(FleetSettings, JSON.parse(Value));
      if (imageBuiltBy !== undefined)
        found.push({ name: Name.slice(path.length + 1), imageBuiltBy, imageSource, alarmTopicArn });
    }
  }
  return found;
}

/** As a filter, because an unknown id makes a call that names it fail. */
async function exists(image: string, { ec2 }: Clients): Promise<boolean> {
  const Filters = [
    { Name: 'image-id', Values: [image] },
    { Name: 'state', Values: ['available'] },
  ];
  const { Images = [] } = await ec2.send(new DescribeImagesCommand({ Filters }));
  return Images.length > 0;
}
