import { setTimeout as sleep } from 'node:timers/promises';
import { CreateTagsCommand, DeleteTagsCommand, EC2Client } from '@aws-sdk/client-ec2';
import {
  GetImageCommand,
  ImagebuilderClient,
  StartImagePipelineExecutionCommand,
} from '@aws-sdk/client-imagebuilder';
import { PutParameterCommand, SSMClient } from '@aws-sdk/client-ssm';
import { Argument, Command, Option } from 'commander';
import { formatDuration } from '../fleets/duration.ts';
import { forApp } from '../functions/lib/advice.ts';
import { builtImageParameter } from '../functions/lib/fleet-names.ts';
import { wrapped } from '../functions/lib/fold.ts';
import { imagesBefore } from '../functions/lib/images.ts';
import { sentence } from '../functions/lib/sentence.ts';
import { IMAGE_IN_USE_TAG } from '../functions/lib/tags.ts';
import { AWS_CLIENT } from './aws/client.ts';
import { durationOption, refuseVain, stackOption, UsageError } from './command-line/arguments.ts';
import { refuseUnknown } from './command-line/fleets.ts';
import { type CliCommand, nameAndMessage, type Shell } from './command-line/run.ts';
import {
  buildIn,
  buildsOf,
  type FleetWithImage,
  fleetsWithImage,
  imageVersionsOf,
  isAvailable,
} from './deployed/images.ts';
import type { Terminal } from './terminal/terminal.ts';

const ACTIONS = ['list', 'build', 'use', 'rollback'] as const;
type Action = (typeof ACTIONS)[number];

const define = (shell: Shell) =>
  new Command('npm run image --')
    .description(
      'Shows, builds and chooses the images that EC2 Image Builder makes for fleets with image: { build }. list shows the image of each fleet and the builds. build starts a build and waits for it. use gives a fleet an image that was built. rollback gives a fleet the image that it had before. New launches use the image at once, without a deployment.',
    )
    .addArgument(new Argument('<action>', 'what to do').choices(ACTIONS))
    .argument('[words...]', 'the fleet; for use, the id of the image and then the fleet')
    .option('--no-wait', 'build: do not wait until the build has ended')
    .addOption(
      new Option('--every <duration>', 'build: how often to look')
        .argParser(durationOption(1, 300))
        .default(15, '15s'),
    )
    .option('--json', 'print only one JSON object')
    .addOption(stackOption())
    .action((action: Action, words: string[], options: Options, command: Command) => {
      const builds = action === 'build';
      refuseVain(command, {
        wait: { isThere: builds, needs: 'build' },
        every: { isThere: builds && options.wait, needs: 'build and without --no-wait' },
      });
      return run(action, words, options, shell.terminal);
    });

interface Options {
  wait: boolean;
  every: number;
  json?: boolean;
  stack: string;
}

/** AWS did not do what a correct command line asked for. */
class ImageFailed extends Error {
  override readonly name = 'ImageFailed';
}

/** The words of each action. The last one is a fleet. */
const WORDS: Record<Action, { least: number; form: string[] }> = {
  list: { least: 0, form: ['FLEET'] },
  build: { least: 1, form: ['FLEET'] },
  use: { least: 2, form: ['IMAGE', 'FLEET'] },
  rollback: { least: 1, form: ['FLEET'] },
};

async function run(action: Action, words: string[], options: Options, terminal: Terminal): Promise<void> {
  const { least, form } = WORDS[action];
  if (words.length < least || words.length > form.length) {
    const wanted = form.join(' ');
    throw new UsageError(
      `The words after ${action} must be ${wanted}, got ${words.join(' ') || 'none'}. For example: npm run image -- ${action} ${wanted}`,
    );
  }
  const ssm = new SSMClient(AWS_CLIENT);
  const { deployed, fleets } = await fleetsWithImage(options.stack, ssm);
  const name = words.at(-1);
  refuseUnknown(options.stack, deployed, action === 'list' ? [] : name);
  const fleet = name === undefined ? undefined : fleetNamed(name, deployed, fleets, options.stack);
  if (action === 'list') return list(fleet === undefined ? fleets : [fleet], options, ssm, terminal);
  if (fleet === undefined) return;
  if (action === 'build') return build(fleet, options, terminal);
  const clients = { ssm, ec2: new EC2Client(AWS_CLIENT) };
  await choose(fleet.fleet, action === 'use' ? words[0] : undefined, options, clients, terminal);
}

