import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import * as z from 'zod';
import { FAILURE_KINDS, type FailureKind } from '../functions/lib/launch-failures.ts';

const Message = z.strictObject({
  text: z.string(),
  kind: z.enum(FAILURE_KINDS),
  spot: z.boolean().default(false),
  instance: z.boolean().default(false),
  /** Where it was reported. */
  reported: z.url(),
});

/** Texts of failed launches from public reports, with the kind of each. */
export const LAUNCH_MESSAGES = z
  .array(Message)
  .parse(parse(readFileSync(new URL('../sandbox/launch-messages.yaml', import.meta.url), 'utf8')));

const GROWING = '2, 4, 8, 16, then 30 min';
const ALWAYS_TWO = '2 min each time';

/** Of each kind: what it is, who is notified of it, and how long the breaker holds launches between two canaries. */
const MEANINGS: Record<FailureKind, { what: string; notifies: string; held: string }> = {
  shortage: {
    what: 'EC2 has no capacity, or the account is at a quota',
    notifies:
      'Fleet Needs You, by [Breaker Open](operations.md#breaker-open). Of Spot capacity: nobody at first, because the fleet falls back to On-Demand; after 90 of 120 minutes [Spot Unavailable](operations.md#spot-unavailable)',
    held: ALWAYS_TWO,
  },
  addresses: {
    what: 'the subnet has no free address; it passes as instances leave',
    notifies: 'Fleet Needs You, by [Breaker Open](operations.md#breaker-open)',
    held: ALWAYS_TWO,
  },
  throttled: {
    what: 'the account makes too many requests',
    notifies: 'Fleet Needs You, by [Breaker Open](operations.md#breaker-open)',
    held: ALWAYS_TWO,
  },
  placement: {
    what: 'the zone never has this instance type',
    notifies: '[Zone Unusable](operations.md#zone-unusable)',
    held: `not at all while other zones launch; else ${GROWING}`,
  },
  'spot-role': {
    what: 'the account lacks the service-linked role for Spot Instances',
    notifies: 'Fleet Needs You, by [Breaker Open](operations.md#breaker-open)',
    held: GROWING,
  },
  'volume-key': {
    what: 'EC2 Auto Scaling may not use the KMS key of the volumes',
    notifies: 'Fleet Needs You, by [Breaker Open](operations.md#breaker-open)',
    held: GROWING,
  },
  refused: {
    what: 'EC2 refuses the request: an image, a key pair, a security group, a permission',
    notifies: 'Fleet Needs You, by [Breaker Open](operations.md#breaker-open)',
    held: GROWING,
  },
  boot: {
    what: 'the instance launched and never came into service',
    notifies: 'Fleet Needs You, by [Breaker Open](operations.md#breaker-open)',
    held: GROWING,
  },
};

const INTRODUCTION = `# Kinds of failed launches

EC2 Auto Scaling reports in a status message why a launch failed. The workflow reads the error code in that message. If
there is no code, it reads the text. \`functions/lib/launch-failures.ts\` maps both to one of the kinds below. In a group
with Spot capacity, every failure begins with "Could not launch Spot Instances.", so that text is not the cause.

The breaker opens after \`breaker.failures\` (default: 3) such launches, unless EC2 gave an instance for a later one or
instances still boot. [How it decides](how-it-decides.md#the-breaker) has the rules.

`;

/** All kinds and all texts, as Markdown. */
export function launchFailures(): string {
  const kinds = FAILURE_KINDS.map((kind) => {
    const { what, notifies, held } = MEANINGS[kind];
    return cells([`\`${kind}\``, what, notifies, held]);
  });
  const texts = LAUNCH_MESSAGES.map(({ text, kind, spot, reported }) =>
    cells([
      text.replaceAll('|', '\\|').replaceAll('<', '&lt;'),
      `\`${kind}\`${spot ? ', Spot' : ''}`,
      `[report](${reported})`,
    ]),
  );
  const table = (head: string[], rows: string[]) =>
    `${[cells(head), cells(head.map(() => '---')), ...rows].join('\n')}\n`;
  return [
    INTRODUCTION,
    table(['kind', 'what it is', 'who is notified', 'pause before the next launch'], kinds),
    '\n## Messages\n\nNames and ids are shortened. `npm run generate` writes this page from `sandbox/launch-messages.yaml`.\n\n',
    table(['message of EC2 Auto Scaling', 'kind', 'reported'], texts),
  ].join('');
}

const cells = (texts: string[]) => `| ${texts.join(' | ')} |`;
