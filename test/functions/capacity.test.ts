import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isAtMaximum } from '../../functions/lib/at-maximum.ts';
import {
  brokenLaw,
  type Decision,
  decideCapacity,
  drainCapacity,
  isHeldByCost,
  isHeldByMaximumSize,
  type Members,
  mostLaunches,
  type Situation,
  stillToWrite,
  tasksOverConcurrency,
  withLaunchProcess,
  withWarmPool,
} from '../../functions/lib/capacity.ts';

const NOBODY: Members = { pending: 0, inService: 0, leaving: 0, standby: 0 };
const ACTIVE = { suspended: false, byBreaker: false };

const CALM: Situation = {
  launchProcess: ACTIVE,
  unclaimed: 0,
  running: 0,
  desired: 0,
  members: NOBODY,
  minReplicas: 0,
  maxReplicas: 10,
};

describe('decideCapacity', () => {
  it.each<{ case: string; when: Partial<Situation>; desired: number; because: string[] }>([
    {
      case: 'nothing to do keeps an empty group empty',
      when: {},
      desired: 0,
      because: ['0 unclaimed + 0 running = 0 wanted', 'desired capacity is 0 already'],
    },
    {
      case: 'each unclaimed task gets an instance at once',
      when: { unclaimed: 3 },
      desired: 3,
      because: ['3 unclaimed + 0 running = 3 wanted', 'desired capacity rises from 0 to 3'],
    },
    {
      case: 'running tasks keep their runners while unclaimed ones get theirs',
      when: { unclaimed: 3, running: 2, desired: 2, members: { ...NOBODY, inService: 2 } },
      desired: 5,
      because: ['3 unclaimed + 2 running = 5 wanted', 'desired capacity rises from 2 to 5'],
    },
    {
      case: 'a launch that is under way is not asked for twice',
      when: { unclaimed: 3, desired: 3, members: { ...NOBODY, pending: 2 } },
      desired: 3,
      because: ['3 unclaimed + 0 running = 3 wanted', 'desired capacity is 3 already'],
    },
    {
      case: 'a running task is on no member that is pending: it runs elsewhere, or its member has just left',
      when: { unclaimed: 1, running: 6, desired: 3, members: { ...NOBODY, pending: 1, inService: 2 } },
      desired: 3,
      because: [
        '1 unclaimed + 6 running = 7 wanted',
        'held at 3: 4 running tasks are on runners outside the group',
        'desired capacity is 3 already',
      ],
    },
    {
      case: "tasks beyond the plan's concurrency launch nothing, and no runners ahead of them",
      when: {
        unclaimed: 8,
        running: 2,
        desired: 2,
        members: { ...NOBODY, inService: 2 },
        concurrency: 4,
        headroom: 3,
      },
      desired: 4,
      because: [
        '8 unclaimed + 2 running = 10 wanted',
        "held at 4: 6 tasks are beyond the plan's concurrency, which leaves 4 to this fleet",
        'desired capacity rises from 2 to 4',
      ],
    },
    {
      case: 'runners ahead of the queue launch as far as tasks may run on them, and kept ones beyond it',
      when: { unclaimed: 3, concurrency: 4, headroom: 3, minReplicas: 2 },
      desired: 5,
      because: [
        '3 unclaimed + 0 running = 3 wanted',
        'raised to 5: 2 without a task (minReplicas)',
        'desired capacity rises from 0 to 5',
      ],
    },
    {
      case: "what runs beyond the plan's concurrency keeps its runners",
      when: { unclaimed: 3, running: 5, desired: 5, members: { ...NOBODY, inService: 5 }, concurrency: 2 },
      desired: 5,
      because: [
        '3 unclaimed + 5 running = 8 wanted',
        "held at 5: 3 tasks are beyond the plan's concurrency, which leaves 2 to this fleet",
        'desired capacity is 5 already',
      ],
    },
    {
      case: 'nothing launches while CircleCI hands out no tasks',
      when: { unclaimed: 3, desired: 2, members: { ...NOBODY, inService: 2 }, withheldLimit: 0 },
      desired: 2,
      because: [
        '3 unclaimed + 0 running = 3 wanted',
        'held at 2: CircleCI hands out no more tasks, so at most 0 may launch',
        'desired capacity is 2 already',
      ],
    },
    {
      case: 'one canary launches while CircleCI hands out no tasks',
      when: { unclaimed: 5, desired: 2, members: { ...NOBODY, inService: 2 }, withheldLimit: 1 },
      desired: 3,
      because: [
        '5 unclaimed + 0 running = 5 wanted',
        'held at 3: CircleCI hands out no more tasks, so at most 1 may launch',
        'desired capacity rises from 2 to 3',
      ],
    },
    {
      case: 'a rise by just as many as may launch is not held',
      when: {
        unclaimed: 3,
        desired: 2,
        members: { ...NOBODY, inService: 2 },
        withheldLimit: 1,
        launchLimit: 1,
        maxSurge: 1,
      },
      desired: 3,
      because: ['3 unclaimed + 0 running = 3 wanted', 'desired capacity rises from 2 to 3'],
    },
    {
      case: 'maxReplicas is named if maxHourlyCost allows just as many',
      when: { unclaimed: 25, affordable: 10 },
      desired: 10,
      because: [
        '25 unclaimed + 0 running = 25 wanted',
        'capped at maxReplicas (10)',
        'desired capacity rises from 0 to 10',
      ],
    },
    {
      case: 'what maxHourlyCost allows is the limit if it is less than maxReplicas',
      when: { unclaimed: 25, affordable: 4 },
      desired: 4,
      because: [
        '25 unclaimed + 0 running = 25 wanted',
        'capped at what maxHourlyCost allows (4)',
        'desired capacity rises from 0 to 4',
      ],
    },
    {
      case: 'maxReplicas is the limit if it is less than what maxHourlyCost allows',
      when: { unclaimed: 25, affordable: 11 },
      desired: 10,
      because: [
        '25 unclaimed + 0 running = 25 wanted',
        'capped at maxReplicas (10)',
        'desired capacity rises from 0 to 10',
      ],
    },
    {
      case: 'a maximum size of the group below what maxHourlyCost allows is the limit',
      when: { unclaimed: 25, affordable: 4, maxSize: 3 },
      desired: 3,
      because: [
        '25 unclaimed + 0 running = 25 wanted',
        "capped at 3: the group's maximum size is below what maxHourlyCost allows (4)",
        'desired capacity rises from 0 to 3',
      ],
    },
    {
      case: 'a maximum size of the group below maxReplicas is the limit',
      when: { unclaimed: 25, running: 4, maxSize: 6 },
      desired: 6,
      because: [
        '25 unclaimed + 4 running = 29 wanted',
        "capped at 6: the group's maximum size is below maxReplicas (10)",
        'desired capacity rises from 0 to 6',
      ],
    },
    {
      case: 'a maximum size of the group above maxReplicas is none',
      when: { unclaimed: 25, running: 4, maxSize: 60 },
      desired: 10,
      because: [
        '25 unclaimed + 4 running = 29 wanted',
        'capped at maxReplicas (10)',
        'desired capacity rises from 0 to 10',
      ],
    },
    {
      case: 'more tasks than maxReplicas get maxReplicas',
      when: { unclaimed: 25, running: 4 },
      desired: 10,
      because: [
        '25 unclaimed + 4 running = 29 wanted',
        'capped at maxReplicas (10)',
        'desired capacity rises from 0 to 10',
      ],
    },
    {
      case: 'a group at its maximum stays there however long the queue',
      when: { unclaimed: 25, desired: 10, members: { ...NOBODY, inService: 10 } },
      desired: 10,
      because: [
        '25 unclaimed + 0 running = 25 wanted',
        'capped at maxReplicas (10)',
        'desired capacity is 10 already',
      ],
    },
    {
      case: 'minReplicas are there without any task',
      when: { minReplicas: 2 },
      desired: 2,
      because: [
        '0 unclaimed + 0 running = 0 wanted',
        'raised to 2: 2 without a task (minReplicas)',
        'desired capacity rises from 0 to 2',
      ],
    },
    {
      case: 'busy runners do not use minReplicas up',
      when: { unclaimed: 1, running: 3, minReplicas: 2, desired: 5, members: { ...NOBODY, inService: 5 } },
      desired: 6,
      because: [
        '1 unclaimed + 3 running = 4 wanted',
        'raised to 6: 2 without a task (minReplicas)',
        'desired capacity rises from 5 to 6',
      ],
    },
    {
      case: 'minReplicas end at maxReplicas',
      when: { running: 9, minReplicas: 3, desired: 9, members: { ...NOBODY, inService: 9 } },
      desired: 10,
      because: [
        '0 unclaimed + 9 running = 9 wanted',
        'raised to 12: 3 without a task (minReplicas)',
        'capped at maxReplicas (10)',
        'desired capacity rises from 9 to 10',
      ],
    },
    {
      case: 'headroom is kept while there are tasks',
      when: { running: 1, headroom: 2, desired: 1, members: { ...NOBODY, inService: 1 } },
      desired: 3,
      because: [
        '0 unclaimed + 1 running = 1 wanted',
        'raised to 3: 2 without a task (headroom)',
        'desired capacity rises from 1 to 3',
      ],
    },
    {
      case: 'headroom is not kept when there are none',
      when: { headroom: 2, desired: 2 },
      desired: 0,
      because: [
        '0 unclaimed + 0 running = 0 wanted',
        'desired capacity falls from 2 to 0: launches not begun are cancelled',
      ],
    },
    {
      case: 'headroom may be a share of the tasks, rounded up',
      when: { unclaimed: 1, running: 5, headroom: '20%', desired: 5, members: { ...NOBODY, inService: 5 } },
      desired: 8,
      because: [
        '1 unclaimed + 5 running = 6 wanted',
        'raised to 8: 2 without a task (headroom 20%)',
        'desired capacity rises from 5 to 8',
      ],
    },
    {
      case: 'a share that is a whole number is not rounded',
      when: { running: 5, headroom: '20%', desired: 5, members: { ...NOBODY, inService: 5 } },
      desired: 6,
      because: [
        '0 unclaimed + 5 running = 5 wanted',
        'raised to 6: 1 without a task (headroom 20%)',
        'desired capacity rises from 5 to 6',
      ],
    },
    {
      case: 'headroom that is no more than minReplicas adds nothing to them',
      when: { running: 2, minReplicas: 3, headroom: 3, desired: 2, members: { ...NOBODY, inService: 2 } },
      desired: 5,
      because: [
        '0 unclaimed + 2 running = 2 wanted',
        'raised to 5: 3 without a task (minReplicas)',
        'desired capacity rises from 2 to 5',
      ],
    },
    {
      case: 'of minReplicas and headroom the more counts',
      when: {
        running: 2,
        minReplicas: 3,
        headroom: '100%',
        desired: 2,
        members: { ...NOBODY, inService: 2 },
      },
      desired: 5,
      because: [
        '0 unclaimed + 2 running = 2 wanted',
        'raised to 5: 3 without a task (minReplicas)',
        'desired capacity rises from 2 to 5',
      ],
    },
    {
      case: 'maxSurge limits how many launches are asked for at once',
      when: { unclaimed: 8, maxSurge: 3, desired: 1, members: { ...NOBODY, inService: 1 } },
      desired: 4,
      because: [
        '8 unclaimed + 0 running = 8 wanted',
        'held at 4: at most 3 may launch at once (maxSurge)',
        'desired capacity rises from 1 to 4',
      ],
    },
    {
      case: 'maxSurge asks for no more before what it asked for is there',
      when: { unclaimed: 8, maxSurge: 3, desired: 4, members: { ...NOBODY, inService: 1 } },
      desired: 4,
      because: [
        '8 unclaimed + 0 running = 8 wanted',
        'held at 4: at most 3 may launch at once (maxSurge)',
        'desired capacity is 4 already',
      ],
    },
    {
      case: 'what launches counts as there: the next ones follow at the next poll',
      when: { unclaimed: 8, maxSurge: 3, desired: 4, members: { ...NOBODY, pending: 3, inService: 1 } },
      desired: 7,
      because: [
        '8 unclaimed + 0 running = 8 wanted',
        'held at 7: at most 3 may launch at once (maxSurge)',
        'desired capacity rises from 4 to 7',
      ],
    },
    {
      case: 'maxSurge takes nothing back that was asked for before',
      when: { unclaimed: 8, maxSurge: 2, desired: 6 },
      desired: 6,
      because: [
        '8 unclaimed + 0 running = 8 wanted',
        'held at 6: at most 2 may launch at once (maxSurge)',
        'desired capacity is 6 already',
      ],
    },
    {
      case: 'maxSurge has nothing to say about a fall',
      when: { running: 1, maxSurge: 1, desired: 6, members: { ...NOBODY, inService: 1 } },
      desired: 1,
      because: [
        '0 unclaimed + 1 running = 1 wanted',
        'desired capacity falls from 6 to 1: launches not begun are cancelled',
      ],
    },
    {
      case: 'of an open breaker and maxSurge the smaller counts',
      when: { unclaimed: 8, maxSurge: 3, launchLimit: 1 },
      desired: 1,
      because: [
        '8 unclaimed + 0 running = 8 wanted',
        'held at 1: the breaker is open and lets one canary launch',
        'desired capacity rises from 0 to 1',
      ],
    },
    {
      case: 'an idle instance is not taken away: it leaves by itself',
      when: { desired: 1, members: { ...NOBODY, inService: 1 } },
      desired: 1,
      because: [
        '0 unclaimed + 0 running = 0 wanted',
        'held at 1: 1 pending or in service leave by themselves',
      ],
    },
    {
      case: 'an instance that boots is not taken away either: it may be about to claim',
      when: { desired: 2, members: { ...NOBODY, pending: 2 } },
      desired: 2,
      because: [
        '0 unclaimed + 0 running = 0 wanted',
        'held at 2: 2 pending or in service leave by themselves',
      ],
    },
    {
      case: 'launches that have not begun are cancelled when their tasks are gone',
      when: { running: 1, desired: 6, members: { ...NOBODY, inService: 1, pending: 1 } },
      desired: 2,
      because: [
        '0 unclaimed + 1 running = 1 wanted',
        'held at 2: 2 pending or in service leave by themselves',
        'desired capacity falls from 6 to 2: launches not begun are cancelled',
      ],
    },
    {
      case: 'launches that have not begun stay, while members in service take none of the waiting tasks',
      when: {
        unclaimed: 17,
        running: 2,
        desired: 30,
        members: { ...NOBODY, inService: 27, pending: 2 },
        maxReplicas: 30,
      },
      desired: 30,
      because: [
        '17 unclaimed + 2 running = 19 wanted',
        'held at 30: 25 in service take none of the waiting tasks and may be leaving',
      ],
    },
    {
      case: 'launches that have not begun stay, if they are as many as the waiting tasks',
      when: { unclaimed: 2, running: 1, desired: 6, members: { ...NOBODY, inService: 4 } },
      desired: 6,
      because: [
        '2 unclaimed + 1 running = 3 wanted',
        'held at 6: 3 in service take none of the waiting tasks and may be leaving',
      ],
    },
    {
      case: 'launches that have not begun are cancelled when they are as many as the members without a task',
      when: { unclaimed: 3, running: 2, desired: 10, members: { ...NOBODY, inService: 5, pending: 2 } },
      desired: 7,
      because: [
        '3 unclaimed + 2 running = 5 wanted',
        'held at 7: 7 pending or in service leave by themselves',
        'desired capacity falls from 10 to 7: launches not begun are cancelled',
      ],
    },
    {
      case: 'launches that have not begun are cancelled when they are more than the waiting tasks',
      when: { unclaimed: 2, running: 2, desired: 10, members: { ...NOBODY, inService: 7 } },
      desired: 7,
      because: [
        '2 unclaimed + 2 running = 4 wanted',
        'held at 7: 7 pending or in service leave by themselves',
        'desired capacity falls from 10 to 7: launches not begun are cancelled',
      ],
    },
    {
      case: 'launches that have not begun are cancelled when all that stays is wanted',
      when: { unclaimed: 3, running: 2, desired: 6, members: { ...NOBODY, inService: 5 } },
      desired: 5,
      because: [
        '3 unclaimed + 2 running = 5 wanted',
        'desired capacity falls from 6 to 5: launches not begun are cancelled',
      ],
    },
    {
      case: 'tasks beyond the concurrency of the plan keep no launches',
      when: {
        unclaimed: 9,
        running: 2,
        desired: 9,
        members: { ...NOBODY, inService: 8 },
        concurrency: 2,
      },
      desired: 8,
      because: [
        '9 unclaimed + 2 running = 11 wanted',
        "held at 2: 9 tasks are beyond the plan's concurrency, which leaves 2 to this fleet",
        'held at 8: 8 pending or in service leave by themselves',
        'desired capacity falls from 9 to 8: launches not begun are cancelled',
      ],
    },
    {
      case: 'a maximum below the members cancels launches, whoever is leaving',
      when: {
        unclaimed: 9,
        running: 1,
        desired: 9,
        members: { ...NOBODY, inService: 8 },
        maxReplicas: 5,
      },
      desired: 8,
      because: [
        '9 unclaimed + 1 running = 10 wanted',
        'capped at maxReplicas (5)',
        'held at 8: 8 pending or in service leave by themselves',
        'desired capacity falls from 9 to 8: launches not begun are cancelled',
      ],
    },
    {
      case: 'an open breaker cancels launches, whoever is leaving',
      when: { unclaimed: 2, running: 1, desired: 9, members: { ...NOBODY, inService: 8 }, launchLimit: 0 },
      desired: 8,
      because: [
        '2 unclaimed + 1 running = 3 wanted',
        'held at 8: 8 pending or in service leave by themselves',
        'desired capacity falls from 9 to 8: launches not begun are cancelled',
      ],
    },
    {
      case: 'tasks that are not handed out keep no launches',
      when: { unclaimed: 2, running: 1, desired: 9, members: { ...NOBODY, inService: 8 }, withheldLimit: 0 },
      desired: 8,
      because: [
        '2 unclaimed + 1 running = 3 wanted',
        'held at 8: 8 pending or in service leave by themselves',
        'desired capacity falls from 9 to 8: launches not begun are cancelled',
      ],
    },
    {
      case: 'a task on a member in standby launches no twin for the runner without a task',
      when: { running: 6, desired: 6, minReplicas: 1, members: { ...NOBODY, inService: 6, standby: 1 } },
      desired: 6,
      because: [
        '0 unclaimed + 6 running = 6 wanted',
        'raised to 7: 1 without a task (minReplicas)',
        'held at 6: 1 in standby run tasks or take the next ones',
        'desired capacity is 6 already',
      ],
    },
    {
      case: 'a spare runner is launched for one that runs a task, whoever is in standby with another one',
      when: { running: 6, desired: 5, minReplicas: 1, members: { ...NOBODY, inService: 5, standby: 1 } },
      desired: 6,
      because: [
        '0 unclaimed + 6 running = 6 wanted',
        'raised to 7: 1 without a task (minReplicas)',
        'held at 6: 1 running tasks are on runners outside the group',
        'desired capacity rises from 5 to 6',
      ],
    },
    {
      case: 'a waiting task gets an instance, whatever is in standby',
      when: { unclaimed: 1, running: 5, desired: 5, members: { ...NOBODY, inService: 5, standby: 3 } },
      desired: 6,
      because: ['1 unclaimed + 5 running = 6 wanted', 'desired capacity rises from 5 to 6'],
    },
    {
      case: 'members on their way out are no capacity',
      when: { desired: 4, members: { ...NOBODY, leaving: 4 } },
      desired: 0,
      because: [
        '0 unclaimed + 0 running = 0 wanted',
        'desired capacity falls from 4 to 0: launches not begun are cancelled',
      ],
    },
    {
      case: 'members in standby are no capacity',
      when: { unclaimed: 1, desired: 3, members: { ...NOBODY, standby: 3 } },
      desired: 1,
      because: [
        '1 unclaimed + 0 running = 1 wanted',
        'desired capacity falls from 3 to 1: launches not begun are cancelled',
      ],
    },
    {
      case: 'running tasks on runners outside the group need no instance',
      when: { running: 4 },
      desired: 0,
      because: [
        '0 unclaimed + 4 running = 4 wanted',
        'held at 0: 4 running tasks are on runners outside the group',
        'desired capacity is 0 already',
      ],
    },
    {
      case: 'members in service are idle, if all running tasks are known to be outside',
      when: { running: 4, outside: 4, minReplicas: 2, desired: 1, members: { ...NOBODY, inService: 1 } },
      desired: 2,
      because: [
        '0 unclaimed + 4 running = 4 wanted',
        'raised to 6: 2 without a task (minReplicas)',
        'held at 2: 4 running tasks are on runners outside the group',
        'desired capacity rises from 1 to 2',
      ],
    },
    {
      case: 'a waiting task gets an instance beside all members in service, whatever is known to be outside',
      when: { unclaimed: 3, running: 4, outside: 4, desired: 4, members: { ...NOBODY, inService: 4 } },
      desired: 7,
      because: ['3 unclaimed + 4 running = 7 wanted', 'desired capacity rises from 4 to 7'],
    },
    {
      case: 'a member in standby runs one of those outside',
      when: { running: 2, outside: 1, minReplicas: 2, members: { ...NOBODY, inService: 1, standby: 2 } },
      desired: 2,
      because: [
        '0 unclaimed + 2 running = 2 wanted',
        'raised to 4: 2 without a task (minReplicas)',
        'held at 2: 1 running tasks are on runners outside the group',
        'desired capacity rises from 0 to 2',
      ],
    },
    {
      case: 'unclaimed tasks get theirs beside those outside the group',
      when: { unclaimed: 2, running: 4, desired: 1, members: { ...NOBODY, inService: 1 } },
      desired: 3,
      because: [
        '2 unclaimed + 4 running = 6 wanted',
        'held at 3: 3 running tasks are on runners outside the group',
        'desired capacity rises from 1 to 3',
      ],
    },
    {
      case: 'launches for unclaimed tasks are not taken for runners of those outside the group',
      when: { unclaimed: 3, running: 4, desired: 3, members: { ...NOBODY, pending: 3 } },
      desired: 3,
      because: [
        '3 unclaimed + 4 running = 7 wanted',
        'held at 3: 4 running tasks are on runners outside the group',
        'desired capacity is 3 already',
      ],
    },
    {
      case: 'a member in standby that runs a task needs no other instance',
      when: { running: 1, members: { ...NOBODY, standby: 1 } },
      desired: 0,
      because: [
        '0 unclaimed + 1 running = 1 wanted',
        'held at 0: 1 running tasks are on runners outside the group',
        'desired capacity is 0 already',
      ],
    },
    {
      case: 'a running count that lags behind an exit launches nothing',
      when: { running: 4, desired: 3, members: { ...NOBODY, inService: 3, leaving: 1 } },
      desired: 3,
      because: [
        '0 unclaimed + 4 running = 4 wanted',
        'held at 3: 1 running tasks are on runners outside the group',
        'desired capacity is 3 already',
      ],
    },
    {
      case: 'launches that were asked for stay, also if the members seem too few for the running tasks',
      when: { unclaimed: 2, running: 8, desired: 10, members: { ...NOBODY, inService: 3 } },
      desired: 10,
      because: ['2 unclaimed + 8 running = 10 wanted', 'desired capacity is 10 already'],
    },
    {
      case: 'a maximum lowered under the members holds them until they leave',
      when: { running: 8, desired: 8, members: { ...NOBODY, inService: 8 }, maxReplicas: 5 },
      desired: 8,
      because: [
        '0 unclaimed + 8 running = 8 wanted',
        'capped at maxReplicas (5)',
        'held at 8: 8 pending or in service leave by themselves',
      ],
    },
    {
      case: 'more members than desired capacity does not make it rise',
      when: { desired: 2, members: { ...NOBODY, inService: 4 } },
      desired: 2,
      because: [
        '0 unclaimed + 0 running = 0 wanted',
        'held at 2: 4 pending or in service leave by themselves',
      ],
    },
    {
      case: 'an open breaker lets nothing launch',
      when: { unclaimed: 3, launchLimit: 0 },
      desired: 0,
      because: [
        '3 unclaimed + 0 running = 3 wanted',
        'held at 0: the breaker is open and lets nothing launch',
        'desired capacity is 0 already',
      ],
    },
    {
      case: 'its canary is one instance, however many tasks wait',
      when: { unclaimed: 30, launchLimit: 1 },
      desired: 1,
      because: [
        '30 unclaimed + 0 running = 30 wanted',
        'capped at maxReplicas (10)',
        'held at 1: the breaker is open and lets one canary launch',
        'desired capacity rises from 0 to 1',
      ],
    },
    {
      case: 'a canary that launches is held, and none comes beside it',
      when: { unclaimed: 3, desired: 1, members: { ...NOBODY, pending: 1 }, launchLimit: 0 },
      desired: 1,
      because: [
        '3 unclaimed + 0 running = 3 wanted',
        'held at 1: the breaker is open and lets nothing launch',
        'desired capacity is 1 already',
      ],
    },
    {
      case: 'an open breaker takes nothing from those that run, and its canary comes on top of them',
      when: { unclaimed: 3, running: 2, desired: 2, members: { ...NOBODY, inService: 2 }, launchLimit: 1 },
      desired: 3,
      because: [
        '3 unclaimed + 2 running = 5 wanted',
        'held at 3: the breaker is open and lets one canary launch',
        'desired capacity rises from 2 to 3',
      ],
    },
    {
      case: 'when the breaker opens, launches that have not begun are cancelled',
      when: { unclaimed: 5, desired: 5, members: { ...NOBODY, pending: 1, leaving: 3 }, launchLimit: 0 },
      desired: 1,
      because: [
        '5 unclaimed + 0 running = 5 wanted',
        'held at 1: the breaker is open and lets nothing launch',
        'desired capacity falls from 5 to 1: launches not begun are cancelled',
      ],
    },
    {
      case: 'an open breaker holds minReplicas back too',
      when: { minReplicas: 4, launchLimit: 1 },
      desired: 1,
      because: [
        '0 unclaimed + 0 running = 0 wanted',
        'raised to 4: 4 without a task (minReplicas)',
        'held at 1: the breaker is open and lets one canary launch',
        'desired capacity rises from 0 to 1',
      ],
    },
    {
      case: 'a canary that nobody wants does not launch',
      when: { launchLimit: 1 },
      desired: 0,
      because: ['0 unclaimed + 0 running = 0 wanted', 'desired capacity is 0 already'],
    },
    {
      case: 'an open breaker has nothing to say where one instance is all that is wanted',
      when: { unclaimed: 1, launchLimit: 1 },
      desired: 1,
      because: ['1 unclaimed + 0 running = 1 wanted', 'desired capacity rises from 0 to 1'],
    },
  ])('$case', ({ when, desired, because }) => {
    const situation = { ...CALM, ...when };
    expect(decideCapacity(situation)).toEqual({
      from: situation.desired,
      desired,
      change: desired !== situation.desired,
      reasons: because,
    });
  });
});