/** @throws UsageError if no image is built for the fleet. */
function fleetNamed(
  name: string,
  deployed: string[],
  fleets: FleetWithImage[],
  stack: string,
): FleetWithImage {
  const found = fleets.find(({ fleet }) => fleet === name);
  if (found !== undefined) return found;
  refuseUnknown(stack, deployed, name);
  throw new UsageError(
    `No image is built for fleet ${name}. Set image: {build: weekly} in fleets.yaml, and deploy. See docs/images.md`,
  );
}

async function list(
  fleets: FleetWithImage[],
  { stack, json }: Options,
  ssm: SSMClient,
  terminal: Terminal,
): Promise<void> {
  const client = new ImagebuilderClient(AWS_CLIENT);
  const images = await Promise.all(
    fleets.map(async ({ fleet, pipeline }) => {
      const current = (await imageVersionsOf(stack, fleet, ssm)).at(-1);
      return { fleet, pipeline, image: current?.image, since: current && new Date(current.at).toISOString() };
    }),
  );
  const pipelines = [...new Set(fleets.map(({ pipeline }) => pipeline))];
  const builds = (await Promise.all(pipelines.map((pipeline) => buildsOf(pipeline, client)))).flat();
  const listed = builds.map((made) => ({
    ...made,
    usedBy: images
      .filter(({ image }) => image !== undefined && image === made.image)
      .map(({ fleet }) => fleet),
  }));
  if (json) return terminal.print(JSON.stringify({ fleets: images, builds: listed }));
  if (fleets.length === 0) return terminal.print('No image is built for a fleet. See docs/images.md');
  for (const { fleet, image, since } of images) {
    const built = builds.some((made) => made.image === image);
    terminal.print(
      wrapped(
        `${fleet}: ${image} since ${since}${built ? '' : ', which no build here has made'}`,
        terminal.columns,
        2,
      ).join('\n'),
    );
  }
  terminal.print();
  if (listed.length === 0)
    terminal.printProse(
      forApp(ofStack(stack), 'Nothing was built yet. Build now: npm run image -- build FLEET'),
    );
  const widest = Math.max(...listed.map(({ build: number }) => number.length));
  for (const { build: number, status, created, image, usedBy } of listed) {
    const at = created?.slice(0, 16).replace('T', ' ');
    const used = usedBy.length === 0 ? '' : `  ${usedBy.join(', ')}`;
    const row = `${number.padEnd(widest)}  ${status.padEnd(12)}  ${at}  ${image ?? ''}${used}`.trimEnd();
    for (const line of wrapped(row, terminal.columns, 2)) terminal.print(line);
  }
}

const ofStack = (app: string) => ({ app, fleetsFile: undefined });

/** States in which a build is over. */
const ENDED = new Set(['AVAILABLE', 'FAILED', 'CANCELLED', 'DELETED']);

