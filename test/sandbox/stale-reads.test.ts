import { beforeEach, describe, expect, it } from 'vitest';
import { describeGroup } from '../../functions/lib/auto-scaling.ts';
import { Agenda } from '../../sandbox/agenda.ts';
import { AutoScalingGroup } from '../../sandbox/auto-scaling-group.ts';
import { DURATIONS } from '../../sandbox/group/durations.ts';
import { REMEMBERED_SECONDS } from '../../sandbox/group/history.ts';
import { TaskQueue } from '../../sandbox/task-queue.ts';
import { embeddedAws } from '../support/aws.ts';

const { request, boot, leave, leaveCall, idleTimeout } = DURATIONS;
const READY = request + boot;
const LEAVES = READY + idleTimeout + leaveCall;
const GONE = READY + idleTimeout + leave;

const { aws, autoScaling } = await embeddedAws();
let agenda: Agenda;
let runners: AutoScalingGroup;

beforeEach(() => {
  agenda = new Agenda();
  runners = new AutoScalingGroup(
    {
      name: 'runners',
      minSize: 0,
      maxSize: 10,
      durations: DURATIONS,
      newInstancesProtectedFromScaleIn: true,
    },
    agenda,
    new TaskQueue(),
  );
  aws.groups.set('runners', runners);
  aws.staleness = 0;
});

/** Reads the group at a time, with reads that lag by this many seconds. */
async function read(at: number, staleness: number) {
  agenda.advance(at);
  aws.staleness = staleness;
  const { desired, members } = await describeGroup(autoScaling, 'runners');
  const { pending, inService, leaving } = members;
  return { desired, pending, inService, ...(leaving > 0 && { leaving }) };
}

describe('a read that lags by 5 seconds', () => {
  it.each([
    { case: 'a capacity just set', at: 24.9, sees: { desired: 0, pending: 0, inService: 0 } },
    { case: 'a capacity set 5 s ago', at: 25, sees: { desired: 2, pending: 0, inService: 0 } },
    {
      case: 'instances just pending',
      at: 20 + request + 4,
      sees: { desired: 2, pending: 0, inService: 0 },
    },
    {
      case: 'instances pending for 5 s',
      at: 20 + request + 5,
      sees: { desired: 2, pending: 2, inService: 0 },
    },
    { case: 'instances just ready', at: 20 + READY + 4, sees: { desired: 2, pending: 2, inService: 0 } },
    {
      case: 'instances ready for 5 s',
      at: 20 + READY + 5,
      sees: { desired: 2, pending: 0, inService: 2 },
    },
    { case: 'instances that just left', at: 20 + LEAVES + 4, sees: { desired: 2, pending: 0, inService: 2 } },
    {
      case: 'instances that left 5 s ago',
      at: 20 + LEAVES + 5,
      sees: { desired: 0, pending: 0, inService: 0, leaving: 2 },
    },
    {
      case: 'instances that have just ended',
      at: 20 + GONE + 4,
      sees: { desired: 0, pending: 0, inService: 0, leaving: 2 },
    },
    {
      case: 'instances that ended 5 s ago',
      at: 20 + GONE + 5,
      sees: { desired: 0, pending: 0, inService: 0 },
    },
  ])('sees $case as they were then', async ({ at, sees }) => {
    agenda.advance(20);
    runners.setDesiredCapacity(2);
    expect(await read(at, 5)).toEqual(sees);
  });

  it('sees the group as it was made, before it was', async () => {
    agenda.advance(1);
    runners.setDesiredCapacity(2);
    expect(await read(2, 5)).toEqual({ desired: 0, pending: 0, inService: 0 });
  });

  it('is as sharp when much has happened since', async () => {
    for (let at = 0; at <= 1_000; at += 1) {
      agenda.advance(at);
      runners.setDesiredCapacity(at % 10);
    }
    // Nothing takes the nine away again: they are protected.
    expect(await read(1_000, REMEMBERED_SECONDS)).toMatchObject({
      desired: (1_000 - REMEMBERED_SECONDS) % 10,
    });
    expect(await read(1_000, 1)).toMatchObject({ desired: 9 });
    expect(await read(1_000, 0)).toMatchObject({ desired: 0 });
  });

  it('sees members that left within the minute that is remembered, also when others left since', async () => {
    runners.setDesiredCapacity(3);
    agenda.advance(30);
    runners.setDesiredCapacity(4);
    expect(await read(LEAVES + 59, REMEMBERED_SECONDS)).toMatchObject({ inService: 4 });
    expect(await read(LEAVES + 60, REMEMBERED_SECONDS)).toMatchObject({ inService: 1 });
    expect(await read(LEAVES + 90, REMEMBERED_SECONDS)).toMatchObject({ inService: 0 });
  });
});

describe('a read that does not lag', () => {
  it('sees what is', async () => {
    runners.setDesiredCapacity(2);
    expect(await read(0, 0)).toEqual({ desired: 2, pending: 0, inService: 0 });
    expect(await read(request, 0)).toEqual({ desired: 2, pending: 2, inService: 0 });
  });
});

describe('staleness', () => {
  it.each([-1, REMEMBERED_SECONDS + 1, Number.NaN])('of %s seconds is refused', (seconds) => {
    expect(() => {
      aws.staleness = seconds;
    }).toThrow(`staleness must be 0 to ${REMEMBERED_SECONDS} seconds, got ${seconds}`);
  });
});