const count = fc.nat({ max: 60 });
const members = fc.record({ pending: count, inService: count, leaving: count, standby: count });
const bounds = fc
  .tuple(count, count)
  .map(([a, b]) => ({ minReplicas: Math.min(a, b), maxReplicas: Math.max(a, b) }));
const launchLimit = fc.option(fc.nat({ max: 1 }), { nil: undefined });
const headroom = fc.option(
  fc.oneof(
    fc.nat({ max: 20 }),
    fc
      .nat({ max: 300 })
      .map(String)
      .map((n) => `${n}%`),
  ),
  {
    nil: undefined,
  },
);
const maxSurge = fc.option(fc.integer({ min: 1, max: 20 }), { nil: undefined });
const situations = fc
  .record({
    unclaimed: count,
    running: count,
    desired: count,
    members,
    bounds,
    headroom,
    maxSurge,
    launchLimit,
    launchProcess: fc.record({ suspended: fc.boolean(), byBreaker: fc.boolean() }),
  })
  .map(({ bounds, ...counts }): Situation => ({ ...counts, ...bounds }));

const present = ({ members }: Situation) => members.pending + members.inService;
/** The most that an open breaker allows. */
const allowed = (situation: Situation) =>
  present(situation) + (situation.launchLimit ?? Number.POSITIVE_INFINITY);
