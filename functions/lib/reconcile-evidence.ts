/**
 * What shows that no job can be running on an instance. CircleCI's inventory says when a runner was last in contact, and
 * not whether it is busy. So there are three proofs, and in any other case a job may be running. Pure.
 *
 * - The instance has been stopped for a day.
 * - Its runner has been silent for longer than a job may take. CircleCI fails a job whose runner is silent for five
 *   minutes, and a silent runner can claim no other.
 * - Its runner has never connected, so it never had a job. A runner with a token of another class is not listed either
 *   and does run jobs. So another runner with the same token must be listed: launched from the same version of the launch
 *   template, which names the class and the secret, and after the token was stored.
 */

import type { DeployedSettings } from './contracts.ts';
import type { FleetSeen, SeenInstance } from './fleet-seen.ts';
import type { Inventory, ListedRunner } from './inventory.ts';

/**
 * How long the instances of a fleet, and what they run, may last:
 *
 * - `bootSeconds`: from the launch until the runner is up
 * - `idleSeconds`: how long a runner waits for a job
 * - `runSeconds`: how long a job may take, with its SSH session
 * - `ageLimitSeconds`: the age at which an instance leaves by itself, whatever runs on it
 */
export type Lifetimes = NonNullable<DeployedSettings['lifetimes']>;

export interface Evidence {
  /** Whether no job can be running. */
  free: boolean;
  because: string;
}

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

/** A runner that lives, idle or busy, shows a contact within about 20 minutes. */
export const IN_CONTACT = 20 * MINUTE;

/** What a silence must be longer than a job. */
const SILENCE_MARGIN = HOUR;

/** CircleCI removes a runner from the inventory when it has been silent for 12 hours. */
const LISTED_FOR = 12 * HOUR;

/** How long an instance must have been stopped: a person may have stopped it, and look at it. */
const STOPPED_FOR = 24 * HOUR;

/** @param now Milliseconds since the epoch. */
export function evidenceOf(
  instance: SeenInstance,
  seen: Pick<FleetSeen, 'members' | 'instances' | 'inventory' | 'tokenStoredAt'>,
  lifetimes: Lifetimes | undefined,
  now: number,
): Evidence {
  if (!('runners' in seen.inventory)) return maybe(describeMissing(seen.inventory));
  const age = now - instance.launchedAt;
  if (instance.state === 'stopped') return evidenceOfStop(instance.stoppedAt, now);
  if (instance.state !== 'running') return maybe(`it is ${instance.state}`);
  if (lifetimes === undefined)
    return maybe('how long a job may take is not in the deployed settings: npx cdk deploy');
  const { runners } = seen.inventory;
  if (!runners.some(({ lastConnected }) => now - lastConnected <= IN_CONTACT))
    return maybe('CircleCI lists no runner as connected, so its list may be old');
  const contradiction = contradictionOf(runners, seen, lifetimes, now);
  if (contradiction !== undefined) return maybe(contradiction);
  const listed = runners.find(({ name }) => name === instance.id);
  if (listed !== undefined) return evidenceOfSilence(now - listed.lastConnected, lifetimes);
  const doubt = doubtAboutToken(instance, runners, seen, now);
  return doubt === undefined ? evidenceOfAbsence(age, lifetimes) : maybe(doubt);
}

/** Why nothing is repaired without the inventory. */
export function describeMissing(inventory: Exclude<Inventory, { runners: unknown }>): string {
  return 'none' in inventory
    ? 'CircleCI lists no runner of the resource class (404), which is no evidence'
    : `CircleCI's inventory of runners is missing: ${inventory.missing}`;
}

const maybe = (because: string): Evidence => ({ free: false, because });

/** The launch of an instance says nothing about this: it may have run for days before it was stopped. */
function evidenceOfStop(stoppedAt: number | undefined, now: number): Evidence {
  if (stoppedAt === undefined) return maybe('it is stopped, and EC2 does not say since when');
  return now - stoppedAt > STOPPED_FOR
    ? { free: true, because: 'it has been stopped for more than a day, so no job runs on it' }
    : maybe('it was stopped within the last day, and a person may look at it');
}

