import { describe, expect, it } from 'vitest';
import type { PollHistory } from '../../functions/lib/claims.ts';
import {
  formatWithheld,
  parseWithheld,
  seenBefore,
  type Withheld,
  withheldAfter,
  withheldLimit,
} from '../../functions/lib/withheld.ts';

const NOW = 1_767_600_050;
const SEEN: PollHistory = { unclaimed: 10, running: 0, claimed: 0, waiting: true, idle: true, idlePolls: 11 };
const RECORD: Withheld = {
  since: NOW - 600,
  unused: 10,
  canaries: 0,
  lastAt: NOW - 600,
  unclaimed: 10,
  running: 0,
};

describe('withheldLimit', () => {
  const limit = ({
    record = {},
    seen = {},
    members = {},
  }: {
    record?: Partial<Withheld>;
    seen?: Partial<PollHistory>;
    members?: Partial<{ pending: number; inService: number }>;
  }) =>
    withheldLimit(
      { ...RECORD, ...record },
      { ...SEEN, ...seen },
      { pending: 0, inService: 0, ...members },
      3,
      NOW * 1_000,
    );

  it.each([
    { case: 'a canary is due', given: {}, allows: 1 },
    { case: 'too few launches came to nothing', given: { record: { unused: 2 } }, allows: undefined },
    { case: 'just enough did', given: { record: { unused: 3 } }, allows: 1 },
    { case: 'no task waits any more', given: { seen: { unclaimed: 0 } }, allows: undefined },
    { case: 'a task was claimed', given: { seen: { claimed: 1 } }, allows: undefined },
    { case: 'an instance launches', given: { members: { pending: 1 } }, allows: 0 },
    { case: 'a runner is idle, which is a canary itself', given: { members: { inService: 1 } }, allows: 0 },
    { case: 'members are busy', given: { members: { inService: 4 }, seen: { running: 4 } }, allows: 1 },
    { case: 'the first pause is not over', given: { record: { lastAt: NOW - 119 } }, allows: 0 },
    { case: 'the first pause is over', given: { record: { lastAt: NOW - 120 } }, allows: 1 },
    { case: 'the third pause is not over', given: { record: { lastAt: NOW - 479, canaries: 2 } }, allows: 0 },
    { case: 'the third pause is over', given: { record: { lastAt: NOW - 480, canaries: 2 } }, allows: 1 },
    { case: 'the longest is not', given: { record: { lastAt: NOW - 1_799, canaries: 9 } }, allows: 0 },
    { case: 'the longest is', given: { record: { lastAt: NOW - 1_800, canaries: 9 } }, allows: 1 },
    { case: 'the clocks differ', given: { record: { since: NOW + 59, lastAt: NOW + 59 } }, allows: 0 },
    { case: 'somebody forged a time to come', given: { record: { lastAt: NOW + 61 } }, allows: undefined },
    {
      case: 'somebody forged a beginning to come',
      given: { record: { since: 999_999_999_999 } },
      allows: undefined,
    },
  ])('if $case: $allows', ({ given, allows }) => {
    expect(limit(given)).toBe(allows);
  });

  it('limits nothing if nothing is on record', () => {
    expect(withheldLimit(undefined, SEEN, { pending: 0, inService: 0 }, 3, NOW * 1_000)).toBeUndefined();
  });
});

describe('withheldAfter', () => {
  const recorded = (before: Withheld | undefined, seen: Partial<PollHistory> = {}, came = 0) =>
    withheldAfter(before, { ...SEEN, ...seen }, came, 3, NOW * 1_000);

  it('begins with an execution in which runners were idle, and counts nothing yet', () => {
    // They may have finished a task, and be about to leave.
    expect(recorded(undefined, { running: 1 }, 5)).toEqual({
      since: NOW,
      unused: 0,
      canaries: 0,
      lastAt: NOW,
      unclaimed: 10,
      running: 1,
    });
  });

  it.each([
    { case: 'a task was claimed', seen: { claimed: 1 } },
    { case: 'no task waited for a while', seen: { waiting: false } },
    { case: 'all members were busy for a while', seen: { idlePolls: undefined } },
    { case: 'a single poll saw a runner idle', seen: { idlePolls: 1 } },
  ])('does not begin if $case', ({ seen }) => {
    expect(recorded(undefined, seen)).toBeUndefined();
  });

  it('begins with runners that were idle for two polls and have left', () => {
    expect(recorded(undefined, { idle: false, idlePolls: 2 })).toMatchObject({ unused: 0 });
  });

  it.each([
    { case: 'a task was claimed', seen: { claimed: 1 } },
    { case: 'no task waited for a while', seen: { waiting: false } },
  ])('ends when $case', ({ seen }) => {
    expect(recorded(RECORD, seen)).toBeUndefined();
  });

  it('counts launches that came into service since, and as canaries those that were held to', () => {
    expect(recorded(RECORD, {}, 1)).toEqual({
      ...RECORD,
      unused: 11,
      canaries: 1,
      lastAt: NOW,
    });
    expect(recorded({ ...RECORD, unused: 2 }, {}, 1)).toMatchObject({
      unused: 3,
      canaries: 0,
      lastAt: NOW,
    });
  });

  it('stays as it is while nothing comes into service', () => {
    expect(recorded(RECORD)).toEqual(RECORD);
  });

  it('goes on while nothing is in service, with the counts of the last poll', () => {
    expect(recorded(RECORD, { idle: false, unclaimed: 12 })).toEqual({
      ...RECORD,
      unclaimed: 12,
    });
  });
});

describe('the tag', () => {
  it('holds what is on record', () => {
    expect(parseWithheld(formatWithheld(RECORD))).toEqual(RECORD);
    // https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-tagging.html
    expect(formatWithheld(RECORD)).toMatch(/^[\w .:/=+\-@]{1,256}$/);
  });

  it.each(['', 'true', '1 2 3', '1 2 3 4 5 6 7', '1 2 3 4 5 -6', '1.5 2 3 4 5 6'])(
    'is none if it is "%s"',
    (tag) => {
      expect(parseWithheld(tag)).toBeUndefined();
    },
  );

  it('lets claims between two executions be seen', () => {
    // No task elsewhere is on record, so it takes nothing away from what the polls see.
    expect(seenBefore(RECORD)).toEqual({ ...SEEN, idlePolls: 0, elsewhere: Number.POSITIVE_INFINITY });
    expect(seenBefore(undefined)).toBeUndefined();
  });
});