/** Runners without a task: as many as headroom while there are tasks, and never fewer than minReplicas. */
const spare = ({ unclaimed, running, minReplicas, headroom = 0 }: Situation) => {
  const tasks = unclaimed + running;
  const percent = Number(`${headroom}`.replace('%', ''));
  const ahead = typeof headroom === 'number' ? headroom : -Math.floor((-tasks * percent) / 100);
  return Math.max(minReplicas, tasks > 0 ? ahead : 0);
};
/** What is wanted, within the bounds and what an open breaker allows. */
const aim = (situation: Situation) => {
  const { unclaimed, running, maxReplicas } = situation;
  return Math.min(unclaimed + running + spare(situation), maxReplicas, allowed(situation));
};
/** The most that maxSurge lets be asked for. */
const bySurge = (situation: Situation) =>
  Math.max(present(situation) + (situation.maxSurge ?? Number.POSITIVE_INFINITY), situation.desired);
/** The same, without instances for running tasks that have a runner outside the group. */
const surge = (situation: Situation) => {
  const { unclaimed, running, desired } = situation;
  const { inService, standby } = situation.members;
  const tasks = unclaimed + Math.min(running, inService);
  // One in standby runs a task that is on no member in service, or is without a task itself.
  const own = Math.max(
    tasks,
    Math.min(tasks + spare(situation), unclaimed + running + spare(situation) - standby),
  );
  return Math.min(bySurge(situation), Math.max(own, desired));
};