function evidenceOfSilence(silence: number, { runSeconds }: Lifetimes): Evidence {
  return silence > runSeconds * 1_000 + SILENCE_MARGIN
    ? {
        free: true,
        because: `its runner has been silent for ${inHours(silence)}, and a job takes ${inHours(runSeconds * 1_000)} at most`,
      }
    : maybe(
        silence <= IN_CONTACT
          ? 'its runner is in contact with CircleCI, and may run a job'
          : `its runner has been silent for ${inHours(silence)}, and a job may take ${inHours(runSeconds * 1_000)}`,
      );
}

function evidenceOfAbsence(
  age: number,
  { bootSeconds, idleSeconds, runSeconds, ageLimitSeconds }: Lifetimes,
): Evidence {
  if (age <= (bootSeconds + idleSeconds) * 1_000 + IN_CONTACT) return maybe('its runner may still connect');
  if (age <= LISTED_FOR - HOUR)
    return { free: true, because: 'its runner has never connected to CircleCI, so it never had a job' };
  if (runSeconds * 1_000 + SILENCE_MARGIN <= LISTED_FOR || age > ageLimitSeconds * 1_000 + SILENCE_MARGIN)
    return { free: true, because: 'its runner has not been in contact with CircleCI for 12 h or longer' };
  return maybe(
    `its runner has been silent for 12 h or longer, and a job may take ${inHours(runSeconds * 1_000)}`,
  );
}

/** If most members that must be in contact are not, CircleCI has a fault, or the inventory is of another class. */
function contradictionOf(
  runners: readonly ListedRunner[],
  { members, instances = [] }: Pick<FleetSeen, 'members' | 'instances'>,
  { bootSeconds }: Lifetimes,
  now: number,
): string | undefined {
  const inService = new Set(
    members.flatMap(({ id, lifecycleState }) => (lifecycleState === 'InService' ? [id] : [])),
  );
  const due = instances.filter(
    ({ id, launchedAt }) => inService.has(id) && now - launchedAt > bootSeconds * 1_000 + IN_CONTACT,
  );
  const connected = due.filter(({ id }) => isInContact(id, runners, now)).length;
  return connected * 2 < due.length
    ? `CircleCI lists only ${connected} of ${due.length} members in service as connected, so its list may be wrong`
    : undefined;
}

/** Why an instance that is not listed may have a token of another resource class. */
function doubtAboutToken(
  { launchedAt, templateVersion }: SeenInstance,
  runners: readonly ListedRunner[],
  { instances = [], tokenStoredAt }: Pick<FleetSeen, 'instances' | 'tokenStoredAt'>,
  now: number,
): string | undefined {
  if (tokenStoredAt === undefined) return 'when the resource class token was stored is not known';
  if (launchedAt <= tokenStoredAt)
    return 'it may have another resource class token: a new one was stored after its launch';
  if (templateVersion === undefined) return 'from which version of the launch template it came is not known';
  const witness = instances.some(
    (other) =>
      other.templateVersion === templateVersion &&
      other.launchedAt > tokenStoredAt &&
      isInContact(other.id, runners, now),
  );
  return witness
    ? undefined
    : 'no runner with the same token and the same version of the launch template is listed, so its token may be of another resource class';
}

function isInContact(id: string, runners: readonly ListedRunner[], now: number): boolean {
  const runner = runners.find(({ name }) => name === id);
  return runner !== undefined && now - runner.lastConnected <= IN_CONTACT;
}

/** `40 min`, `3 h`. */
const inHours = (milliseconds: number) =>
  milliseconds < 2 * HOUR
    ? `${Math.round(milliseconds / MINUTE)} min`
    : `${Math.floor(milliseconds / HOUR)} h`;
