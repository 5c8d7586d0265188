import * as z from 'zod';
import { CIRCLECI_CLOUD } from '../functions/lib/circleci-url.ts';
import { FLEET_NAME } from '../functions/lib/fleet-names.ts';
import { inDollars, largestCost, noPrice } from './cost.ts';
import { logicalId } from './names.ts';
import { CAPACITY_SETTINGS } from './settings/capacity.ts';
import { SERVER_URL, SERVER_URL_FORM } from './settings/circleci-url.ts';
import { COST_SETTINGS } from './settings/cost.ts';
import { DURATION_SETTINGS } from './settings/durations.ts';
import { IMAGE_SETTINGS } from './settings/image.ts';
import { INSTANCE_SETTINGS } from './settings/instance.ts';
import { NETWORK_SETTINGS } from './settings/network.ts';
import { faulty, flag, isMap, text } from './settings/parts.ts';
import { RIGHTS_SETTINGS } from './settings/rights.ts';
import { NAMES_VALUE, RULES } from './settings/rules.ts';
import { faultsOfPlans, TOP_SETTINGS } from './settings/top.ts';

/**
 * The definition of `fleets.yaml`, the one file an adopter edits, from the settings of each subject. It parses the
 * file (load.ts), generates `fleets.schema.json` for editors (schema.ts), and its descriptions are the reference in
 * docs/configuration.md.
 */

/** https://circleci.com/docs/reference/runner-api: namespace, slash, class. */
const RESOURCE_CLASS = /^[a-z0-9_-]+\/[A-Za-z0-9:_+-]+$/;

const FLEET_NAME_FAULT =
  'must have a name of a letter and at most 31 more letters, digits, hyphens and underscores, and not begin with x-';

/** Keys at the top of the file that are ignored, as in Compose files: https://docs.docker.com/reference/compose-file/extension/ */
const EXTENSION = /^x-/;

/** What a `fleets.yaml` says, without what it only keeps for merge keys. */
export const withoutExtensions = (file: unknown): unknown =>
  isMap(file) ? Object.fromEntries(Object.entries(file).filter(([key]) => !EXTENSION.test(key))) : file;

const SECRET_NAME = /^[A-Za-z0-9/_+=.@-]{1,512}$/;

/**
 * EC2 refuses to launch an instance whose metadata would show any other tag. Tags of this project pause fleets, and say
 * which groups belong to the stack.
 * https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/work-with-tags-in-IMDS.html
 */
const INSTANCE_TAG = /^(?!aws:|circleci-runners:|\.{1,2}$|_index$)[a-z0-9+=.,_:@-]{1,128}$/i;

/** IAM refuses other characters in a tag's value: https://docs.aws.amazon.com/IAM/latest/UserGuide/id_tags.html */
const TAG_VALUE = /^[\p{L}\p{Z}\p{N}_.:/=+\-@]{0,256}$/u;

/** AWS allows 50 tags a resource. The rest is for those of the stack and of EC2 Auto Scaling. */
const MOST_TAGS = 40;

/** https://docs.aws.amazon.com/imagebuilder/latest/APIReference/API_CreateInfrastructureConfiguration.html */
const MOST_IMAGE_TAGS = 30;

/** Remembers which name had which text, and says which one had a text before; only texts count. */
function twinFinder(): (text: unknown, name: string) => string | undefined {
  const names = new Map<string, string>();
  return (text, name) => {
    if (typeof text !== 'string') return undefined;
    const twin = names.get(text);
    names.set(text, name);
    return twin;
  };
}

/** The first two texts that differ in nothing but case. */
function sameButForCase(texts: string[]): [string, string] | undefined {
  const twinOf = twinFinder();
  for (const text of texts) {
    const twin = twinOf(text.toLowerCase(), text);
    if (twin !== undefined) return [twin, text];
  }
  return undefined;
}