/**
 * Whether a fall to the members would be a rise, above what is wanted, if those in service without a task had left before:
 * while at least as many tasks wait as launches would be cancelled, and no limit asks for a fall.
 */
const mayBeARise = (situation: Situation) => {
  const { unclaimed, running, desired, members, maxReplicas } = situation;
  const fall = desired - present(situation);
  const afterwards = desired - (members.inService - running);
  const limits = Math.min(maxReplicas, allowed(situation));
  const wanted = aim(situation) < present(situation) && fall > 0 && fall <= unclaimed;
  return wanted && desired <= limits && afterwards < present(situation);
};

/** The order in which the rules are applied; each may give one reason. */
const RULES = [
  /wanted$/,
  /^raised/,
  /^capped/,
  /^held at \d+: the breaker is open/,
  /^held at \d+: at most \d+ may launch at once/,
  /^held at \d+: \d+ running tasks are on runners outside the group/,
  /^held at \d+: \d+ in standby run tasks/,
  /^held at \d+: \d+ in service take none of the waiting tasks/,
  /^held at \d+: \d+ pending or in service/,
  /^desired capacity (rises|falls|is)/,
];

const inService = (count: number) => ({ ...NOBODY, inService: count });

const law = (name: string, holds: (situation: Situation) => void) =>
  it(name, () => fc.assert(fc.property(situations, holds)));

/** A situation, and how many of its running tasks are known to run outside. */
const situationsWithOutside = situations.chain((situation) =>
  fc.nat({ max: situation.running }).map((outside) => ({ ...situation, outside })),
);

it('that tasks run outside takes only from rises, at most as much, and an instance from no task that waits', () => {
  fc.assert(
    fc.property(situationsWithOutside, (situation) => {
      const { unclaimed, outside, members, desired } = situation;
      const without = decideCapacity({ ...situation, outside: undefined }).desired;
      const known = decideCapacity(situation).desired;
      if (without <= desired) expect(known).toBe(without);
      expect(known).toBeLessThanOrEqual(without);
      expect(known).toBeGreaterThanOrEqual(without - outside);
      expect(known).toBeGreaterThanOrEqual(Math.min(without, unclaimed + members.inService));
    }),
  );
});