async function build(
  { fleet, pipeline }: FleetWithImage,
  { wait, every, json, stack }: Options,
  terminal: Terminal,
): Promise<void> {
  const client = new ImagebuilderClient(AWS_CLIENT);
  const started = await client.send(new StartImagePipelineExecutionCommand({ imagePipelineArn: pipeline }));
  const arn = started.imageBuildVersionArn ?? '';
  const number = buildIn(arn);
  if (!wait) {
    if (json) return terminal.print(JSON.stringify({ fleet, build: number, status: 'PENDING' }));
    return terminal.printProse(
      forApp(ofStack(stack), `The build ${number} has started. See: npm run image -- list ${fleet}`),
    );
  }
  const begun = Date.now();
  const log = `/aws/imagebuilder/${pipeline.split('/').at(-1)}`;
  const note = (text: string) => {
    if (!json) terminal.note(text);
  };
  note(`Build ${number}, log group ${log}`);
  const secondsNow = () => Math.round((Date.now() - begun) / 1_000);
  for (let last = ''; ; ) {
    const { image } = await client.send(new GetImageCommand({ imageBuildVersionArn: arn }));
    const { status = 'PENDING', reason } = image?.state ?? {};
    const seconds = secondsNow();
    if (status !== last) note(`${status.toLowerCase()}, after ${formatDuration(seconds)}`);
    last = status;
    if (!ENDED.has(status)) {
      const progress = json
        ? undefined
        : terminal.progress(`seconds, ${status.toLowerCase()}`, { atOnce: true });
      for (let waited = 0; waited < every; waited += 1) {
        progress?.to(secondsNow());
        await sleep(1_000);
      }
      progress?.stop();
      continue;
    }
    const region = pipeline.split(':')[3];
    const id = image?.outputResources?.amis?.find((ami) => ami.region === region)?.image;
    if (json)
      terminal.print(JSON.stringify({ fleet, build: number, status, image: id, reason, seconds, log }));
    if (status !== 'AVAILABLE')
      throw new ImageFailed(
        `The build ${number} of fleet ${fleet} has ended as ${status}: ${sentence(reason ?? 'no reason was given')} Its log is the stream ${number} of ${log}. The fleet keeps its image.`,
      );
    if (!json)
      terminal.printProse(`The image ${id} is built. It reaches the fleets that have it within a minute.`);
    return;
  }
}

/** Whether another fleet has the image now. */
async function hasOther(stack: string, fleet: string, image: string, ssm: SSMClient): Promise<boolean> {
  const { fleets } = await fleetsWithImage(stack, ssm);
  for (const other of fleets.filter((each) => each.fleet !== fleet))
    if ((await imageVersionsOf(stack, other.fleet, ssm)).at(-1)?.image === image) return true;
  return false;
}

/**
 * Gives a fleet an image, and marks that as in use, so that it is not deleted as an old one.
 *
 * @param wanted The image. Default: the one that the fleet had before.
 */
async function choose(
  fleet: string,
  wanted: string | undefined,
  { stack, json }: Options,
  { ssm, ec2 }: { ssm: SSMClient; ec2: EC2Client },
  terminal: Terminal,
): Promise<void> {
  const versions = await imageVersionsOf(stack, fleet, ssm);
  const before = versions.at(-1)?.image;
  let image: string | undefined;
  for (const candidate of wanted === undefined ? imagesBefore(versions) : [wanted])
    if (image === undefined && (await isAvailable(candidate, ec2))) image = candidate;
  if (image === undefined && wanted !== undefined)
    throw new UsageError(
      `The image must be one that this account can launch in this region, got ${wanted}. See npm run image -- list ${fleet}`,
    );
  if (image === undefined)
    throw new ImageFailed(`Fleet ${fleet} has had no image before ${before} that still exists.`);
  await ssm.send(
    new PutParameterCommand({
      Name: builtImageParameter(stack, fleet),
      Value: image,
      Type: 'String',
      DataType: 'aws:ec2:image',
      Overwrite: true,
    }),
  );
  const tag = (id: string) => ({ Resources: [id], Tags: [{ Key: IMAGE_IN_USE_TAG, Value: stack }] });
  await ec2.send(new CreateTagsCommand(tag(image)));
  if (before !== undefined && before !== image && !(await hasOther(stack, fleet, before, ssm)))
    await ec2.send(new DeleteTagsCommand(tag(before)));
  if (json) return terminal.print(JSON.stringify({ fleet, image, before }));
  terminal.printProse(
    forApp(
      ofStack(stack),
      `Fleet ${fleet} has the image ${image}${before === image ? ', as before' : `, and had ${before}`}. New launches use it. Idle instances get it by: npm run recycle -- ${fleet}`,
    ),
  );
}

export const image: CliCommand = {
  define,
  expectedErrors: [ImageFailed],
  describeError: nameAndMessage,
  aws: 'stack',
};