export const Fleet = z
  .strictObject(
    {
      resourceClass: text('a resource class, namespace/class', RESOURCE_CLASS).describe(
        'The CircleCI resource class whose tasks the fleet runs, as namespace/class.',
      ),
      ...INSTANCE_SETTINGS,
      ...CAPACITY_SETTINGS,
      ...COST_SETTINGS,
      ...DURATION_SETTINGS,
      circleciUrl: text(SERVER_URL_FORM, SERVER_URL)
        .default(CIRCLECI_CLOUD)
        .describe(
          "URL of CircleCI's runner API. For CircleCI server: `https://SERVER`, which [guardrails](guardrails.md) must list.",
        ),
      ...IMAGE_SETTINGS,
      ...NETWORK_SETTINGS,
      ...RIGHTS_SETTINGS,
      logs: flag(
        'Whether the log of boots and runners is also sent to CloudWatch Logs. It is always on the console output.',
      ),
      reconcile: z
        .enum(['report', 'repair'], { error: 'must be report or repair' })
        .default('report')
        .describe(
          'Every 10 minutes, a workflow looks for [what the fleet has left behind](commands.md#reconcile), and an alarm rings if there is anything. With `repair`, it also ends up to 3 instances or volumes at a time that cannot be running a job.',
        ),
      scalerSecretName: text('the name of a secret, not its ARN', SECRET_NAME)
        .optional()
        .describe(
          'Name of a secret of your own with resource_class and circle_token. Fleets may [share one](security.md#one-personal-api-token-for-all-fleets). [Guardrails](guardrails.md) say what it may begin with: by default, the name of the stack and a slash. Default: the stack creates a secret without a value.',
        ),
      runnerSecretName: text('the name of a secret, not its ARN', SECRET_NAME)
        .optional()
        .describe(
          'Name of an existing secret with the resource class token, which may begin with the same. Default: the stack creates a secret without a value.',
        ),
      alarmEmail: text('an e-mail address', z.regexes.email)
        .optional()
        .describe(
          "E-mail address that receives the fleet's alarms. AWS first sends it a message to confirm.",
        ),
      alarmTopicArn: text(
        'the ARN of a standard SNS topic, such as arn:aws:sns:eu-west-1:111122223333:alarms',
        /^arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_-]{1,256}$/,
      )
        .optional()
        .describe(
          "ARN of an SNS topic of yours, in the stack's Region, that also receives the fleet's alarms. Its policy must allow CloudWatch to publish.",
        ),
      tags: z
        .record(
          text(
            'a tag of 1 to 128 letters, digits and + - = . , _ : @ that does not begin with aws: or circleci-runners:',
            INSTANCE_TAG,
          ),
          text(
            'a text of at most 256 letters, digits, spaces and _ . : / = + - @, in quotes if it looks like a number',
            TAG_VALUE,
            // Not every editor knows \p{L}.
          ).meta({ pattern: '^[^!-*,;<>?[-^`{-~]{0,256}$' }),
          { error: 'must be a map of tags to their values' },
        )
        .refine((tags) => Object.keys(tags).length <= MOST_TAGS, {
          error: ({ input }) => `must be at most ${MOST_TAGS} tags, got ${Object.keys(Object(input)).length}`,
          params: NAMES_VALUE,
        })
        .refine((tags) => sameButForCase(Object.keys(tags)) === undefined, {
          error: ({ input }) =>
            `must be tags that differ in more than case, because IAM takes such two for one, got ${sameButForCase(Object.keys(Object(input)))?.join(' and ')}`,
          params: NAMES_VALUE,
        })
        .default({})
        .describe('Tags of all resources of the fleet, instances and volumes included.'),
    },
    { error: 'must be a map of settings' },
  )
  .check(...RULES)
  .check(
    z.superRefine(
      ({ tags }, context) => {
        const { length } = Object.keys(tags);
        if (length > MOST_IMAGE_TAGS)
          context.addIssue({
            code: 'custom',
            path: ['tags'],
            message: `must be at most ${MOST_IMAGE_TAGS} tags with image.build, because EC2 Image Builder gives its machines no more, got ${length}`,
            params: NAMES_VALUE,
          });
      },
      { when: ({ value, issues }) => isMap(value) && isMap(value.image) && !faulty(issues, 'tags') },
    ),
  )
  .describe('A fleet: an Auto Scaling group of runners for one CircleCI resource class.');