describe('the laws of decideCapacity', () => {
  law('desired capacity is a whole number of at least 0', (situation) => {
    const { desired } = decideCapacity(situation);
    expect(Number.isInteger(desired) && desired >= 0).toBe(true);
  });

  law('it never rises above maxReplicas', (situation) => {
    const { desired } = decideCapacity(situation);
    expect(desired).toBeLessThanOrEqual(Math.max(situation.maxReplicas, situation.desired));
  });

  law('every task has an instance, and the spare ones are there, as far as limits allow', (situation) => {
    const least = Math.min(aim(situation), surge(situation));
    expect(decideCapacity(situation).desired).toBeGreaterThanOrEqual(least);
  });

  law('maxSurge lets no more launches be asked for at once', (situation) => {
    const { desired } = decideCapacity(situation);
    if (desired > situation.desired) expect(desired).toBeLessThanOrEqual(surge(situation));
  });

  law('maxSurge changes nothing but rises, and those only by taking from them', (situation) => {
    const free = decideCapacity({ ...situation, maxSurge: undefined });
    const { desired } = decideCapacity(situation);
    if (free.desired <= situation.desired) expect(desired).toBe(free.desired);
    else expect(desired).toBe(Math.min(free.desired, surge(situation)));
  });

  law('what no limit held back, nothing says was held back', (situation) => {
    const { desired, reasons } = decideCapacity(situation);
    const said = (of: RegExp) => reasons.some((reason) => of.test(reason));
    const { unclaimed, running, maxReplicas } = situation;
    const wanted = unclaimed + running + spare(situation);
    expect(said(/^capped/)).toBe(wanted > maxReplicas);
    expect(said(/breaker is open/)).toBe(Math.min(wanted, maxReplicas) > allowed(situation));
    expect(said(/maxSurge/)).toBe(aim(situation) > bySurge(situation));
    expect(said(/outside the group|in standby/)).toBe(
      Math.min(aim(situation), bySurge(situation)) > surge(situation),
    );
    expect(said(/rises/)).toBe(desired > situation.desired);
    expect(said(/falls/)).toBe(desired < situation.desired);
  });

  law('an open breaker never leaves more to launch than it allows', (situation) => {
    expect(decideCapacity(situation).desired).toBeLessThanOrEqual(allowed(situation));
  });

  law('a breaker that allows every launch that is wanted makes no difference', (situation) => {
    const free = { ...situation, launchLimit: undefined };
    const limited = { ...situation, launchLimit: aim(free) };
    expect(decideCapacity(limited)).toEqual(decideCapacity(free));
  });

  law('it breaks none of the laws that are checked before it is written', (situation) => {
    expect(brokenLaw(decideCapacity(situation), situation)).toBeUndefined();
  });

  law('`from` is the desired capacity that it was decided for', (situation) => {
    expect(decideCapacity(situation).from).toBe(situation.desired);
  });

  law('it never falls below the members that are pending or in service', (situation) => {
    const { desired } = decideCapacity(situation);
    if (desired < situation.desired) expect(desired).toBeGreaterThanOrEqual(present(situation));
  });

  law('a rise is never delayed: it goes to everything that is wanted and allowed at once', (situation) => {
    const target = Math.min(aim(situation), surge(situation));
    if (target > situation.desired) expect(decideCapacity(situation).desired).toBe(target);
  });

  law('it rises only to what is wanted and allowed', (situation) => {
    const { desired } = decideCapacity(situation);
    if (desired > situation.desired) expect(desired).toBe(Math.min(aim(situation), surge(situation)));
  });

  law(
    'a fall takes everything that is not needed and has not begun, unless members in service may be leaving',
    (situation) => {
      const { desired } = decideCapacity(situation);
      if (mayBeARise(situation)) expect(desired).toBe(situation.desired);
      else if (aim(situation) < situation.desired) {
        expect(desired).toBe(Math.min(situation.desired, Math.max(aim(situation), present(situation))));
      }
    },
  );

  law('`change` says exactly whether desired capacity differs', (situation) => {
    const { desired, change } = decideCapacity(situation);
    expect(change).toBe(desired !== situation.desired);
  });

  law('what it decided, it would not change again', (situation) => {
    const { desired } = decideCapacity(situation);
    expect(decideCapacity({ ...situation, desired })).toMatchObject({ desired, change: false });
  });

  law('members that leave make no difference', (situation) => {
    const members = { ...situation.members, leaving: 0 };
    expect(decideCapacity({ ...situation, members })).toEqual(decideCapacity(situation));
  });

  law(
    'members in standby take the place of spare runners, and no task is without an instance for them',
    (given) => {
      const { unclaimed, running, desired, members } = given;
      const without = decideCapacity({ ...given, members: { ...members, standby: 0 } }).desired;
      const decided = decideCapacity(given).desired;
      expect(decided).toBeLessThanOrEqual(without);
      expect(decided).toBeGreaterThanOrEqual(without - Math.min(members.standby, spare(given)));
      const tasks = unclaimed + Math.min(running, members.inService);
      expect(decided).toBeGreaterThanOrEqual(Math.min(without, Math.max(tasks, desired)));
      if (without <= desired) expect(decided).toBe(without);
    },
  );

  it('a task on a member in standby launches no twin, whoever is idle', () => {
    const moved = fc.record({ busy: count, idle: count, standby: count, minReplicas: count });
    fc.assert(
      fc.property(moved, ({ busy, idle, standby, minReplicas }) => {
        // Before, each task ran on a member in service. The desired capacity fell with those that were moved.
        const before = { ...CALM, maxReplicas: 500, minReplicas, running: busy + standby };
        const level = decideCapacity({
          ...before,
          desired: busy + idle + standby,
          members: inService(busy + idle + standby),
        });
        const after = { ...before, desired: busy + idle, members: { ...inService(busy + idle), standby } };
        expect(decideCapacity(after).desired).toBeLessThanOrEqual(
          Math.max(level.desired - standby, after.desired),
        );
      }),
    );
  });

  law(
    'it does not matter whether a task is unclaimed or running, if members run it and none may leave',
    (given) => {
      const there = Math.max(given.unclaimed, given.running);
      const situation = {
        ...given,
        members: { ...given.members, inService: given.members.inService + there },
      };
      const { unclaimed, running } = situation;
      const swapped = { ...situation, unclaimed: running, running: unclaimed };
      if (mayBeARise(situation) || mayBeARise(swapped)) return;
      expect(decideCapacity(swapped).desired).toBe(decideCapacity(situation).desired);
    },
  );

  it('tasks that are counted after their end buy no more than one instance each, and none without spare runners', () => {
    fc.assert(
      fc.property(situations, count, (given, ended) => {
        // As AWS keeps it: the desired capacity counts each member.
        const situation = { ...given, desired: Math.max(given.desired, present(given)) };
        const lagging = { ...situation, running: situation.running + ended };
        const { inService, standby } = situation.members;
        const idle = Math.max(inService + standby - situation.running, 0);
        const more = spare(lagging) - spare(situation);
        const least = Math.max(decideCapacity(situation).desired, situation.desired);
        const { desired } = decideCapacity(lagging);
        expect(desired).toBeLessThanOrEqual(least + Math.min(ended, idle) + more);
        const waitForIdle = situation.unclaimed > situation.members.pending;
        if (spare(lagging) === 0 && !waitForIdle) expect(desired).toBeLessThanOrEqual(least);
      }),
      { numRuns: 1_000 },
    );
  });

  law('the reasons are complete: never empty, and in the order in which the rules apply', (situation) => {
    const { reasons } = decideCapacity(situation);
    const rules = reasons.map((reason) => RULES.findIndex((rule) => rule.test(reason)));
    expect(rules[0]).toBe(0);
    expect(rules).not.toContain(-1);
    expect(rules).toEqual([...new Set(rules)].sort());
    expect(reasons.length).toBeGreaterThan(1);
  });

  it('more unclaimed tasks never mean less capacity, or not less than they need', () => {
    fc.assert(
      fc.property(situations, count, (situation, more) => {
        const busier = { ...situation, unclaimed: situation.unclaimed + more };
        const { desired } = decideCapacity(situation);
        const least = mayBeARise(situation) ? Math.min(desired, aim(busier)) : desired;
        expect(decideCapacity(busier).desired).toBeGreaterThanOrEqual(least);
      }),
    );
  });

  it('a maximum lowered under the members takes none of them away', () => {
    fc.assert(
      fc.property(situations, count, (situation, lower) => {
        const there = present(situation);
        const maxReplicas = Math.min(lower, there);
        const squeezed = { ...situation, desired: there, minReplicas: 0, maxReplicas };
        expect(decideCapacity(squeezed)).toMatchObject({ desired: there, change: false });
      }),
    );
  });
});

describe('isAtMaximum', () => {
  const inService = (count: number, pending = 0) => ({ ...NOBODY, inService: count, pending });

  it.each<{ case: string; when: Partial<Situation>; atMaximum: boolean }>([
    {
      case: 'all members work and more tasks wait',
      when: { unclaimed: 1, running: 10, desired: 10, members: inService(10) },
      atMaximum: true,
    },
    {
      case: 'half of the members in service work',
      when: { unclaimed: 9, running: 4, desired: 10, members: inService(8, 2) },
      atMaximum: true,
    },
    {
      case: 'fewer than half of the members in service work',
      when: { unclaimed: 9, running: 3, desired: 10, members: inService(8, 2) },
      atMaximum: false,
    },
    {
      case: 'no member works',
      when: { unclaimed: 30, desired: 10, members: inService(10) },
      atMaximum: false,
    },
    {
      case: 'all members are still booting',
      when: { unclaimed: 30, desired: 10, members: inService(0, 10) },
      atMaximum: false,
    },
    {
      case: 'instances were asked for that do not come',
      when: { unclaimed: 30, running: 4, desired: 10, members: inService(4) },
      atMaximum: false,
    },
    {
      case: 'instances have left since the last poll, and lowered the desired capacity',
      when: { unclaimed: 30, running: 7, desired: 7, members: inService(7) },
      atMaximum: true,
    },
    {
      case: 'the breaker is open',
      when: { unclaimed: 30, running: 7, desired: 7, members: inService(7), launchLimit: 0 },
      atMaximum: false,
    },
    {
      case: 'maxSurge holds the rise back',
      when: { unclaimed: 30, running: 2, desired: 2, members: inService(2), maxSurge: 3 },
      atMaximum: false,
    },
    {
      case: 'no task waits, and runners outside the group work',
      when: { unclaimed: 0, running: 15, desired: 10, members: inService(10) },
      atMaximum: false,
    },
    {
      case: 'as many tasks as maxReplicas want an instance',
      when: { unclaimed: 1, running: 9, desired: 10, members: inService(9, 1) },
      atMaximum: false,
    },
    {
      case: 'maxHourlyCost allows no more',
      when: { unclaimed: 1, running: 6, desired: 6, members: inService(6), affordable: 6 },
      atMaximum: true,
    },
    {
      case: "as many tasks run as the plan's concurrency leaves, and more wait",
      when: { unclaimed: 1, running: 4, desired: 5, members: inService(5), concurrency: 4 },
      atMaximum: true,
    },
    {
      case: "as many tasks run as the plan's concurrency leaves, and none waits",
      when: { running: 4, desired: 4, members: inService(4), concurrency: 4 },
      atMaximum: false,
    },
    {
      case: "fewer tasks run than the plan's concurrency leaves",
      when: { unclaimed: 1, running: 3, desired: 4, members: inService(3), concurrency: 4 },
      atMaximum: false,
    },
    {
      case: 'maxReplicas has been lowered below the members',
      when: { unclaimed: 1, running: 12, desired: 12, members: inService(12) },
      atMaximum: true,
    },
  ])('$case: $atMaximum', ({ when, atMaximum }) => {
    const situation = { ...CALM, ...when };
    expect(isAtMaximum(situation, decideCapacity(situation))).toBe(atMaximum);
  });
});

