import checkbox from '@inquirer/checkbox';
import confirm from '@inquirer/confirm';
import input from '@inquirer/input';
import password from '@inquirer/password';
import select from '@inquirer/select';
import { listPrice, vCpusOf } from '../../fleets/prices.ts';
import { beforeEnd } from '../terminal/ending.ts';
import type { Terminal } from '../terminal/terminal.ts';
import type { FoundSubnet, FoundVpc } from './lookups.ts';
import {
  faultOfAnswer,
  list,
  NAMESPACE,
  NOBODY,
  type Recipient,
  recipientOf,
  SUCH_AS_CLASS,
} from './options.ts';

/** The questions of `npm run init`. They are on standard error, so that standard output has only the result. */

const ON_STDERR = { output: process.stderr };

/** A list hides the cursor. Ctrl-C is an error of the question, which shows the cursor; every other end shows it here. */
async function asked<T>(question: Promise<T>): Promise<T> {
  const release = beforeEnd(() => process.stderr.write('\x1b[?25h\n'));
  try {
    return await question;
  } finally {
    release();
  }
}

const WHY_A_TOKEN = [
  'Each fleet runs the jobs of one resource class of CircleCI. With a personal',
  'API token (app.circleci.com, User Settings), this command lists your classes.',
  'It does not store the token.',
];

/** A personal API token; `undefined` if the person gives none. */
export async function askToken(terminal: Terminal): Promise<string | undefined> {
  for (const line of WHY_A_TOKEN) terminal.note(terminal.colours.dim(line));
  const token = await asked(
    password(
      {
        message: 'Personal API token (empty: no list):',
        mask: true,
        validate: (value) => /^[\x21-\x7e]*$/.test(value.trim()) || 'It has characters that no token has.',
      },
      ON_STDERR,
    ),
  );
  return token.trim() || undefined;
}

/** @param classesOf The classes of a namespace, if they can be looked up. */
export async function askClass(
  present: string | undefined,
  classesOf: ((namespace: string) => Promise<string[] | undefined>) | undefined,
): Promise<string> {
  const isAnswer = (value: string) =>
    faultOfAnswer('resourceClass', value) === undefined ||
    (classesOf !== undefined && NAMESPACE.test(value)) ||
    `It ${faultOfAnswer('resourceClass', value)}${SUCH_AS_CLASS}.`;
  const answer = await askText(
    classesOf === undefined
      ? 'Resource class of the runners:'
      : 'Resource class, or only its namespace to choose:',
    present,
    isAnswer,
  );
  if (answer.includes('/')) return answer;
  const classes = (await classesOf?.(answer)) ?? [];
  if (classes.length === 0)
    return askText(
      'Resource class of the runners:',
      `${answer}/`,
      (value) => {
        const fault = faultOfAnswer('resourceClass', value);
        return fault === undefined || `It ${fault}${SUCH_AS_CLASS}.`;
      },
      'editable',
    );
  return asked(select({ message: 'Resource class of the runners:', choices: classes }, ON_STDERR));
}

/**
 * @param present What an empty answer means.
 * @param prefill `tab`: what is typed replaces it. `editable`: it is the beginning of the answer, to type on.
 */
async function askText(
  message: string,
  present: string | undefined,
  isAnswer: (value: string) => true | string,
  prefill: 'tab' | 'editable' = 'tab',
): Promise<string> {
  const answer = await asked(
    input(
      {
        message,
        ...(present !== undefined && { default: present, prefill }),
        validate: (value) => isAnswer(value.trim()),
      },
      ON_STDERR,
    ),
  );
  return answer.trim();
}

/** Types of the general families that have the same size. */
const SIZES = ['large', 'xlarge', '2xlarge', '4xlarge'];
const FAMILIES = { 'Intel or AMD': ['m7i', 'm6i'], Graviton: ['m7g', 'm6g'] };
const OTHER = 'other';

export async function askTypes(present: string[] | undefined): Promise<string[]> {
  const offers = Object.entries(FAMILIES).flatMap(([processor, families]) =>
    SIZES.map((size) => ({ processor, types: families.map((family) => `${family}.${size}`) })),
  );
  const known = offers.find(({ types }) => types.join() === present?.join());
  const answer = await asked(
    select(
      {
        message: 'Size of each instance:',
        pageSize: 10,
        choices: [
          ...offers.map(({ processor, types }) => ({
            name: sizeName(processor, types),
            value: types.join(),
            short: types.join(', '),
          })),
          { name: 'Other types', value: OTHER },
        ],
        ...(known !== undefined && { default: known.types.join() }),
        ...(present !== undefined && known === undefined && { default: OTHER }),
      },
      ON_STDERR,
    ),
  );
  if (answer !== OTHER) return list(answer);
  const types = await askText('Instance types, in order of preference:', present?.join(', '), (value) => {
    const fault = faultOfAnswer('instanceTypes', list(value));
    return fault === undefined || `It ${fault}.`;
  });
  return list(types);
}

