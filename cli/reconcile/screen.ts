/** What fleets have left behind, as text. Pure. */

import { wrapped } from '../../functions/lib/fold.ts';
import { type Leftover, MOST_REPAIRS, type Repair } from '../../functions/lib/reconcile.ts';
import { shortTime } from '../status/fleet-status.ts';
import type { Terminal } from '../terminal/terminal.ts';

/** What was found in a fleet, and the outcome of each repair. */
export interface Reconciled {
  fleet: string;
  group: string;
  findings: Leftover[];
  /** What could not be read, with the reason. */
  missing: string[];
  repaired: { resource: string; done: boolean; says: string }[];
}

const ACTIONS: Record<Repair['action'], string> = {
  'terminate-instance': 'terminate',
  'terminate-member': 'terminate',
  'mark-volume': 'mark',
  'delete-volume': 'delete',
  'delete-versions': 'delete the oldest versions of',
};

/** What a repair does, as a verb before the resource. */
export const describeAction = ({ action }: Repair): string => ACTIONS[action];

const WIDTHS = { kind: 15, resource: 21, since: 6 };
const INDENT = 2;

/** The findings of all fleets: a line for each, and below it what was seen and why it may be repaired or not. */
export function findingLines(
  all: Reconciled[],
  now: number,
  columns: number,
  { bold, yellow, dim }: Terminal['colours'],
): string[] {
  return all.flatMap(({ fleet, findings, missing }) => {
    const safe = findings.filter(({ repair }) => repair !== null).length;
    const count = `${findings.length} ${findings.length === 1 ? 'finding' : 'findings'}`;
    const head = findings.length === 0 ? 'nothing found' : `${count}, ${safe} of them can be repaired`;
    return [
      bold(`Fleet ${fleet}: ${head}`),
      ...(findings.length === 0 ? [] : [row('finding', 'resource', 'since', 'with --apply')]),
      ...findings.flatMap((finding) => describe(finding, now, columns, dim)),
      ...(safe > MOST_REPAIRS
        ? [`--apply repairs ${MOST_REPAIRS} of them; run it again for the next ones.`]
        : []),
      ...(missing.length === 0
        ? []
        : wrapped(`Not read: ${missing.join(', ')}`, columns, INDENT).map(yellow)),
    ];
  });
}

const row = (kind: string, resource: string, since: string, action: string) =>
  `${kind.padEnd(WIDTHS.kind)} ${resource.padEnd(WIDTHS.resource)} ${since.padStart(WIDTHS.since)}  ${action}`;

function describe(
  { kind, resource, since, says, repair, because }: Leftover,
  now: number,
  columns: number,
  dim: (text: string) => string,
): string[] {
  const age = since === null ? '-' : shortTime(Math.max((now - since) / 1_000, 0));
  const action = repair === null ? 'only reported' : ACTIONS[repair.action].replace(/ .*/, '');
  return [
    row(kind, resource, age, action),
    ...wrapped(`${' '.repeat(INDENT)}${sentence(says)} ${sentence(because)}`, columns, INDENT).map(dim),
  ];
}

const sentence = (text: string) => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