describe('isHeldByCost', () => {
  it.each<{ case: string; when: Partial<Situation>; held: boolean }>([
    {
      case: 'more tasks than maxHourlyCost allows instances',
      when: { unclaimed: 6, affordable: 5 },
      held: true,
    },
    { case: 'as many tasks', when: { unclaimed: 5, affordable: 5 }, held: false },
    { case: 'a maxHourlyCost that allows maxReplicas', when: { unclaimed: 12, affordable: 10 }, held: false },
    { case: 'no maxHourlyCost', when: { unclaimed: 12 }, held: false },
    {
      case: 'a maximum size that somebody lowered further',
      when: { unclaimed: 6, affordable: 5, maxSize: 4 },
      held: false,
    },
    {
      case: "a plan's concurrency that leaves no more tasks than maxHourlyCost allows instances",
      when: { unclaimed: 6, affordable: 5, concurrency: 5 },
      held: false,
    },
    {
      case: "a plan's concurrency that leaves more",
      when: { unclaimed: 8, affordable: 5, concurrency: 6 },
      held: true,
    },
  ])('is $held with $case', ({ when, held }) => {
    expect(isHeldByCost({ ...CALM, ...when })).toBe(held);
  });
});

describe('isHeldByMaximumSize', () => {
  it.each<{ case: string; when: Partial<Situation>; held: boolean }>([
    { case: 'more tasks than the group may have members', when: { unclaimed: 6, maxSize: 5 }, held: true },
    { case: 'as many tasks', when: { unclaimed: 5, maxSize: 5 }, held: false },
    { case: 'a maximum size of maxReplicas', when: { unclaimed: 12, maxSize: 10 }, held: false },
    { case: 'a lower maxHourlyCost', when: { unclaimed: 6, maxSize: 5, affordable: 5 }, held: false },
    { case: 'no known maximum size', when: { unclaimed: 12 }, held: false },
  ])('is $held with $case', ({ when, held }) => {
    expect(isHeldByMaximumSize({ ...CALM, ...when })).toBe(held);
  });
});

describe('tasksOverConcurrency', () => {
  it.each([
    { unclaimed: 3, running: 2, concurrency: undefined, over: 0 },
    { unclaimed: 3, running: 2, concurrency: 5, over: 0 },
    { unclaimed: 3, running: 2, concurrency: 4, over: 1 },
    { unclaimed: 3, running: 5, concurrency: 2, over: 3 },
  ])(
    'of $unclaimed waiting and $running running tasks, with $concurrency allowed, is $over',
    ({ over, ...counts }) => {
      expect(tasksOverConcurrency(counts)).toBe(over);
    },
  );
});

describe('mostLaunches', () => {
  const SCHEDULE = { start: '0 8 * * *', end: '0 18 * * *', timezone: 'UTC' };

  it.each<{ case: string; settings: Parameters<typeof mostLaunches>[0]; most: number }>([
    { case: 'maxReplicas, without other limits', settings: { maxReplicas: 10 }, most: 10 },
    { case: 'what the cost allows', settings: { maxReplicas: 10, affordable: 4 }, most: 4 },
    { case: 'maxSurge', settings: { maxReplicas: 10, maxSurge: 3 }, most: 3 },
    { case: 'maxReplicas below maxSurge', settings: { maxReplicas: 2, maxSurge: 3 }, most: 2 },
    {
      case: 'the largest maxSurge of a schedule',
      settings: { maxReplicas: 10, maxSurge: 3, schedules: [{ ...SCHEDULE, maxSurge: 7 }] },
      most: 7,
    },
    {
      case: 'the maxSurge of the fleet, in a schedule without one or with a smaller one',
      settings: { maxReplicas: 10, maxSurge: 3, schedules: [SCHEDULE, { ...SCHEDULE, maxSurge: 2 }] },
      most: 3,
    },
    {
      case: 'the largest maxReplicas of a schedule',
      settings: { maxReplicas: 10, schedules: [{ ...SCHEDULE, maxReplicas: 20 }] },
      most: 20,
    },
  ])('is $case: $most', ({ settings, most }) => {
    expect(mostLaunches(settings)).toBe(most);
  });
});

describe('withWarmPool', () => {
  const HELD: Decision = { from: 2, desired: 2, change: false, reasons: ['because'] };

  it.each([
    { from: 2, to: 5, because: 'the warm pool grows from 2 to 5' },
    { from: 5, to: 2, because: 'the warm pool shrinks from 5 to 2' },
  ])('adds a size with its reason: $because', ({ from, to, because }) => {
    const reasons = ['because', because];
    expect(withWarmPool(HELD, from, to)).toEqual({ ...HELD, change: true, warmPoolSize: to, reasons });
  });

  it('adds nothing if the size stays', () => {
    expect(withWarmPool(HELD, 5, 5)).toBe(HELD);
  });
});

describe('drainCapacity', () => {
  const DRAINS = 'the fleet drains: nothing launches';

  it.each<{ case: string; desired: number; inService: number; becomes: number; because: string[] }>([
    {
      case: 'cancels launches that have not begun',
      desired: 5,
      inService: 1,
      becomes: 2,
      because: [DRAINS, 'desired capacity falls from 5 to 2: launches not begun are cancelled'],
    },
    { case: 'changes nothing if all have begun', desired: 2, inService: 1, becomes: 2, because: [DRAINS] },
    {
      case: 'raises nothing for members that are above desired capacity',
      desired: 1,
      inService: 3,
      becomes: 1,
      because: [DRAINS],
    },
  ])('$case', ({ desired, inService, becomes, because }) => {
    expect(drainCapacity({ desired, members: { ...NOBODY, pending: 1, inService } })).toEqual({
      from: desired,
      desired: becomes,
      change: becomes !== desired,
      reasons: because,
    });
  });
});

describe('members that scale-in may take', () => {
  // Two launches have not begun. When the desired capacity falls, a group terminates unprotected members first.
  const fewer: Situation = { ...CALM, desired: 4, members: { ...NOBODY, inService: 2 }, unprotected: true };

  it.each([
    { case: 'decideCapacity', decide: decideCapacity },
    { case: 'drainCapacity', decide: drainCapacity },
  ])('keep the desired capacity where it is: $case', ({ decide }) => {
    const decided = decide(fewer);
    expect(decided).toMatchObject({ from: 4, desired: 4, change: false });
    expect(decided.reasons.at(-1)).toBe(
      'held at 4: members are not protected from scale-in, so a fall could end a job',
    );
    expect(decideCapacity({ ...fewer, unprotected: undefined })).toMatchObject({ desired: 2, change: true });
    expect(drainCapacity({ ...fewer, unprotected: undefined })).toMatchObject({ desired: 2, change: true });
  });

  it('are no reason where nothing falls', () => {
    const all = { ...fewer, desired: 2 };
    expect(decideCapacity(all).reasons.at(-1)).toBe('held at 2: 2 pending or in service leave by themselves');
    expect(drainCapacity(all).reasons).toEqual(['the fleet drains: nothing launches']);
  });

  it('do not hold back a rise', () => {
    expect(decideCapacity({ ...fewer, unclaimed: 6 })).toMatchObject({ desired: 6, change: true });
  });

  it('make a fall break a law', () => {
    const fall: Decision = { from: 4, desired: 2, change: true, reasons: [] };
    expect(brokenLaw(fall, { ...fewer, unprotected: undefined })).toBeUndefined();
    expect(brokenLaw(fall, fewer)).toBe('2 is below 4 while members are not protected from scale-in');
    expect(brokenLaw({ ...fall, desired: 6 }, fewer)).toBeUndefined();
  });

  it('are looked for once more before a fall is written', () => {
    const now = { desired: 4, members: fewer.members };
    expect(stillToWrite({ from: 4, desired: 2 }, now)).toBe(2);
    expect(stillToWrite({ from: 4, desired: 2 }, { ...now, unprotected: true })).toBeUndefined();
    expect(stillToWrite({ from: 4, desired: 6 }, { ...now, unprotected: true })).toBe(6);
  });
});

