import * as z from 'zod';
import { logicalId } from './names.ts';
import { CAPACITY_SETTINGS } from './settings/capacity.ts';
import { DURATION_SETTINGS } from './settings/durations.ts';
import { IMAGE_SETTINGS } from './settings/image.ts';
import { INSTANCE_SETTINGS } from './settings/instance.ts';
import { NETWORK_SETTINGS } from './settings/network.ts';
import { flag, isMap, text } from './settings/parts.ts';
import { RULES } from './settings/rules.ts';

/**
 * The definition of `fleets.yaml`, the one file an adopter edits, from the settings of each subject. It parses the
 * file (load.ts), generates `fleets.schema.json` for editors (schema.ts), and its descriptions are the reference in
 * docs/configuration.md.
 */

/** https://circleci.com/docs/reference/runner-api: namespace, slash, class. */
const RESOURCE_CLASS = /^[a-z0-9_-]+\/[A-Za-z0-9:_+-]+$/;

/** https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html */
const MOST_RESOURCES = 500;

/** So many fleets of the least settings have room in a stack. That these numbers are right, a test tells. */
export const MOST_FLEETS = 18;

/** So many have room whatever they ask for; a VPC is most of it. */
export const MOST_FLEETS_WITH_VPC = 11;

const ROOM = `a CloudFormation stack holds at most ${MOST_RESOURCES} resources`;

const FLEET_NAME = /^[A-Za-z][A-Za-z0-9_-]{0,31}$/;
const FLEET_NAME_FAULT =
  'must be named by a letter and at most 31 more letters, digits, hyphens and underscores';

/** Scheme, host, perhaps a port and a path: what the API's paths can be appended to, and a shell can quote. */
const SERVER_URL = /^(?=.{1,261}$)https?:\/\/[A-Za-z0-9.-]+(:\d+)?(\/[A-Za-z0-9._~/-]*)?$/;

const SECRET_NAME = /^[A-Za-z0-9/_+=.@-]{1,512}$/;

/**
 * EC2 launches no instance whose metadata would show another tag.
 * https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/work-with-tags-in-IMDS.html
 */
const INSTANCE_TAG = /^(?!aws:|\.{1,2}$|_index$)[a-z0-9+=.,_:@-]{1,128}$/i;

export const Fleet = z
  .strictObject(
    {
      resourceClass: text('a resource class, namespace/class', RESOURCE_CLASS).describe(
        'The CircleCI resource class whose tasks the fleet runs, as namespace/class.',
      ),
      ...INSTANCE_SETTINGS,
      ...CAPACITY_SETTINGS,
      ...DURATION_SETTINGS,
      circleciUrl: text('a URL such as https://runner.circleci.com, without a query or a user', SERVER_URL)
        .default('https://runner.circleci.com')
        .describe("CircleCI's runner API: the Cloud's, or https://<server-host> for CircleCI Server."),
      ...IMAGE_SETTINGS,
      ...NETWORK_SETTINGS,
      logs: flag(
        'Whether the log of boots and runners goes to CloudWatch Logs as well. It is always on the console output.',
      ),
      scalerSecretName: text('the name of a secret, not its ARN', SECRET_NAME)
        .optional()
        .describe(
          'An existing secret with resource_class and circle_token. Without it the stack makes one, without a value.',
        ),
      runnerSecretName: text('the name of a secret, not its ARN', SECRET_NAME)
        .optional()
        .describe(
          'An existing secret with the resource class token. Without it the stack makes one, without a value.',
        ),
      alarmEmail: text('an e-mail address', z.regexes.email)
        .optional()
        .describe("Who is told of the fleet's alarms. AWS asks that address to confirm first."),
      alarmTopicArn: text(
        'the ARN of a standard SNS topic, such as arn:aws:sns:eu-west-1:111122223333:alarms',
        /^arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_-]{1,256}$/,
      )
        .optional()
        .describe(
          "An SNS topic of yours, in the stack's region, that is told of the fleet's alarms as well. Its policy must let CloudWatch publish.",
        ),
      tags: z
        .record(
          text(
            'a tag of 1 to 128 letters, digits and + - = . , _ : @ that does not begin with aws:',
            INSTANCE_TAG,
          ),
          text('a text of at most 256 characters, in quotes if it looks like a number', /^.{0,256}$/),
          { error: 'must be a map of tags to their values' },
        )
        .default({})
        .describe("Tags of all of the fleet's resources, instances and volumes included."),
    },
    { error: 'must be a map of settings' },
  )
  .check(...RULES)
  .describe('A fleet: an Auto Scaling group of runners for one CircleCI resource class.');

export const Fleets = z
  .record(z.string(), Fleet, { error: 'must be a map of fleet names to their settings' })
  .check(
    z.superRefine(
      (fleets, context) => {
        const fault = (path: string[], message: string) =>
          context.addIssue({ code: 'custom', path, message });
        const { length } = Object.keys(fleets);
        if (length === 0) fault([], 'must have at least one fleet');
        if (length > MOST_FLEETS)
          fault(
            [],
            `must have at most ${MOST_FLEETS} fleets, got ${length}: ${ROOM}. Put the others into another file, for another stack: -c fleets=FILE -c stack=NAME`,
          );
        const ids = new Map<string, string>();
        const classes = new Map<string, string>();
        for (const [name, fleet] of Object.entries(fleets)) {
          if (!FLEET_NAME.test(name)) fault([name], FLEET_NAME_FAULT);
          const id = logicalId(name).toLowerCase();
          const twin = ids.get(id);
          if (twin !== undefined)
            fault([name], `must differ from ${twin} in more than hyphens, underscores and case`);
          ids.set(id, name);
          const resourceClass = Object(fleet).resourceClass;
          const rival = classes.get(resourceClass);
          if (rival !== undefined) {
            fault(
              [name, 'resourceClass'],
              `must differ from that of ${rival}: two fleets for one resource class would both launch for each task`,
            );
          }
          if (typeof resourceClass === 'string') classes.set(resourceClass, name);
        }
      },
      { when: ({ value }) => isMap(value) },
    ),
  )
  .meta({
    description: `Fleets by name: letters, digits, hyphens and underscores, a letter first. At most ${MOST_FLEETS}, or ${MOST_FLEETS_WITH_VPC} if a VPC is made for each: ${ROOM}.`,
    minProperties: 1,
    maxProperties: MOST_FLEETS,
    propertyNames: { pattern: FLEET_NAME.source, patternErrorMessage: FLEET_NAME_FAULT },
  });

export type FleetSettings = z.infer<typeof Fleet>;
