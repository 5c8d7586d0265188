import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { whyNothingLaunches } from '../../cli/explain/explanation.ts';
import type { FleetHistory } from '../../cli/explain/reads.ts';
import type { Launch } from '../../functions/lib/breaker.ts';
import {
  ago,
  awaiting,
  FAILED,
  failure,
  groupOf,
  history,
  member,
  NOW,
  poll,
  RISE,
} from '../support/fleet-history.ts';

const iso = (at: number) => new Date(at).toISOString();

const createdAgo = (seconds: number) =>
  ({ CreatedTime: new Date(ago(seconds)) }) as FleetHistory['group']['described'];

describe('why nothing launches', () => {
  it.each<{ more: Partial<FleetHistory>; says: string }>([
    {
      more: {},
      says: 'Nothing launches now: at the last poll, 4 s ago, CircleCI counted no waiting task and 0 running tasks. 0 instances are in service now.',
    },
    {
      more: {
        decisions: [poll(4, 0, 1, { reasons: ['the counts are doubtful: CircleCI knows no runner'] })],
      },
      says: 'Nothing launches now: at the last poll, 4 s ago, CircleCI counted no waiting task and 1 running task, but the counts are doubtful: CircleCI knows no runner. 0 instances are in service now.',
    },
    {
      more: {
        decisions: [
          poll(4, 0, 1, {
            reasons: ['the counts were not checked against the inventory of runners: status 503'],
          }),
        ],
      },
      says: 'Nothing launches now: at the last poll, 4 s ago, CircleCI counted no waiting task and 1 running task. 0 instances are in service now.',
    },
    {
      more: {
        group: groupOf({ desired: 2, members: [member('pending'), member('pending', 'i-2')] }),
        launchedAt: new Map([['i-2', ago(40)]]),
      },
      says: '2 instances boot now, the first one since 40 s.',
    },
    {
      more: { group: groupOf({ paused: { how: 'true', since: iso(ago(3_723)) } }) },
      says: `Nothing launches now: the fleet is paused since ${iso(ago(3_723)).slice(11, 19)}. To end this: npm run resume -- linux`,
    },
    {
      more: {
        group: groupOf({ paused: { how: 'true', since: '2025-12-24T08:00:00.123Z' } }),
        decisions: [poll(4, 4, 0, { reasons: ['held: the fleet is paused'] })],
      },
      says: 'Nothing launches now: 4 tasks wait, and the fleet is paused since 2025-12-24 08:00:00 UTC. To end this: npm run resume -- linux',
    },
    {
      more: {
        group: groupOf({ paused: { how: 'drain', since: 'the storm' } }),
        decisions: [poll(4, 1, 0, { reasons: ['the fleet drains: nothing launches'] })],
        failures: [failure(2, { step: 'Update Group', error: 'GroupUpdateRefused', message: 'no' })],
      },
      says: 'Nothing launches now: 1 task waits, and the fleet drains since the storm. The last execution failed at Update Group. GroupUpdateRefused: no. To end this: npm run resume -- linux',
    },
    {
      more: {
        group: groupOf({ paused: { how: 'true', since: undefined } }),
        decisions: [poll(600, 4, 0)],
      },
      says: 'Nothing launches now: the fleet is paused. To end this: npm run resume -- linux',
    },
    {
      more: { group: groupOf({ paused: { how: 'drain', since: undefined } }) },
      says: 'Nothing launches now: the fleet drains. To end this: npm run resume -- linux',
    },
    {
      more: { group: groupOf({ breakerOpen: true }), launches: [FAILED] },
      says: 'Nothing launches now: the breaker is open, because launches fail. The last launch failed (shortage): We currently do not have sufficient m7g.large capacity. See docs/operations.md#breaker-open',
    },
    {
      more: {
        group: groupOf({
          paused: { how: 'drain', since: undefined },
          suspendedForDrain: true,
          suspended: [{ process: 'Launch', reason: 'User suspended at 08:00' }],
        }),
      },
      says: 'Nothing launches now: the fleet drains. To end this: npm run resume -- linux',
    },
    {
      more: {
        group: groupOf({
          suspendedForDrain: true,
          suspended: [{ process: 'Launch', reason: 'User suspended at 08:00' }],
        }),
      },
      says: 'Nothing launches now: the fleet drained, and the Launch process of its group is still suspended for that. The next poll resumes it.',
    },
    {
      more: { group: groupOf({ suspendedForDrain: true }), failures: [failure(2)] },
      says: 'Nothing launches now: the last execution failed at Count Unclaimed. CircleCiUnauthorized: CircleCI refuses the token (401).',
    },
    {
      more: {
        group: groupOf({ suspendedForDrain: true, suspended: [{ process: 'Launch', reason: '' }] }),
        decisions: [poll(4, 3, 0, RISE)],
      },
      says: '3 instances launch next: the last poll, 4 s ago, raised the desired capacity from 0 to 3.',
    },
    {
      more: { group: groupOf({ suspended: [{ process: 'Launch', reason: 'User suspended at 08:00' }] }) },
      says: 'Nothing launches now: the Launch process of the group is suspended (User suspended at 08:00). Resume it in the console, or with: aws autoscaling resume-processes',
    },
    {
      more: { decisions: [], failures: [failure(20)] },
      says: 'Nothing launches now: the executions fail at Count Unclaimed. CircleCiUnauthorized: CircleCI refuses the token (401).',
    },
    {
      more: { decisions: [], awaiting: [awaiting(80), awaiting(20)] },
      says: 'Nothing launches now: the fleet waits for its tokens: the secret x has no value yet. Store them: npm run secrets -- linux',
    },
    {
      more: { awaiting: [awaiting(80)] },
      says: 'Nothing launches now: at the last poll, 4 s ago, CircleCI counted no waiting task and 0 running tasks. 0 instances are in service now.',
    },
    {
      more: { decisions: [], awaiting: [awaiting(80)], failures: [failure(20)] },
      says: 'Nothing launches now: the executions fail at Count Unclaimed. CircleCiUnauthorized: CircleCI refuses the token (401).',
    },
    {
      more: { failures: [failure(2)] },
      says: 'Nothing launches now: the last execution failed at Count Unclaimed. CircleCiUnauthorized: CircleCI refuses the token (401).',
    },
    {
      more: { decisions: [] },
      says: 'Nothing launches now: no poll has decided anything in this time, and no step has logged an error. Look at the schedule: npm run doctor -- linux',
    },
    {
      more: { decisions: [], group: groupOf({ described: createdAgo(40) }) },
      says: 'Nothing launches now: the fleet is new. Its group was made 40 s ago, and its first execution is due: the schedule starts one every minute.',
    },
    {
      more: { decisions: [], group: groupOf({ described: createdAgo(40) }), failures: [failure(20)] },
      says: 'Nothing launches now: the executions fail at Count Unclaimed. CircleCiUnauthorized: CircleCI refuses the token (401).',
    },
    {
      more: { decisions: [], group: groupOf({ described: createdAgo(400) }) },
      says: 'Nothing launches now: no poll has decided anything in this time, and no step has logged an error. Look at the schedule: npm run doctor -- linux',
    },
    {
      more: { decisions: [], missing: ['the decisions (AccessDeniedException)'] },
      says: 'Why nothing launches now is not known: the log of the decisions could not be read.',
    },
    {
      more: { decisions: [poll(600, 0, 0)], failures: [failure(700)] },
      says: 'Nothing launches now: no poll has decided anything for 10 min, and no step has logged an error. Look at the schedule: npm run doctor -- linux',
    },
    {
      more: {
        group: groupOf({ desired: 1, members: [member('inService')] }),
        decisions: [
          poll(4, 5, 1, { reasons: ['5 unclaimed + 1 running = 6 wanted', 'capped at maxReplicas (1)'] }),
        ],
      },
      says: 'Nothing launches now: 5 tasks wait, and the capacity is capped at maxReplicas (1).',
    },
    {
      more: {
        decisions: [poll(4, 5, 0, { reasons: ['nothing launches: AWS suspended the Launch process'] })],
      },
      says: 'Nothing launches now: 5 tasks wait, and the capacity is held: AWS suspended the Launch process.',
    },
    {
      more: { group: groupOf({ desired: 3 }), decisions: [poll(4, 3, 0)], launches: [FAILED] },
      says: 'Nothing launches now: EC2 Auto Scaling has not begun to launch 3 instances of the desired capacity 3. The last launch failed (shortage): We currently do not have sufficient m7g.large capacity.',
    },
    {
      more: {
        group: groupOf({ desired: 1, members: [member('inService')] }),
        decisions: [{ ...poll(4, 1, 0), members: { pending: 0, inService: 1, leaving: 0, standby: 0 } }],
      },
      says: 'Nothing launches now: 1 task waits, and 1 runner is idle to take it.',
    },
    {
      more: {
        group: groupOf({ desired: 1, members: [member('inService')] }),
        decisions: [
          poll(4, 2, 1, {
            from: 1,
            desired: 3,
            change: true,
            reasons: ['desired capacity rises from 1 to 3'],
          }),
        ],
      },
      says: '2 instances launch next: the last poll, 4 s ago, raised the desired capacity from 1 to 3.',
    },
    {
      more: {
        group: groupOf({ breakerOpen: true, suspended: [{ process: 'Launch', reason: 'breaker' }] }),
        decisions: [poll(4, 2, 0, { from: 0, desired: 1, change: true, reasons: ['a canary may launch'] })],
      },
      says: '1 instance launches next: the last poll, 4 s ago, raised the desired capacity from 0 to 1.',
    },
    {
      more: {
        decisions: [poll(4, 2, 0, RISE)],
        failures: [failure(2, { step: 'Update Group', error: 'GroupBusy', message: 'busy' })],
      },
      says: 'Nothing launches now: the last execution failed at Update Group. GroupBusy: busy.',
    },
    {
      more: {
        group: groupOf({ suspended: [{ process: 'Launch', reason: '' }] }),
        decisions: [poll(4, 3, 0, RISE)],
      },
      says: 'Nothing launches now: the Launch process of the group is suspended. Resume it in the console, or with: aws autoscaling resume-processes',
    },
    {
      more: {
        group: groupOf({ desired: 2, members: [member('inService'), member('inService', 'i-2')] }),
        decisions: [poll(50, 3, 0, RISE)],
      },
      says: 'Nothing launches now: the last poll raised the desired capacity from 0 to 3, and it is 2 now. The next poll decides again.',
    },
    {
      more: {
        group: groupOf({ desired: 1, members: [member('inService')] }),
        decisions: [poll(90, 1, 0, { ...RISE, desired: 1 })],
      },
      says: 'Nothing launches now: 1 task waits. The last poll raised the desired capacity from 0 to 1, and 1 instance is in service now.',
    },
    {
      more: {
        group: groupOf({ desired: 2 }),
        launches: [
          { outcome: 'underway', startedAt: ago(40), noInstance: true },
          { outcome: 'underway', startedAt: ago(50), noInstance: true },
        ],
      },
      says: '2 launches are under way, the first one since 50 s, and have no instance in the group yet.',
    },
    {
      more: {
        decisions: [
          poll(4, undefined, undefined, { reasons: ['held: CircleCI allows no request for 30 s'] }),
        ],
      },
      says: 'Nothing launches now: held: CircleCI allows no request for 30 s.',
    },
  ])('$says', ({ more, says }) => {
    expect(whyNothingLaunches(history(more), NOW)).toBe(says);
  });

  it('is never said while something launches, or of a decision to launch', () => {
    const count = fc.nat({ max: 4 });
    const anyDecision = fc
      .record({ from: count, desired: count, unclaimed: count, running: count, age: fc.nat({ max: 149 }) })
      .map(({ from, desired, unclaimed, running, age }) =>
        poll(age, unclaimed, running, {
          from,
          desired,
          change: from !== desired,
          reasons: desired > from ? [`desired capacity rises from ${from} to ${desired}`] : ['capped at 3'],
        }),
      );
    const anyGroup = fc
      .record({ desired: count, kinds: fc.array(fc.constantFrom('pending', 'inService', 'leaving')) })
      .map(({ desired, kinds }) =>
        groupOf({ desired, members: kinds.map((kind, index) => member(kind, `i-${index}`)) }),
      );
    const anyLaunches = fc.array(
      fc.constantFrom<Launch>(FAILED, { outcome: 'underway', startedAt: ago(40), noInstance: true }),
      { maxLength: 3 },
    );
    fc.assert(
      fc.property(anyDecision, anyGroup, anyLaunches, (decision, group, launches) => {
        const said = whyNothingLaunches(history({ decisions: [decision], group, launches }), NOW);
        const launching =
          group.members.some(({ kind }) => kind === 'pending') ||
          launches.some(({ outcome }) => outcome === 'underway');
        if (launching) expect(said).not.toMatch(/^Nothing/);
        expect(said).not.toMatch(/^Nothing.*\brises\b/);
      }),
    );
  });
});