describe('withLaunchProcess', () => {
  const WHY = {
    nothing: 'suspends the Launch process: the breaker is open, and the group would replace what fails',
    drain: 'suspends the Launch process: the fleet drains, and the group would replace what fails',
    nowDrain: 'keeps the Launch process suspended: the fleet drains',
    nowBreaker: 'keeps the Launch process suspended: the breaker is open',
    canary: 'resumes the Launch process: a canary may launch',
    everything: 'resumes the Launch process: everything may launch again',
    somebody: 'nothing launches: somebody suspended the Launch process',
    aws: 'nothing launches: AWS suspended the Launch process',
  };
  const SUSPENDED = { suspended: true, byBreaker: true };
  const FOR_DRAIN = { ...SUSPENDED, forDrain: true as const };
  const BY_OTHERS = { suspended: true, byBreaker: false };
  /** On record, but it could not be suspended after that. */
  const RECORDED = { suspended: false, byBreaker: true };

  it.each<{
    case: string;
    when: Partial<Situation>;
    becomes: 'suspend' | 'resume' | undefined;
    forDrain?: true;
    why?: string;
  }>([
    { case: 'a closed breaker leaves it alone', when: {}, becomes: undefined },
    {
      case: 'it is suspended when the breaker opens',
      when: { launchLimit: 0 },
      becomes: 'suspend',
      why: WHY.nothing,
    },
    {
      case: 'it stays suspended while the breaker is open',
      when: { launchLimit: 0, launchProcess: SUSPENDED },
      becomes: undefined,
    },
    {
      case: 'what is on record alone is suspended',
      when: { launchLimit: 0, launchProcess: RECORDED },
      becomes: 'suspend',
      why: WHY.nothing,
    },
    {
      case: 'it is resumed for a canary',
      when: { launchLimit: 1, unclaimed: 3, launchProcess: SUSPENDED },
      becomes: 'resume',
      why: WHY.canary,
    },
    {
      case: 'it stays active while a canary is asked for and has not begun',
      when: { launchLimit: 1, unclaimed: 3, desired: 1 },
      becomes: undefined,
    },
    {
      case: 'it is suspended again once the canary launches',
      when: { launchLimit: 0, unclaimed: 3, desired: 1, members: { ...NOBODY, pending: 1 } },
      becomes: 'suspend',
      why: WHY.nothing,
    },
    {
      case: 'it stays suspended if nobody wants the canary',
      when: { launchLimit: 1, launchProcess: SUSPENDED },
      becomes: undefined,
    },
    {
      case: 'it is suspended, also with a canary due that nobody wants',
      when: { launchLimit: 1 },
      becomes: 'suspend',
      why: WHY.nothing,
    },
    {
      case: 'it is resumed when the breaker closes',
      when: { launchProcess: SUSPENDED },
      becomes: 'resume',
      why: WHY.everything,
    },
    {
      case: 'it is resumed for all that is wanted when the breaker closes',
      when: { unclaimed: 3, launchProcess: SUSPENDED },
      becomes: 'resume',
      why: WHY.everything,
    },
    {
      case: 'what is on record alone is taken off it when the breaker closes',
      when: { launchProcess: RECORDED },
      becomes: 'resume',
      why: WHY.everything,
    },
    {
      case: 'what somebody else suspended stays so, with the breaker closed',
      when: { launchProcess: BY_OTHERS },
      becomes: undefined,
    },
    {
      case: 'what somebody else suspended stays so, with a canary due',
      when: { launchLimit: 1, unclaimed: 3, launchProcess: BY_OTHERS },
      becomes: undefined,
      why: WHY.somebody,
    },
    {
      case: 'what AWS suspended stays so',
      when: { unclaimed: 3, launchProcess: { ...BY_OTHERS, byAws: true } },
      becomes: undefined,
      why: WHY.aws,
    },
    {
      case: 'it is suspended for a drain, which is put on record',
      when: { paused: 'drain' },
      becomes: 'suspend',
      forDrain: true,
      why: WHY.drain,
    },
    {
      case: 'it stays suspended for a drain',
      when: { paused: 'drain', launchProcess: FOR_DRAIN },
      becomes: undefined,
    },
    {
      case: 'what somebody else suspended is not put on record for a drain',
      when: { paused: 'drain', launchProcess: BY_OTHERS },
      becomes: undefined,
    },
    {
      case: 'it is on record for the drain when the breaker closes, or if a version before this one wrote the record',
      when: { paused: 'drain', launchProcess: SUSPENDED },
      becomes: 'suspend',
      forDrain: true,
      why: WHY.nowDrain,
    },
    {
      case: 'it is suspended for the breaker if the fleet drains with the breaker open, also with a canary due',
      when: { paused: 'drain', launchLimit: 1, unclaimed: 3 },
      becomes: 'suspend',
      why: WHY.nothing,
    },
    {
      case: 'it is on record for the breaker when it opens while the fleet drains',
      when: { paused: 'drain', launchLimit: 0, launchProcess: FOR_DRAIN },
      becomes: 'suspend',
      why: WHY.nowBreaker,
    },
    {
      case: 'it is on record for the breaker after a drain with the breaker open',
      when: { launchLimit: 0, launchProcess: FOR_DRAIN },
      becomes: 'suspend',
      why: WHY.nowBreaker,
    },
    {
      case: 'it is resumed after a drain',
      when: { launchProcess: FOR_DRAIN },
      becomes: 'resume',
      why: WHY.everything,
    },
  ])('$case', ({ when, becomes, forDrain, why }) => {
    const situation: Situation = { ...CALM, ...when };
    const decision = situation.paused === 'drain' ? drainCapacity(situation) : decideCapacity(situation);
    const decided = withLaunchProcess(decision, situation);
    const { launchProcess, change, reasons } = decided;
    expect(launchProcess).toBe(becomes);
    expect(decided.forDrain).toBe(forDrain);
    expect(change).toBe(decision.change || becomes !== undefined);
    expect(reasons).toEqual([...decision.reasons, ...(why === undefined ? [] : [why])]);
  });

  /** The group after Update Group. */
  const updated = (situation: Situation): Situation => {
    const { desired, launchProcess } = withLaunchProcess(decideCapacity(situation), situation);
    const became = { suspend: SUSPENDED, resume: ACTIVE, undefined: situation.launchProcess };
    return { ...situation, desired, launchProcess: became[`${launchProcess}`] };
  };
  const launching = ({ desired, launchProcess, ...situation }: Situation) =>
    launchProcess.suspended ? 0 : desired - present({ desired, launchProcess, ...situation });

  law('it changes nothing about the desired capacity, and breaks no law', (situation) => {
    const decision = decideCapacity(situation);
    const decided = withLaunchProcess(decision, situation);
    expect(decided.desired).toBe(decision.desired);
    expect(brokenLaw(decided, situation)).toBeUndefined();
  });

  law('what it decided, it would not change again', (situation) => {
    const once = updated(situation);
    expect(withLaunchProcess(decideCapacity(once), once).change).toBe(false);
  });

  law('with the breaker open, a group cannot launch but the one canary that is wanted', (situation) => {
    if (situation.launchLimit === undefined) return;
    const { launchProcess } = updated(situation);
    if (!launchProcess.suspended) expect(launching(updated(situation))).toBe(1);
  });

  law('with the breaker closed, only somebody else holds a group back', (situation) => {
    const { launchProcess } = updated({ ...situation, launchLimit: undefined });
    const { suspended, byBreaker } = situation.launchProcess;
    expect(launchProcess.suspended).toBe(suspended && !byBreaker);
  });
});

