import * as z from 'zod/mini';
import { type CircleCiAccess, type CountedFleet, LONGEST_INVENTORY_BYTES, readAnswer } from './circleci.ts';
import { printableName } from './printable.ts';
import { readCircleToken } from './secrets.ts';

/** A runner as CircleCI lists it. Times are milliseconds since the epoch. */
export interface ListedRunner {
  /** Whoever has a token of the class chose it: without characters that mislead, and cut. */
  name: string;
  firstConnected: number;
  lastConnected: number;
  /**
   * When it was last used to run a task; `undefined` if it never was, and NaN if the list says that in another form. CircleCI
   * does not say whether that is the beginning of a task or its end, so a runner that was used may be busy or not.
   */
  lastUsed?: number | undefined;
}

/**
 * CircleCI's inventory of a resource class, read at a time. `none` is a 404: the class has no runner, or does not exist,
 * or the token may not see it. `missing` says why there is no whole inventory.
 */
export type Inventory = { runners: ListedRunner[]; at: number } | { none: true } | { missing: string };

/** Of a name, and of the reason why there is no inventory, in characters. Names of ours are ids of instances. */
const LONGEST_NAME = 64;
const LONGEST_REASON = 300;

/** CircleCI's clock may differ. */
const CLOCKS_DIFFER = 5 * 60_000;

const Time = z.iso.datetime({ offset: true });
const Item = z.object({
  resource_class: z.optional(z.string()),
  name: z.string().check(z.minLength(1)),
  first_connected: Time,
  last_connected: Time,
  // Reconciling does not need it, so a list without it, or with another form of it, is whole.
  last_used: z.optional(z.unknown()),
});
const Answer = z.object({
  items: z.array(z.unknown()),
  next_page_token: z.optional(z.nullable(z.string())),
});

/**
 * Reads the inventory of a fleet's resource class: all of it, or none. Never throws.
 * https://circleci.com/docs/reference/runner-api
 *
 * @param milliseconds How long it may take.
 */
export async function readInventory(
  access: CircleCiAccess & { now: () => number },
  fleet: CountedFleet,
  milliseconds: number,
): Promise<Inventory> {
  const url = new URL(`${fleet.circleciUrl.replace(/\/+$/, '')}/api/v3/runner`);
  url.search = `resource-class=${encodeURIComponent(fleet.resourceClass)}`;
  try {
    // Fresh, because a token that was rotated lists nothing.
    const token = await readCircleToken(access.secrets, fleet, { fresh: true });
    const deadline = access.timeout(milliseconds);
    const { status, body } = await readAnswer(access, url, token, deadline, LONGEST_INVENTORY_BYTES);
    if (status === 404) return { none: true };
    if (status !== 200) return { missing: `CircleCI answered ${status}` };
    return parsed(body, fleet.resourceClass, access.now());
  } catch (error) {
    const reason = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    return { missing: printableName(reason, LONGEST_REASON) };
  }
}

function parsed(body: string, resourceClass: string, now: number): Inventory {
  let json: unknown;
  try {
    json = JSON.parse(body);
  } catch {
    return { missing: 'CircleCI answered with something else than JSON' };
  }
  const answer = z.safeParse(Answer, json);
  if (!answer.success) return { missing: 'CircleCI answered with no list of runners' };
  const { items, next_page_token: next } = answer.data;
  if (next) return { missing: 'CircleCI answered with only a part of the list' };
  const runners = new Map<string, ListedRunner>();
  for (const each of items) {
    const item = z.safeParse(Item, each);
    if (!item.success) return { missing: 'CircleCI lists a runner without a name or without times' };
    const { name, first_connected, last_connected, last_used, resource_class = resourceClass } = item.data;
    const lastConnected = Date.parse(last_connected);
    if (resource_class !== resourceClass)
      return { missing: 'CircleCI lists runners of another resource class' };
    if (lastConnected > now + CLOCKS_DIFFER) return { missing: 'CircleCI lists a contact in the future' };
    // Several registrations may share a name. Names that only look alike are those of several runners.
    const other = runners.get(name);
    if (other === undefined || other.lastConnected < lastConnected)
      runners.set(name, {
        name: printableName(name, LONGEST_NAME),
        firstConnected: Date.parse(first_connected),
        lastConnected,
        lastUsed: timeOf(last_used),
      });
  }
  // An empty list is no documented answer.
  if (runners.size === 0) return { none: true };
  return { runners: [...runners.values()], at: now };
}

/** A time before 1970 is what Go programs write for none. NaN if it is no time with its zone. */
function timeOf(given: unknown): number | undefined {
  if (given === undefined || given === null || given === '') return undefined;
  const time = z.safeParse(Time, given);
  if (!time.success) return Number.NaN;
  const at = Date.parse(time.data);
  return at > 0 ? at : undefined;
}
