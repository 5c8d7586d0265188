import * as z from 'zod/mini';
import { type CircleCiAccess, type CountedFleet, LONGEST_INVENTORY_BYTES, readAnswer } from './circleci.ts';
import { CIRCLECI_CLOUD, samePlace } from './circleci-url.ts';
import { Count, type CountInput } from './contracts.ts';
import { readCircleToken } from './secrets.ts';
import { isBeyondDoubt, type ZeroCheck } from './zero.ts';

/**
 * Reads beside the counts whether CircleCI knows the resource class and lets the token see it. A check that fails does
 * not fail the poll: it is left out, and its reason is part of the answer.
 */

/** What a warm function remembers of a fleet's counts of running tasks. Times are milliseconds since the epoch. */
interface Remembered {
  /** Since when each count has been 0. */
  zeroSince: number;
  lastAt: number;
  /** When it was last checked with this token, whether nothing was in doubt, and which sources were skipped. */
  checked?: { at: number; token: string; clean: boolean; skipped: string[] };
}

/** By the address of CircleCI and the resource class, which no two fleets share. Fleets may share a secret. */
export type ZeroMemory = Map<string, Remembered>;

const CHECKED_EVERY = 3_600_000;
/** Longer than any interval between polls. */
const LONGEST_GAP = 120_000;
const LATELY = 900_000;
/** CircleCI's clock may differ, and a poll may begin before a claim. */
const CLOCKS_DIFFER = 30_000;

/** Limits of a check, in milliseconds. It must leave `MARGIN` of the poll's time. */
const LONGEST_CHECK = 2_000;
const SHORTEST_CHECK = 300;
const MARGIN = 500;

/** Fleets of runners, a preview on CircleCI's cloud. Its documentation says that it may change at any time. */
const FLEETS = 'https://circleci.com/api/v3/runner/fleets';

const Inventory = z.object({
  items: z.array(z.object({ last_used: z.optional(z.nullable(z.string())) })),
});
const Fleets = z.object({ data: z.array(z.object({ id: z.string() })) });
const Fleet = z.object({
  data: z.object({ attributes: z.object({ queued_tasks: Count, running_tasks: Count }) }),
});

/**
 * Checks a count of running tasks, if it is 0 and a check is due: at the first poll of an execution, once an hour, with
 * each new token, and as long as something is in doubt.
 *
 * @param startedAt When the count was begun, in milliseconds since the epoch.
 * @returns What CircleCI says beside the counts; `undefined` if no check is due. Until the next check is due, each
 *   execution says again which sources the last one skipped.
 */
export async function checkZero(
  access: CircleCiAccess & { now: () => number; memory: ZeroMemory },
  fleet: CountedFleet,
  poll: CountInput['poll'],
  count: number,
  startedAt: number,
): Promise<ZeroCheck | undefined> {
  const now = access.now();
  const key = `${fleet.circleciUrl} ${fleet.resourceClass}`;
  if (count > 0) {
    access.memory.delete(key);
    return undefined;
  }
  const before = access.memory.get(key);
  const zeroSince = before !== undefined && now - before.lastAt <= LONGEST_GAP ? before.zeroSince : now;
  const remembered: Remembered = { ...before, zeroSince, lastAt: now };
  access.memory.set(key, remembered);
  if (poll.number !== 1) return undefined;
  const left = poll.timeoutSeconds * 1_000 - (now - startedAt) - MARGIN;
  if (left < SHORTEST_CHECK) return undefined;
  try {
    const token = await readCircleToken(access.secrets, fleet, { fresh: false });
    const { checked } = remembered;
    if (checked?.clean && checked.token === token && now - checked.at < CHECKED_EVERY)
      return checked.skipped.length > 0 ? { unseen: 0, skipped: checked.skipped } : undefined;
    const deadline = access.timeout(Math.min(left, LONGEST_CHECK));
    const check = await readBesideCounts(
      { access, fleet, token, deadline },
      Math.max(zeroSince, now - LATELY),
      now,
    );
    remembered.checked = { at: now, token, clean: isBeyondDoubt(check), skipped: check.skipped };
    return check;
  } catch (error) {
    return { unseen: 0, skipped: [`the whole check: ${nameOf(error)}`] };
  }
}

interface Reading {
  access: Pick<CircleCiAccess, 'fetch'>;
  fleet: CountedFleet;
  token: string;
  deadline: AbortSignal;
}

/** @param since Runners that ran a task since then are counted, in milliseconds since the epoch. */
export async function readBesideCounts(reading: Reading, since: number, now: number): Promise<ZeroCheck> {
  const skipped: string[] = [];
  const unlessSkipped = <T>(what: string, reading: Promise<T>): Promise<T | undefined> =>
    reading.catch((error) => {
      skipped.push(`${what}: ${error instanceof Skipped ? error.message : nameOf(error)}`);
      return undefined;
    });
  const [inventory, fleet] = await Promise.all([
    unlessSkipped('the inventory of runners', readInventory(reading)),
    isCloud(reading.fleet) ? unlessSkipped('the fleets of runners', readFleet(reading)) : undefined,
  ]);
  const used =
    typeof inventory === 'object' ? inventory.map(({ last_used }) => Date.parse(last_used ?? '')) : [];
  const unseen = used.filter((at) => at > since + CLOCKS_DIFFER && at <= now).length;
  return {
    ...(inventory !== undefined && {
      inventory: typeof inventory === 'object' ? inventory.length : inventory,
    }),
    ...(fleet !== undefined && { fleet }),
    unseen,
    skipped,
  };
}

const isCloud = ({ circleciUrl }: CountedFleet) => samePlace(circleciUrl, CIRCLECI_CLOUD);

/** What a source says does not help. */
class Skipped extends Error {}

/** https://circleci.com/docs/reference/runner-api: 404 for an unknown class, and for one without a runner. */
async function readInventory({ access, fleet, token, deadline }: Reading) {
  const url = new URL(`${fleet.circleciUrl.replace(/\/+$/, '')}/api/v3/runner`);
  url.search = `resource-class=${encodeURIComponent(fleet.resourceClass)}`;
  const { status, body } = await readAnswer(access, url, token, deadline, LONGEST_INVENTORY_BYTES);
  if (status === 404) return [];
  if (status === 401 || status === 403) return 'refused' as const;
  return parsed(Inventory, status, body).items;
}

async function readFleet({ access, fleet, token, deadline }: Reading): Promise<ZeroCheck['fleet']> {
  const list = new URL(FLEETS);
  list.search = `filter[resource_class]=${encodeURIComponent(fleet.resourceClass)}`;
  const answer = await readAnswer(access, list, token, deadline);
  const [found] = parsed(Fleets, answer.status, answer.body).data;
  if (found === undefined) return 'unknown';
  const one = await readAnswer(access, new URL(`${FLEETS}/${encodeURIComponent(found.id)}`), token, deadline);
  const { attributes } = parsed(Fleet, one.status, one.body).data;
  return { queued: attributes.queued_tasks, running: attributes.running_tasks };
}

function parsed<Contract extends z.ZodMiniType>(contract: Contract, status: number, body: string) {
  if (status !== 200) throw new Skipped(`status ${status}`);
  let json: unknown;
  try {
    json = JSON.parse(body);
  } catch {
    throw new Skipped('no JSON');
  }
  const answer = z.safeParse(contract, json);
  if (!answer.success) throw new Skipped('another answer than documented');
  return answer.data;
}

const nameOf = (error: unknown) => (error instanceof Error ? error.name : String(error));