describe('brokenLaw', () => {
  const members = { ...NOBODY, pending: 1, inService: 2, leaving: 4, standby: 4 };
  const situation = { ...CALM, desired: 5, members };
  const decision = (from: number, desired: number, change = desired !== from): Decision => ({
    from,
    desired,
    change,
    reasons: [],
  });

  it.each<{ case: string; broken: Decision; within?: Partial<Situation>; says: string }>([
    { case: 'half an instance', broken: decision(5, 5.5), says: '5.5 is not a number of instances' },
    { case: 'less than none', broken: decision(5, -1), says: '-1 is not a number of instances' },
    { case: 'no number', broken: decision(5, Number.NaN), says: 'NaN is not a number of instances' },
    {
      case: 'no end of them',
      broken: decision(5, Number.POSITIVE_INFINITY),
      says: 'Infinity is not a number of instances',
    },
    { case: 'a change that is none', broken: decision(5, 5, true), says: 'from 5 to 5 is no change' },
    { case: 'a change that is not reported', broken: decision(5, 6, false), says: 'from 5 to 6 is a change' },
    { case: 'a rise above maxReplicas', broken: decision(5, 11), says: '11 is above maxReplicas (10)' },
    {
      case: 'a rise above what maxHourlyCost allows',
      broken: decision(5, 7),
      within: { affordable: 6 },
      says: '7 is above what maxHourlyCost allows (6)',
    },
    {
      case: "a rise above the group's maximum size",
      broken: decision(5, 7),
      within: { maxSize: 6 },
      says: "7 is above the group's maximum size (6)",
    },
    {
      case: 'a rise by more than maxSurge',
      broken: decision(5, 8),
      within: { maxSurge: 4 },
      says: '8 is more than 4 above the 3 members that are pending or in service',
    },
    {
      case: 'a rise by more than an open breaker allows, whatever maxSurge is',
      broken: decision(3, 5),
      within: { maxSurge: 4, launchLimit: 1 },
      says: '5 is more than 1 above the 3 members that are pending or in service',
    },
    {
      case: 'a warm pool above maxReplicas',
      broken: { ...decision(5, 5, true), warmPoolSize: 11 },
      says: 'a warm pool of 11 is above maxReplicas (10)',
    },
    {
      case: 'a size that is not reported',
      broken: { ...decision(5, 5), warmPoolSize: 3 },
      says: 'from 5 to 5 is a change',
    },
    {
      case: "a rise above what the plan's concurrency leaves",
      broken: decision(5, 9),
      within: { concurrency: 6, running: 3, minReplicas: 2 },
      says: "9 is above the 8 instances that the plan's concurrency leaves",
    },
    {
      case: 'a fall below the members',
      broken: decision(5, 2),
      says: '2 is below the 3 members that are pending or in service',
    },
  ])('tells $case', ({ broken, within, says }) => {
    expect(brokenLaw(broken, { ...situation, ...within })).toBe(says);
  });

  it.each<{ case: string; lawful: Decision }>([
    { case: 'a rise to maxReplicas', lawful: decision(5, 10) },
    { case: 'a fall to the members', lawful: decision(5, 3) },
    { case: 'what a lowered maxReplicas found', lawful: decision(12, 12) },
    { case: 'a fall that stays above a lowered maxReplicas', lawful: decision(14, 12) },
    { case: 'a rise that stays below the members', lawful: decision(0, 2) },
    { case: 'what is less than the members already', lawful: decision(1, 1) },
    { case: 'another size of the warm pool', lawful: { ...decision(5, 5, true), warmPoolSize: 10 } },
    { case: 'nothing at all', lawful: decision(0, 0) },
  ])('has nothing against $case', ({ lawful }) => {
    expect(brokenLaw(lawful, situation)).toBeUndefined();
  });

  it('has nothing against another size of the warm pool while members are not protected from scale-in', () => {
    const lawful = { ...decision(5, 5, true), warmPoolSize: 10 };
    expect(brokenLaw(lawful, { ...situation, unprotected: true })).toBeUndefined();
  });

  it.each<{ limit: string; within: Partial<Situation> }>([
    { limit: 'what maxHourlyCost allows', within: { affordable: 6 } },
    { limit: "the group's maximum size", within: { maxSize: 6 } },
    { limit: "the plan's concurrency", within: { concurrency: 4, minReplicas: 2 } },
  ])('limits rises alone, and none to the limit itself: $limit', ({ within }) => {
    const limited = { ...situation, ...within };
    for (const lawful of [decision(5, 6), decision(7, 7), decision(9, 8)])
      expect(brokenLaw(lawful, limited)).toBeUndefined();
  });
});

describe('stillToWrite', () => {
  it.each<{
    case: string;
    decided: { from: number; desired: number };
    now: { desired: number; members?: Partial<Members> };
    write: number | undefined;
  }>([
    { case: 'a rise is written', decided: { from: 2, desired: 5 }, now: { desired: 2 }, write: 5 },
    {
      case: 'a rise is written also if others rose less meanwhile',
      decided: { from: 2, desired: 5 },
      now: { desired: 4 },
      write: 5,
    },
    {
      case: 'a rise is written also if instances left meanwhile',
      decided: { from: 2, desired: 5 },
      now: { desired: 1 },
      write: 5,
    },
    {
      case: 'a rise that another has written is not written again',
      decided: { from: 2, desired: 5 },
      now: { desired: 5 },
      write: undefined,
    },
    {
      case: 'a rise takes nothing back from one that went further',
      decided: { from: 2, desired: 5 },
      now: { desired: 7 },
      write: undefined,
    },
    {
      case: 'a fall is written if nothing has changed',
      decided: { from: 5, desired: 2 },
      now: { desired: 5, members: { inService: 2, leaving: 3 } },
      write: 2,
    },
    {
      case: 'a fall is not written if somebody rose meanwhile',
      decided: { from: 5, desired: 2 },
      now: { desired: 6 },
      write: undefined,
    },
    {
      case: 'a fall is not written if somebody fell meanwhile',
      decided: { from: 5, desired: 2 },
      now: { desired: 4 },
      write: undefined,
    },
    {
      case: 'a fall is not written if a launch that it would cancel has begun',
      decided: { from: 5, desired: 2 },
      now: { desired: 5, members: { pending: 1, inService: 2 } },
      write: undefined,
    },
    {
      case: 'what is no change is not written',
      decided: { from: 5, desired: 5 },
      now: { desired: 5 },
      write: undefined,
    },
    {
      case: 'what is no change is not written over a change either',
      decided: { from: 5, desired: 5 },
      now: { desired: 3 },
      write: undefined,
    },
  ])('$case', ({ decided, now, write }) => {
    const group = { desired: now.desired, members: { ...NOBODY, ...now.members } };
    expect(stillToWrite(decided, group)).toBe(write);
  });
});

describe('the laws of stillToWrite', () => {
  // Few, so that what was decided, what is there and what another wrote are often the same.
  const few = fc.nat({ max: 8 });
  const decisions = fc.record({ from: few, desired: few });
  const groups = fc.record({
    desired: few,
    members: fc.record({ pending: few, inService: few, leaving: few, standby: few }),
  });
  type GroupSize = { desired: number; members: Members };
  /** The group after Update Group. */
  const updated = (group: GroupSize, decision: { from: number; desired: number }): GroupSize => ({
    ...group,
    desired: stillToWrite(decision, group) ?? group.desired,
  });

  const law = (
    name: string,
    holds: (decision: { from: number; desired: number }, group: GroupSize) => void,
  ) => it(name, () => fc.assert(fc.property(decisions, groups, holds), { numRuns: 1_000 }));

  law('it writes what was decided, or nothing', (decision, group) => {
    expect([decision.desired, undefined]).toContain(stillToWrite(decision, group));
  });

  law('it never falls below the members that are pending or in service now', (decision, group) => {
    const { desired } = updated(group, decision);
    const { pending, inService } = group.members;
    if (desired < group.desired) expect(desired).toBeGreaterThanOrEqual(pending + inService);
  });

  law('it never lowers what another has written', (decision, group) => {
    const { desired } = updated(group, decision);
    if (group.desired !== decision.from) expect(desired).toBeGreaterThanOrEqual(group.desired);
  });

  law('a rise never lowers anything, and a fall never raises anything', (decision, group) => {
    const { desired } = updated(group, decision);
    if (decision.desired > decision.from) expect(desired).toBeGreaterThanOrEqual(group.desired);
    else expect(desired).toBeLessThanOrEqual(group.desired);
  });

  law('a rise is there afterwards, whoever wrote it', (decision, group) => {
    if (decision.desired > decision.from)
      expect(updated(group, decision).desired).toBeGreaterThanOrEqual(decision.desired);
  });

  law('writing twice is writing once', (decision, group) => {
    const once = updated(group, decision);
    expect(stillToWrite(decision, once)).toBeUndefined();
  });

  law('what was decided for the group as it is, is written', (decision, { members }) => {
    const { pending, inService } = members;
    const lawful = decision.desired > decision.from || decision.desired >= pending + inService;
    if (!lawful || decision.desired === decision.from) return;
    expect(stillToWrite(decision, { desired: decision.from, members })).toBe(decision.desired);
  });

  it('two executions that rise end at the higher of the two, in whichever order they write', () => {
    fc.assert(
      fc.property(groups, decisions, decisions, fc.boolean(), (group, a, b, aFirst) => {
        const rises = [a, b].map(({ from, desired }) => ({
          from: Math.min(from, desired),
          desired: Math.max(from, desired) + 1,
        }));
        const order = aFirst ? rises : rises.toReversed();
        const highest = Math.max(group.desired, ...rises.map(({ desired }) => desired));
        expect(order.reduce(updated, group).desired).toBe(highest);
      }),
    );
  });

  it('keeps the rise if one execution writes a rise and another a fall, in either order', () => {
    fc.assert(
      fc.property(groups, few, few, fc.boolean(), (group, up, down, riseFirst) => {
        const from = group.desired;
        const rise = { from, desired: from + up + 1 };
        const fall = { from, desired: Math.max(from - down, 0) };
        const order = riseFirst ? [rise, fall] : [fall, rise];
        expect(order.reduce(updated, group).desired).toBe(rise.desired);
      }),
    );
  });
});
