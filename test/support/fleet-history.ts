import type { AwaitingRecord } from '../../cli/deployed/awaiting.ts';
import type { DecisionRecord } from '../../cli/deployed/decisions.ts';
import type { FleetGroup, Member } from '../../cli/deployed/groups.ts';
import type { FailureRecord, FleetHistory } from '../../cli/explain/reads.ts';
import type { Launch } from '../../functions/lib/breaker.ts';

/** What is on record of a fleet, for tests of `explain`. */

export const NOW = Date.parse('2026-01-05T09:00:00Z');
export const ago = (seconds: number) => NOW - seconds * 1_000;

export const poll = (
  secondsAgo: number,
  unclaimed: number | undefined,
  running: number | undefined,
  decision: Partial<DecisionRecord['decision']> = {},
): DecisionRecord => ({
  at: ago(secondsAgo),
  fleet: 'linux',
  execution: 'e-1',
  poll: 1,
  unclaimed,
  running,
  members: { pending: 0, inService: running ?? 0, leaving: 0, standby: 0 },
  decision: { from: 0, desired: 0, change: false, reasons: [], ...decision },
});

export const member = (kind: Member['kind'], instance = 'i-1'): Member => ({
  instance,
  type: 'm7g.large',
  lifecycleState: kind === 'pending' ? 'Pending:Wait' : 'InService',
  kind,
  version: '1',
});

export const groupOf = (more: Partial<FleetGroup> = {}): FleetGroup => ({
  fleet: 'linux',
  group: 'circleci-runners-linux',
  desired: 0,
  maxSize: 10,
  members: [],
  warmPoolSize: undefined,
  paused: undefined,
  suspended: [],
  breakerOpen: false,
  suspendedForDrain: false,
  types: [],
  described: {} as FleetGroup['described'],
  ...more,
});

export const failure = (secondsAgo: number, more: Partial<FailureRecord> = {}): FailureRecord => ({
  at: ago(secondsAgo),
  step: 'Count Unclaimed',
  execution: 'e-2',
  error: 'CircleCiUnauthorized',
  message: 'CircleCI refuses the token (401)',
  ...more,
});

/** An execution that waited for the tokens of the fleet. */
export const awaiting = (secondsAgo: number): AwaitingRecord => ({
  at: ago(secondsAgo),
  fleet: 'linux',
  waits: 'waits for its tokens: the secret x has no value yet. Store them: npm run secrets -- linux',
});

export const FAILED: Launch = {
  outcome: 'failed',
  startedAt: ago(100),
  endedAt: ago(99),
  kind: 'shortage',
  noInstance: true,
  reason: 'We currently do not have sufficient m7g.large capacity',
};

export const history = (more: Partial<FleetHistory> = {}): FleetHistory => ({
  group: groupOf(),
  launchedAt: new Map(),
  decisions: [poll(4, 0, 0, { reasons: ['0 unclaimed + 0 running = 0 wanted'] })],
  awaiting: [],
  failures: [],
  launches: [],
  learned: undefined,
  boots: {},
  missing: [],
  ...more,
});

/** A decision to launch three instances. */
export const RISE = { from: 0, desired: 3, change: true, reasons: ['desired capacity rises from 0 to 3'] };