function sizeName(processor: string, [first = '', ...others]: string[]): string {
  const vCpus = vCpusOf(first) ?? 0;
  const price = listPrice(first)?.toFixed(2) ?? '?';
  const size = `${String(vCpus).padStart(2)} vCPUs, ${String(4 * vCpus).padStart(2)} GiB`;
  return `${size}, ${processor.padEnd(12)} ${[first, ...others].join(', ').padEnd(25)} ${price} USD/h`;
}

export async function askMaximum(present: number): Promise<number> {
  const answer = await askText(
    'Maximum number of instances (your CircleCI plan may allow fewer):',
    String(present),
    (value) => {
      const fault = faultOfAnswer('maxReplicas', /^\d+$/.test(value) ? Number(value) : Number.NaN);
      return fault === undefined || `It ${fault}.`;
    },
  );
  return Number(answer);
}

/** @param vpcs The VPCs of the account, if they could be looked up. */
export async function askNetwork(present: string, vpcs: FoundVpc[] | undefined): Promise<string> {
  const [standard] = vpcs?.filter(({ isDefault }) => isDefault) ?? [];
  const others = vpcs?.filter(({ isDefault }) => !isDefault) ?? [];
  const hasNoDefault = vpcs !== undefined && standard === undefined;
  const answer = await asked(
    select(
      {
        message: 'Network of the instances:',
        default: hasNoDefault && present === 'default-vpc' ? 'new-vpc' : present,
        choices: [
          {
            name: `The default VPC${standard === undefined ? '' : ` (${standard.id})`}`,
            value: 'default-vpc',
            disabled: hasNoDefault ? '(this region has none)' : false,
          },
          { name: 'A new VPC, with public subnets', value: 'new-vpc' },
          ...others.map(({ id, name, range }) => ({
            name: [id, name, range].filter((text) => text !== undefined).join('  '),
            value: id,
          })),
          ...(vpcs === undefined ? [{ name: 'Another VPC', value: OTHER }] : []),
        ],
      },
      ON_STDERR,
    ),
  );
  if (answer !== OTHER) return answer;
  return askText(
    'Id of the VPC:',
    undefined,
    (value) => /^vpc-[0-9a-f]{8,17}$/.test(value) || 'It must be such as vpc-0123456789abcdef0.',
  );
}

/**
 * @param found The subnets of the VPC, if they could be looked up.
 * @param useful Those that are chosen at first.
 */
export async function askSubnets(found: FoundSubnet[] | undefined, useful: string[]): Promise<string[]> {
  if (found === undefined || found.length === 0) {
    const answer = await askText(
      'Subnets of the VPC:',
      undefined,
      (value) =>
        (list(value).length > 0 && list(value).every((id) => /^subnet-[0-9a-f]{8,17}$/.test(id))) ||
        'It must be a list such as subnet-0123456789abcdef0, subnet-0fedcba9876543210.',
    );
    return list(answer);
  }
  return asked(
    checkbox(
      {
        message: 'Subnets, from which instances reach the internet:',
        required: true,
        choices: found.map(({ id, name, zone, range, hasWayOut }) => ({
          name: [zone, id, range, name, hasWayOut ? undefined : 'no route out']
            .filter((text) => text !== undefined)
            .join('  '),
          short: id,
          value: id,
          checked: useful.includes(id),
        })),
      },
      ON_STDERR,
    ),
  );
}

export async function askRecipient(present: string | undefined): Promise<Recipient> {
  const meant = (value: string) => recipientOf(value === NOBODY ? '' : value);
  // An empty answer means the present recipient, so nobody needs a word.
  const answer = await askText(
    `E-mail address or SNS topic for alarms (${present === undefined ? 'empty' : `"${NOBODY}"`}: nobody):`,
    present,
    (value) => {
      const recipient = meant(value);
      return typeof recipient === 'string' ? recipient : true;
    },
  );
  const recipient = meant(answer);
  return typeof recipient === 'string' ? {} : recipient;
}

export const askToReplace = (message: string, otherwise: boolean): Promise<boolean> =>
  asked(confirm({ message, default: otherwise }, ON_STDERR));
