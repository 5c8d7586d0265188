import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { PollHistory } from '../../functions/lib/claims.ts';
import { Group } from '../../functions/lib/contracts.ts';
import {
  formatWithheld,
  parseWithheld,
  seenBefore,
  type Withheld,
  withheldAfter,
  withheldLimit,
} from '../../functions/lib/withheld.ts';
import { pollHistory } from '../support/inputs.ts';

const NOW = 1_767_600_050;
const SEEN = pollHistory({ unclaimed: 10, idle: true, idlePolls: 11 });
const RECORD: Withheld = {
  since: NOW - 600,
  unused: 10,
  canaries: 0,
  lastAt: NOW - 600,
  unclaimed: 10,
  running: 0,
  level: 0,
  came: 0,
  outside: 0,
  claimed: 0,
  claimedAt: NOW - 600,
  idleSeconds: 0,
  inService: 0,
  risen: 0,
  mostRunning: 0,
};

describe('withheldLimit', () => {
  interface Given {
    record?: Partial<Withheld>;
    seen?: Partial<PollHistory>;
    members?: [pending: number, inService: number];
  }
  const limit = ({ record = {}, seen = {}, members: [pending, inService] = [0, 0] }: Given) =>
    withheldLimit({ ...RECORD, ...record }, { ...SEEN, ...seen }, { pending, inService }, 3, NOW * 1_000);

  it.each<{ case: string; given: Given; allows: number | undefined }>([
    { case: 'a canary is due', given: {}, allows: 1 },
    { case: 'too few launches came to nothing', given: { record: { unused: 2 } }, allows: undefined },
    { case: 'just enough did', given: { record: { unused: 3 } }, allows: 1 },
    { case: 'no task waits any more', given: { seen: { unclaimed: 0 } }, allows: undefined },
    { case: 'a task was claimed where none ran', given: { seen: { claimed: 1 } }, allows: undefined },
    {
      case: 'a short task was claimed in place of another one',
      given: { record: { level: 2 }, seen: { claimed: 1, running: 2, mostRunning: 2 } },
      allows: 3,
    },
    {
      case: 'more tasks ran than the level at one poll',
      given: { record: { level: 2 }, seen: { running: 2, mostRunning: 3 } },
      allows: undefined,
    },
    {
      case: 'runners have left after their tasks',
      given: { record: { level: 5, lastAt: NOW }, seen: { running: 2, mostRunning: 5 }, members: [1, 2] },
      allows: 2,
    },
    {
      case: 'a canary is due while runners are replaced',
      given: { record: { level: 3 }, seen: { running: 1, mostRunning: 3 }, members: [1, 1] },
      allows: 2,
    },
    {
      case: 'a canary launches',
      given: { record: { level: 1 }, seen: { running: 1, mostRunning: 1 }, members: [1, 1] },
      allows: 0,
    },
    {
      case: 'all runners of the level are busy, and a canary is due',
      given: { record: { level: 2 }, seen: { running: 2, mostRunning: 2 }, members: [0, 2] },
      allows: 1,
    },
    {
      case: 'a runner of the level is idle, which is as good as a canary',
      given: { record: { level: 2 }, seen: { running: 1, mostRunning: 2 }, members: [0, 2] },
      allows: 0,
    },
    {
      case: 'the level runs outside the group, and a canary is due',
      given: { record: { level: 4, outside: 4 }, seen: { running: 4, mostRunning: 4, outside: 4 } },
      allows: 1,
    },
    {
      case: 'a part of the level runs outside the group',
      given: {
        record: { level: 5, lastAt: NOW },
        seen: { running: 4, mostRunning: 5, outside: 3 },
        members: [0, 1],
      },
      allows: 1,
    },
    {
      case: 'an idle runner hides behind tasks that run outside the group',
      given: { record: { level: 4 }, seen: { running: 4, mostRunning: 4, outside: 4 }, members: [0, 1] },
      allows: 0,
    },
    { case: 'there are more members than the level', given: { members: [3, 4] }, allows: 0 },
    { case: 'an instance launches', given: { members: [1, 0] }, allows: 0 },
    { case: 'a runner is idle where none runs', given: { members: [0, 1] }, allows: 0 },
    { case: 'the first pause is not over', given: { record: { lastAt: NOW - 119 } }, allows: 0 },
    { case: 'the first pause is over', given: { record: { lastAt: NOW - 120 } }, allows: 1 },
    { case: 'the third pause is not over', given: { record: { lastAt: NOW - 479, canaries: 2 } }, allows: 0 },
    { case: 'the third pause is over', given: { record: { lastAt: NOW - 480, canaries: 2 } }, allows: 1 },
    { case: 'the longest is not', given: { record: { lastAt: NOW - 1_799, canaries: 9 } }, allows: 0 },
    { case: 'the longest is', given: { record: { lastAt: NOW - 1_800, canaries: 9 } }, allows: 1 },
    { case: 'the clocks differ', given: { record: { since: NOW + 59, lastAt: NOW + 59 } }, allows: 0 },
    { case: 'the clocks differ as much as they may', given: { record: { lastAt: NOW + 60 } }, allows: 0 },
    {
      case: 'tasks outside and idle members are more than run, and a canary would be due',
      given: { record: { level: 6 }, seen: { running: 3, mostRunning: 3, outside: 2 }, members: [0, 2] },
      allows: 2,
    },
    { case: 'somebody forged a time to come', given: { record: { lastAt: NOW + 61 } }, allows: undefined },
    {
      case: 'somebody forged a beginning to come',
      given: { record: { since: 999_999_999_999 } },
      allows: undefined,
    },
    {
      case: 'somebody forged a claim to come',
      given: { record: { claimedAt: NOW + 61 } },
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
  const recorded = (
    before: Withheld | undefined,
    seen: Partial<PollHistory> = {},
    came = 0,
    present = 0,
    polls = 11,
    moreCame?: boolean,
  ) => withheldAfter(before, { ...SEEN, ...seen }, { present, came, moreCame, polls }, 3, NOW * 1_000);

  /** All runners of the level are busy. */
  const BUSY = { running: 5, mostRunning: 5, idle: false, idlePolls: 0, idlers: 0 };
  /** Of these, a runner is idle all the time. */
  const IDLE = { running: 5, mostRunning: 5, idlers: 1, idleSum: 11 };
  /** Between two polls, a task was claimed that ran before this execution. */
  const CLAIMS = { ...IDLE, claimed: 1 };
  const LIMITED: Withheld = { ...RECORD, unclaimed: 10, running: 5, level: 5 };

  it('begins with an execution in which runners were idle, and counts nothing yet', () => {
    // They may have finished a task, and be about to leave.
    const seen = {
      running: 1,
      mostRunning: 2,
      idlers: 5,
      idlersNow: 6,
      idleSum: 55,
      inService: 7,
      inServiceFirst: 5,
    };
    expect(recorded(undefined, seen, 5)).toEqual({
      since: NOW,
      unused: 0,
      canaries: 0,
      lastAt: NOW,
      unclaimed: 10,
      running: 1,
      level: 2,
      // Two of the five may run the two tasks.
      came: 3,
      outside: 0,
      claimed: 0,
      claimedAt: NOW,
      // 55 * 60 s / 11, less 8 s for each of the two that came, and 28 s for each of the five that were counted: they may
      // have come after the last poll of the execution before.
      idleSeconds: 300 - 2 * 8 - 5 * 28,
      inService: 7,
      risen: 2,
      mostRunning: 2,
      idlersNow: 6,
    });
  });

  /** Without a hint at idle runners. */
  const NO_HINT = { idle: false, idlePolls: 1, idlersNow: 0 };
  /** Runners that are in service for no poll. */
  const NOTHING_RAN = { idle: false, idlePolls: 0, idlersNow: undefined };
  it.each([
    { case: 'no task waited for a while', seen: { waiting: false, idlers: 3 } },
    { case: 'a poll saw a runner idle, and the last poll did not', seen: { ...NO_HINT, idlers: 0 } },
    { case: 'none came', came: 0, seen: NOTHING_RAN },
    { case: 'one came, and a task ran', came: 1, seen: { ...NOTHING_RAN, mostRunning: 1 } },
    { case: 'one came, and a task was claimed', came: 1, seen: { ...NOTHING_RAN, claimed: 1 } },
    { case: 'one came, and few polls could miss its task', came: 1, polls: 9, seen: NOTHING_RAN },
  ])('does not begin if $case', ({ seen, came, polls }) => {
    expect(recorded(undefined, seen, came, 0, polls)).toBeUndefined();
  });

  it('begins if one came and left with nothing run, limits nothing in a first burst, and ends with its claims', () => {
    const begun = recorded(undefined, NOTHING_RAN, 10, 10, 10);
    expect(begun).toMatchObject({ unused: 0, level: 0, came: 10 });
    const seen = { ...SEEN, ...NOTHING_RAN };
    expect(withheldLimit(begun, seen, { pending: 0, inService: 10 }, 3, NOW * 1_000)).toBeUndefined();
    expect(recorded(begun, { claimed: 10, running: 10, mostRunning: 10 }, 0, 10)).toBeUndefined();
  });

  it('counts launches that leave before a poll sees them, and as many canaries', () => {
    const before = { ...RECORD, claimedAt: NOW - 180 };
    expect(recorded(before, NOTHING_RAN, 1, 0, 10)).toMatchObject({ unused: 11, canaries: 1 });
    expect(recorded(before, NOTHING_RAN, 1, 0, 9)).toMatchObject({ unused: 10, canaries: 0 });
    expect(recorded({ ...before, claimedAt: NOW - 179 }, NOTHING_RAN, 1, 0, 10)).toMatchObject({
      unused: 10,
    });
  });

  it.each([
    {
      case: 'runners that were idle for two polls have left',
      seen: { ...NO_HINT, idlePolls: 2 },
      outside: 0,
    },
    { case: 'a runner is idle at the only poll', seen: { ...NO_HINT, idlersNow: 1 }, outside: 0 },
    { case: 'tasks run outside the group', seen: { ...NO_HINT, running: 4, surplus: 3 }, outside: 3 },
    {
      case: 'more tasks than now ran outside the group',
      seen: { ...NO_HINT, outside: 4, surplus: 3 },
      outside: 4,
    },
  ])('begins if $case', ({ seen, outside }) => {
    expect(recorded(undefined, seen)).toMatchObject({ unused: 0, since: NOW, outside });
  });

  it.each([
    { case: 'no task waited for a while', seen: { waiting: false } },
    { case: 'a task was claimed where none ran', seen: { claimed: 1 } },
    { case: 'more tasks ran than the level at one poll', before: LIMITED, seen: { ...BUSY, mostRunning: 6 } },
  ])('ends if $case', ({ before = RECORD, seen }) => {
    expect(recorded(before, seen)).toBeUndefined();
    expect(recorded({ ...before, unused: 0 }, seen)).toBeUndefined();
  });

  it('goes on while other tasks run in place of those that have ended', () => {
    const goesOn = { ...LIMITED, claimed: 9, claimedAt: NOW, mostRunning: 5 };
    expect(recorded(LIMITED, { ...BUSY, claimed: 9 })).toEqual(goesOn);
  });

  it('begins again if more tasks run than the level while some run outside the group', () => {
    const seen = { ...BUSY, running: 6, mostRunning: 6, outside: 4 };
    expect(recorded(LIMITED, seen)).toMatchObject({ since: NOW, unused: 0, level: 6, outside: 4 });
  });

  const ELEVEN_POLLS = 60 / 11;
  it.each([
    { case: 'no runner is idle', unused: 0 },
    {
      case: 'two have come, and were idle no longer than healthy ones',
      risen: 2,
      seconds: 2 * 8 + 7,
      unused: 0,
    },
    { case: 'two have come, and one was idle for longer', risen: 2, seconds: 2 * 8 + 8, unused: 1 },
    { case: 'two have come, and both were', risen: 2, seconds: 2 * 8 + 16, unused: 2 },
    {
      case: 'two have left, and were idle no longer than healthy ones',
      risen: -2,
      seconds: 40 + 7,
      unused: 0,
    },
    { case: 'two have left, and one was idle for longer', risen: -2, seconds: 40 + 8, unused: 1 },
    { case: 'others have come for two whose tasks have ended', ended: 2, seconds: 2 * 28 + 7, unused: 0 },
    { case: 'one of these was idle for longer', ended: 2, seconds: 2 * 28 + 8, unused: 1 },
    { case: 'the tasks of two that have left have ended', risen: -2, ended: 2, seconds: 40 + 8, unused: 1 },
    { case: 'an idle one may be about to leave', now: 1, seconds: 20 + 7, unused: 0 },
    { case: 'an idle one may be about to leave, and another was idle', now: 1, seconds: 20 + 8, unused: 1 },
    { case: 'one came that was no more than healthy', came: 1, earlier: 28 + 7, unused: 0 },
    { case: 'one came, and one was idle for longer', came: 1, earlier: 28 + 8, unused: 1 },
    { case: 'one came, as the counts had told', came: 1, rose: 1, earlier: 8, unused: 1 },
    { case: 'one was about to leave, and left', was: 1, earlier: 20 + 7, risen: -1, unused: 0 },
    { case: 'one was about to leave, and another was idle', was: 1, earlier: 20 + 8, risen: -1, unused: 1 },
    { case: 'what was idle before adds up', earlier: 4, seconds: 4, unused: 1 },
    { case: 'two were counted that are yet to be seen', came: 2, seconds: 2 * 28 + 7, unused: 0 },
    { case: 'no more are yet to be seen', came: 2, earlier: -600, seconds: 2 * 28 + 8, unused: 1 },
    {
      case: 'others may have come before',
      came: 2,
      more: true,
      earlier: 600,
      seconds: 2 * 28 + 7,
      unused: 0,
    },
    { case: 'others may have come before, and one is idle', more: true, earlier: 600, seconds: 8, unused: 1 },
  ])('counts $unused launches if $case', (given) => {
    const { seconds = 0, risen = 0, ended = 0, now = 0, came = 0, earlier = 0, rose = 0, was = 0 } = given;
    const before = {
      ...LIMITED,
      unused: 2,
      came: 5,
      running: 5 + ended,
      idleSeconds: earlier,
      risen: rose,
      idlersNow: was,
    };
    const inService = { inServiceFirst: 20, inService: 20 + risen };
    const seen = { ...BUSY, ...inService, idleSum: seconds / ELEVEN_POLLS, idlersNow: now };
    expect(recorded(before, seen, came, 0, 11, given.more)).toMatchObject({ unused: 2 + given.unused });
  });

  it.each([
    { case: 'all came now', came: 2, unused: 2 },
    { case: 'one came before', came: 1, before: 1, unused: 2 },
    { case: 'a claim was seen for each', came: 2, claimed: 2, unused: 0 },
    { case: 'a claim was seen for each in the execution before', came: 2, ran: 2, unused: 0 },
    { case: 'a claim was seen for one', came: 2, claimed: 1, unused: 1 },
  ])('counts $unused launches if runners were idle for long and $case', (given) => {
    const { came, claimed = 0, ran = 0, unused } = given;
    const before = { ...LIMITED, unused: 2, came: given.before ?? 0, claimed: ran, mostRunning: 5 };
    const seen = { ...BUSY, claimed, idleSum: 600 / ELEVEN_POLLS };
    expect(recorded(before, seen, came)).toMatchObject({ unused: 2 + unused });
  });

  it.each([
    { case: 'no claim was seen for a while', claimless: 180, unused: 4 },
    { case: 'no claim was seen, but not for long', claimless: 179, unused: 0 },
    { case: 'few polls could miss a task', claimless: 180, polls: 9, unused: 0 },
    { case: 'a task began and ended between two polls', claimless: 180, claimed: 1, unused: 0 },
  ])(
    'counts $unused of 4 launches that were idle at no poll if $case',
    ({ claimless, claimed = 0, polls, unused }) => {
      const before = { ...RECORD, unused: 2, claimedAt: NOW - claimless };
      const counted = recorded(before, { ...NOTHING_RAN, claimed }, 4, 0, polls ?? 10)?.unused ?? 2;
      expect(counted - 2).toBe(unused);
    },
  );

  it.each([
    { outside: 2, claimless: 600, unused: 2 },
    { outside: 2, claimless: 599, unused: 0 },
    { outside: 0, claimless: 600, unused: 0 },
    // A claim was seen now.
    { outside: 2, claimless: 600, claimed: 1, unused: 0 },
  ])(
    'counts $unused launches if $outside tasks run outside the group and no claim was seen for $claimless s',
    ({ outside, claimless, claimed = 0, unused }) => {
      const before = { ...LIMITED, unused: 2, claimedAt: NOW - claimless };
      expect(recorded(before, { ...BUSY, outside, claimed }, 2)).toMatchObject({ unused: 2 + unused });
    },
  );

  it.each([
    { case: 'no claim was seen for a while', unused: 3 },
    { case: 'no claim was seen, but not for long', claimless: 179, unused: 0 },
    { case: 'a runner was idle at one poll', idlePolls: 1, unused: 0 },
    { case: 'a task ran in the execution before', ran: 1, unused: 0 },
    { case: 'a task runs', runs: 1, unused: 0 },
  ])(
    'counts $unused of 3 launches, one of them idle at few polls, if $case',
    ({ claimless = 180, idlePolls = 2, ran = 0, runs = 0, unused }) => {
      const before = {
        ...LIMITED,
        unused: 2,
        running: ran,
        mostRunning: ran,
        claimedAt: NOW - claimless,
      };
      const seen = { running: runs, mostRunning: runs, idle: false, idlePolls, idlers: 1 };
      expect(recorded(before, seen, 3, 0, 5)).toMatchObject({ unused: 2 + unused });
    },
  );

  it.each([
    { case: 'more than have come or left', idlers: 3, came: 2, unused: 3 },
    { case: 'as many as came', idlers: 2, came: 2, unused: 0 },
    { case: 'as many as came by the counts', idlers: 2, risen: 2, unused: 0 },
    { case: 'as many as have left', idlers: 1, running: 4, unused: 0 },
    { case: 'idle at one poll', idlers: 3, idlePolls: 1, unused: 0 },
  ])('counts $unused launches by idle runners that are $case', (given) => {
    const { idlers, came = 0, risen = 0, running = 5, idlePolls = 2, unused } = given;
    const before = { ...LIMITED, unused: 2, came: 5, running };
    const seen = { ...BUSY, running, idlePolls, idlers, inServiceFirst: 8, inService: 8 + risen };
    expect(recorded(before, seen, came, 0, 11)).toMatchObject({ unused: 2 + unused });
  });

  it('lets a poll stand for 14 s at most, so that runners that leave together do not count', () => {
    // One poll in a minute saw 10 of them: 140 s at most. A healthy one that leaves is idle for 20 s.
    const seen = { ...BUSY, inService: 10, idleSum: 10 };
    const before = { ...LIMITED, unused: 2, came: 10 };
    expect(recorded(before, { ...seen, inServiceFirst: 17 }, 0, 0, 1)).toMatchObject({ unused: 2 });
    expect(recorded(before, { ...seen, inServiceFirst: 16 }, 0, 0, 1)).toMatchObject({ unused: 4 });
  });

  it.each([
    { case: 'they were idle at all polls, and for long', unused: 3 },
    { case: 'not for so long', seconds: 3 * 20 + 3 * 40 - 1, unused: 2 },
    { case: 'two of them were', idlers: 2, unused: 2 },
    { case: 'none was idle at each poll', idle: false, unused: 0 },
    { case: 'fewer came', came: 1, unused: 1 },
    { case: 'some came just now', seconds: 3 * 20 + 3 * 40 + 2 * 28, came: 1, now: 2, unused: 3 },
  ])('counts $unused launches although a claim was seen for each if $case', (given) => {
    const { seconds = 3 * 20 + 3 * 40, idlers = 3, idle = true, came = 3, now, unused } = given;
    const seen = { ...BUSY, claimed: 9, idle, idlers, idlersNow: 3 };
    const before = { ...LIMITED, unused: 2, came, idleSeconds: seconds, idlersNow: 3 };
    const after = recorded(before, { ...seen, mostRunning: 5, idlePolls: 1 }, now);
    expect(after).toMatchObject({ unused: 2 + unused });
  });

  it.each([
    { polls: 2, ran: 5, unused: 2 },
    { polls: 1, ran: 5, unused: 0 },
    { polls: 1, ran: 0, unused: 2 },
    { polls: 1, ran: 5, runs: 0, unused: 0 },
  ])(
    'counts $unused launches by idle runners of $polls polls while $ran tasks run',
    ({ polls, ran, runs = ran, unused }) => {
      // One poll sees most claims of a healthy fleet too late.
      const before = {
        ...LIMITED,
        level: 5,
        unused: 2,
        came: 2,
        running: ran,
        mostRunning: ran,
        claimedAt: NOW - 60,
        idlersNow: 6,
      };
      const seen = {
        ...BUSY,
        running: runs,
        mostRunning: runs,
        idle: true,
        idlePolls: 2,
        idlers: 6,
        idlersNow: 6,
      };
      expect(recorded(before, seen, 0, 0, polls)).toMatchObject({ unused: 2 + unused });
    },
  );

  it.each([
    { polls: 2, came: 7 },
    { polls: 1, came: 3 },
  ])('keeps $came launches for the next execution after $polls polls', ({ polls, came }) => {
    expect(recorded({ ...LIMITED, unused: 0, came: 4 }, BUSY, 3, 0, polls)).toMatchObject({ came });
  });

  it('counts canaries whatever is claimed, and no more than one for idle runners', () => {
    const before = { ...LIMITED, unused: 3, running: 4, came: 2, claimed: 1 };
    const seen = { ...CLAIMS, idleSum: 600 };
    expect(recorded(before, seen, 2)).toMatchObject({ unused: 4, canaries: 1, idleSeconds: 8 });
    expect(recorded(before, { ...seen, idlersNow: 1 }, 2)).toMatchObject({ canaries: 1, idleSeconds: 28 });
    const rising = { ...seen, inServiceFirst: 3, inService: 4 };
    expect(recorded(before, rising, 2)).toMatchObject({ canaries: 1, idleSeconds: 8 });
  });

  it('keeps canaries for the next execution until a runner was idle for too long', () => {
    expect(recorded(LIMITED, BUSY, 3)).toMatchObject({ canaries: 0, came: 3 });
    expect(recorded(LIMITED, { ...CLAIMS, idleSum: 600 }, 3)).toMatchObject({ canaries: 1, came: 0 });
  });

  it('keeps launches for the next execution, less those that counted or claimed', () => {
    const before = { ...LIMITED, unused: 0, came: 2, claimed: 1 };
    const came = (idleSum: number) =>
      recorded(before, { ...BUSY, inService: 3, inServiceFirst: 3, idleSum }, 3)?.came;
    expect(came(0)).toBe(4);
    expect(came((3 * 28 + 8) / ELEVEN_POLLS)).toBe(3);
    expect(recorded({ ...before, claimed: 9 }, BUSY, 3)?.came).toBe(0);
  });

  it.each([
    {
      case: 'falls to the tasks that ran while runners were idle',
      seen: { ...IDLE, mostRunning: 3 },
      level: 3,
    },
    {
      case: 'stays if runners were not idle at each poll and a task was claimed',
      seen: { ...IDLE, idleSum: 1, mostRunning: 3, idle: false, claimed: 1 },
      level: 5,
    },
    {
      case: 'stays if runners were not idle at each poll and none has come',
      seen: { ...IDLE, idleSum: 1, mostRunning: 3, idle: false },
      level: 5,
    },
    {
      case: 'falls if runners were not idle at each poll, one has come and no claim was seen for a while',
      seen: { ...IDLE, mostRunning: 3, idle: false },
      came: 1,
      level: 3,
    },
    {
      case: 'falls to the tasks that ran if one was idle at each poll, and too long by a little',
      seen: { ...IDLE, mostRunning: 1, idleSum: 8 / ELEVEN_POLLS },
      level: 1,
    },
    {
      case: 'falls so before launches are held',
      unused: 2,
      seen: { ...IDLE, mostRunning: 1, idleSum: 8 / ELEVEN_POLLS },
      level: 1,
    },
    {
      case: 'stays if the one that was idle at each poll has just come',
      seen: { ...IDLE, mostRunning: 1, idleSum: 0 },
      came: 1,
      level: 5,
    },
    {
      case: 'falls to the tasks that ran if one has come, which no claim was seen for',
      seen: { ...IDLE, mostRunning: 1, idle: false, idleSum: (28 + 8) / ELEVEN_POLLS },
      came: 1,
      claimless: 180,
      level: 1,
    },
    {
      case: 'falls by that one if a claim was seen not long ago',
      seen: { ...IDLE, mostRunning: 1, idle: false, idleSum: (28 + 8) / ELEVEN_POLLS },
      came: 1,
      claimless: 179,
      level: 4,
    },
    {
      case: 'falls to what ran in the execution before',
      seen: { ...IDLE, mostRunning: 3 },
      before: 4,
      level: 4,
    },
    {
      case: 'falls by one for each runner that was idle for too long',
      seen: { ...IDLE, mostRunning: 2, idle: false, claimed: 1, idleSum: (28 + 16) / ELEVEN_POLLS },
      level: 3,
    },
    {
      case: 'stays if a runner was idle for too long before this execution',
      seen: { ...IDLE, mostRunning: 3, idle: false, claimed: 1, idleSum: 0 },
      idleSeconds: 40,
      level: 5,
    },
    {
      case: 'stays if a canary is there and no task is claimed',
      seen: { ...BUSY, running: 4, mostRunning: 4 },
      present: 6,
      level: 5,
    },
    { case: 'stays if no runner was idle', seen: { ...BUSY, mostRunning: 3 }, present: 5, level: 5 },
    { case: 'stays if all of it is in use', seen: BUSY, present: 6, level: 5 },
    {
      case: 'stays if tasks are claimed and all of it is in use',
      seen: { ...BUSY, claimed: 1 },
      present: 6,
      level: 5,
    },
    {
      case: 'rises if members beyond what it leaves beside tasks outside do not fill it',
      seen: { ...BUSY, mostRunning: 4, claimed: 1, outside: 2 },
      present: 4,
      level: 6,
    },
    {
      case: 'rises if a canary is there and short tasks do not fill it',
      seen: { ...BUSY, running: 4, mostRunning: 4, claimed: 1 },
      present: 6,
      level: 6,
    },
    {
      case: 'stays before launches are held',
      unused: 2,
      seen: { ...BUSY, running: 4, mostRunning: 4, claimed: 1 },
      present: 9,
      level: 5,
    },
  ])(
    'has a level that $case',
    ({ unused = 10, seen, came = 0, present, level, before = 0, idleSeconds = 0, claimless = 600 }) => {
      const claimedAt = NOW - claimless;
      const counts = { running: seen.mostRunning, mostRunning: before, idleSeconds };
      const record = { ...LIMITED, unused, claimedAt, ...counts };
      expect(recorded(record, { ...seen, running: seen.mostRunning }, came, present)).toMatchObject({
        level,
      });
    },
  );

  it('counts launches that came into service since, and as canaries those that were held to', () => {
    const seen = { idleSum: (28 + 8) / ELEVEN_POLLS };
    expect(recorded(RECORD, seen, 1)).toEqual({ ...RECORD, unused: 11, canaries: 1, lastAt: NOW });
    expect(recorded({ ...RECORD, unused: 2 }, seen, 1)).toMatchObject({
      unused: 3,
      canaries: 0,
      lastAt: NOW,
    });
  });

  it('counts no further than the steps accept', () => {
    const most = { ...RECORD, unused: 1_000_000, canaries: 1_000_000 };
    expect(recorded(most, {}, 1)).toEqual({ ...most, lastAt: NOW, idleSeconds: -28 - 8 });
    expect(recorded(RECORD, {}, 1_000_000)).toMatchObject({ idleSeconds: -1_000_000 });
    const many = { ...RECORD, unused: 2, came: 1_000_000, idleSeconds: 1_000_000, inService: 1_000_000 };
    const seen = { inService: 1_000_000, inServiceFirst: 1_000_000, idleSum: 1_000_000 };
    expect(recorded({ ...many, claimedAt: NOW }, seen, 0)).toMatchObject({ came: 875_000, idleSeconds: 0 });
  });

  it('stays as it is while nothing comes into service', () => {
    expect(recorded(RECORD)).toEqual(RECORD);
  });

  it('goes on while nothing is in service, with the counts of the last poll', () => {
    expect(recorded(RECORD, { idle: false, unclaimed: 12 })).toEqual({ ...RECORD, unclaimed: 12 });
  });

  it('begins again if somebody forged a time to come', () => {
    expect(recorded({ ...RECORD, lastAt: NOW + 61 }, {})).toMatchObject({ since: NOW, unused: 0 });
    expect(recorded({ ...RECORD, lastAt: NOW + 59 }, {})).toMatchObject({ unused: 10 });
    expect(recorded({ ...RECORD, claimedAt: NOW + 61 }, {})).toMatchObject({ claimedAt: NOW, unused: 0 });
  });

  it('allows members up to the level and one canary, and never raises the level by more than that', () => {
    const count = fc.nat({ max: 20 });
    fc.assert(
      fc.property(
        fc.record({ level: count, canaries: count, lastAt: fc.nat({ max: NOW }) }),
        fc.record({ running: count, idlers: count, claimed: count, idle: fc.boolean() }),
        fc.record({ pending: count, inService: count, came: count }),
        (given, counts, { pending, inService, came }) => {
          const record = { ...RECORD, ...given };
          const seen = { ...SEEN, ...counts, mostRunning: counts.running };
          fc.pre(seen.running <= record.level && record.level > 0);
          const present = pending + inService;
          const limit = withheldLimit(record, seen, { pending, inService }, 3, NOW * 1_000) ?? Number.NaN;
          expect(present + limit).toBeLessThanOrEqual(Math.max(record.level + 1, present));
          const level = recorded(record, seen, came, present)?.level ?? Number.NaN;
          expect(level).toBeLessThanOrEqual(record.level + 1);
          expect(level).toBeGreaterThanOrEqual(seen.running);
        },
      ),
    );
  });
});

describe('the tag', () => {
  it('holds what is on record', () => {
    expect(parseWithheld(formatWithheld(RECORD))).toStrictEqual(RECORD);
    expect(parseWithheld(formatWithheld({ ...RECORD, idlersNow: 2 }))).toEqual({ ...RECORD, idlersNow: 2 });
    // https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-tagging.html
    expect(formatWithheld(RECORD)).toMatch(/^[\w .:/=+\-@]{1,256}$/);
  });

  it.each([
    '',
    'true',
    '1 2 3',
    '1 2 3 4 5 6 7 8',
    '1 2 3 4 5 6 7 8 9 10 11',
    '1 2 3 4 5 6 7 8 9 10 11 12 13',
    '1 2 3 4 5 6 7 8 6 10 11 12 13 14',
    '1 2 3 4 5 6 7 8 6 10 11 12 13 14 15 16 17',
    '1 2 3 4 5 6 7 8 6 10 11 12 13 14 -15',
    '1.5 2 3 4 5 6 7 8 6 10 11 12 13 14 15',
    '-1 2 3 4 5 6 7 8 6 10 11 12 13 14 15',
    // More tasks outside than tasks that run.
    '1 2 3 4 5 6 7 8 7 10 11 12 13 14 15',
    // A count that the steps refuse, another one, and the last one.
    '1 1000001 3 4 5 6 7 8 6 10 11 12 13 14 15',
    '1 2 3 4 5 6 7 8 6 10 11 -1000001 13 14 15',
    '1 2 3 4 5 6 7 8 6 10 11 12 13 14 15 1000001',
  ])('is none if it is "%s"', (tag) => {
    expect(parseWithheld(tag)).toBeUndefined();
  });

  it('may hold the largest counts that the steps accept, and any time', () => {
    const tag = `4000000000 ${Array(2).fill('1000000').join(' ')} 4000000000 ${Array(6).fill('1000000').join(' ')} 4000000000 -1000000 ${Array(4).fill('1000000').join(' ')}`;
    expect(formatWithheld(Group.shape.withheld.parse(parseWithheld(tag)) ?? RECORD)).toBe(tag);
  });

  it('lets claims between two executions be seen', () => {
    // No task elsewhere is on record, so it takes nothing away from what the polls see.
    const fewest = { elsewhere: Number.POSITIVE_INFINITY, surplus: Number.POSITIVE_INFINITY };
    expect(seenBefore(RECORD)).toStrictEqual({
      ...SEEN,
      idlePolls: 0,
      outside: 0,
      inService: 0,
      ...fewest,
    });
    // A runner that was idle at the last poll, and is idle at the next one, is idle at two.
    expect(seenBefore({ ...RECORD, idlersNow: 2, outside: 4, inService: 7 })).toMatchObject({
      inService: 7,
      idlePolls: 1,
      idlers: 2,
      outside: 4,
    });
    expect(seenBefore(undefined)).toBeUndefined();
  });
});