export const Fleets = z
  .object(TOP_SETTINGS, { error: 'must be a map of fleet names to their settings' })
  .catchall(Fleet)
  .check(
    z.superRefine(
      (file, context) => {
        const fault = (path: string[], message: string) =>
          context.addIssue({ code: 'custom', path, message });
        const fleets = fleetsIn(file);
        const { length } = fleets;
        if (length === 0) fault([], 'must have at least one fleet');
        const [twinOfId, twinOfClass, twinOfRunnerSecret] = [twinFinder(), twinFinder(), twinFinder()];
        const circleciUrls = new Map<string, { sharer: string; circleciUrl: string }>();
        for (const [name, fleet] of fleets) {
          if (!FLEET_NAME.test(name)) fault([name], FLEET_NAME_FAULT);
          const twin = twinOfId(logicalId(name).toLowerCase(), name);
          if (twin !== undefined)
            fault([name], `must differ from ${twin} in more than hyphens, underscores and case`);
          const rival = twinOfClass(Object(fleet).resourceClass, name);
          if (rival !== undefined) {
            fault(
              [name, 'resourceClass'],
              `must differ from the resource class of ${rival}: two fleets of one resource class would both launch an instance for each task`,
            );
          }
          const sharer = twinOfRunnerSecret(Object(fleet).runnerSecretName, name);
          if (sharer !== undefined) {
            fault(
              [name, 'runnerSecretName'],
              `must differ from that of ${sharer}: a token claims tasks of one resource class, and each fleet has its own`,
            );
          }
          const { scalerSecretName, circleciUrl = CIRCLECI_CLOUD } = Object(fleet);
          if (typeof scalerSecretName !== 'string' || typeof circleciUrl !== 'string') continue;
          const first = circleciUrls.get(scalerSecretName) ?? { sharer: name, circleciUrl };
          circleciUrls.set(scalerSecretName, first);
          if (first.circleciUrl !== circleciUrl) {
            fault(
              [name, 'scalerSecretName'],
              `must differ from that of ${first.sharer}, whose circleciUrl is another: a secret names the one address to which its token may go`,
            );
          }
        }
      },
      { when: ({ value }) => isMap(value) },
    ),
  )
  .check(
    z.superRefine(
      (file, context) => {
        const names = fleetsIn(file).map(([name]) => name);
        for (const fault of faultsOfPlans(file.concurrency, names))
          context.addIssue({ code: 'custom', ...fault, params: NAMES_VALUE });
        for (const fault of faultsOfCost(file.maxHourlyCost, fleetsIn(file)))
          context.addIssue({ code: 'custom', ...fault });
      },
      // Not the default, which is that nothing else is wrong with the file.
      { when: ({ value, issues }) => isMap(value) && issues.length === 0 },
    ),
  )
  .meta({
    description:
      'Fleets by name. A name begins with a letter and has letters, digits, hyphens and underscores. Each fleet is deployed as a stack of its own.',
    minProperties: 1,
    patternProperties: {
      [EXTENSION.source]: { description: 'Ignored. Fleets can take settings from it by a YAML merge key.' },
    },
    propertyNames: {
      pattern: `${EXTENSION.source}|${FLEET_NAME.source}`,
      patternErrorMessage: FLEET_NAME_FAULT,
    },
  });

export type FleetSettings = z.infer<typeof Fleet>;

/** What a `fleets.yaml` says: each fleet by its name, and beside them the settings of all. */
export type FleetsFile = z.input<typeof Fleets>;

/** The fleets of a file by their names, without what else is at its top. */
export const fleetsIn = (file: Record<string, unknown>) =>
  Object.entries(file).filter(
    (entry): entry is [string, FleetSettings] => !Object.hasOwn(TOP_SETTINGS, entry[0]),
  );

/** What is wrong with the maximum cost of all fleets together. */
function faultsOfCost(maximum: number | undefined, fleets: [string, FleetSettings][]) {
  if (maximum === undefined) return [];
  const costs = fleets.map(([name, fleet]) => ({ name, fleet, cost: largestCost(fleet) }));
  const unknown = costs.filter(({ cost }) => cost === undefined);
  if (unknown.length > 0)
    return unknown.map(({ name, fleet }) => ({
      path: [name, 'hourlyPrice'],
      message: noPrice(fleet),
      params: NAMES_VALUE,
    }));
  const sum = costs.reduce((total, { cost = 0 }) => total + cost, 0);
  if (sum <= maximum + 1e-9) return [];
  const shares = costs.map(({ name, cost = 0 }) => `${name} ${inDollars(cost)}`).join(', ');
  return [
    {
      path: ['maxHourlyCost'],
      message: `must be at least ${inDollars(sum)}, what all fleets cost at their maximum sizes (${shares}), got ${maximum}: raise it, or lower maxReplicas or maxHourlyCost of a fleet`,
    },
  ];
}
