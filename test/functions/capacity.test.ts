import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decideCapacity, type Members, type Situation } from '../../functions/lib/capacity.ts';

const NOBODY: Members = { pending: 0, inService: 0, leaving: 0, standby: 0 };
const CALM: Situation = {
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
        'raised to minReplicas (2)',
        'desired capacity rises from 0 to 2',
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
      case: 'tasks on runners outside the group count too, up to maxReplicas',
      when: { running: 12 },
      desired: 10,
      because: [
        '0 unclaimed + 12 running = 12 wanted',
        'capped at maxReplicas (10)',
        'desired capacity rises from 0 to 10',
      ],
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
  ])('$case', ({ when, desired, because }) => {
    const situation = { ...CALM, ...when };
    expect(decideCapacity(situation)).toEqual({
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
const situations = fc
  .record({ unclaimed: count, running: count, desired: count, members, bounds })
  .map(({ bounds, ...counts }): Situation => ({ ...counts, ...bounds }));

const present = ({ members }: Situation) => members.pending + members.inService;
const clamped = ({ unclaimed, running, minReplicas, maxReplicas }: Situation) =>
  Math.min(Math.max(unclaimed + running, minReplicas), maxReplicas);

/** The order in which the rules are applied; each may give one reason. */
const RULES = [/wanted$/, /^(raised|capped)/, /^held/, /^desired capacity (rises|falls|is)/];

const law = (name: string, holds: (situation: Situation) => void) =>
  it(name, () => fc.assert(fc.property(situations, holds)));

describe('the laws of decideCapacity', () => {
  law('desired capacity is a whole number of at least 0', (situation) => {
    const { desired } = decideCapacity(situation);
    expect(Number.isInteger(desired) && desired >= 0).toBe(true);
  });

  law('it never rises above maxReplicas', (situation) => {
    const { desired } = decideCapacity(situation);
    expect(desired).toBeLessThanOrEqual(Math.max(situation.maxReplicas, situation.desired));
  });

  law('it is never below minReplicas', (situation) => {
    expect(decideCapacity(situation).desired).toBeGreaterThanOrEqual(situation.minReplicas);
  });

  law('it never falls below the members that are pending or in service', (situation) => {
    const { desired } = decideCapacity(situation);
    if (desired < situation.desired) expect(desired).toBeGreaterThanOrEqual(present(situation));
  });

  law(
    'a rise is never delayed: it goes to everything that is wanted within the bounds at once',
    (situation) => {
      const target = clamped(situation);
      if (target > situation.desired) expect(decideCapacity(situation).desired).toBe(target);
    },
  );

  law('it rises only to what is wanted within the bounds', (situation) => {
    const { desired } = decideCapacity(situation);
    if (desired > situation.desired) expect(desired).toBe(clamped(situation));
  });

  law('a fall takes everything that is not needed and has not begun', (situation) => {
    const { desired } = decideCapacity(situation);
    if (clamped(situation) < situation.desired) {
      expect(desired).toBe(Math.min(situation.desired, Math.max(clamped(situation), present(situation))));
    }
  });

  law('`change` says exactly whether desired capacity differs', (situation) => {
    const { desired, change } = decideCapacity(situation);
    expect(change).toBe(desired !== situation.desired);
  });

  law('what it decided, it would not change again', (situation) => {
    const { desired } = decideCapacity(situation);
    expect(decideCapacity({ ...situation, desired })).toMatchObject({ desired, change: false });
  });

  law('members that leave or stand by make no difference', (situation) => {
    const members = { ...situation.members, leaving: 0, standby: 0 };
    expect(decideCapacity({ ...situation, members })).toEqual(decideCapacity(situation));
  });

  law('it does not matter whether a task is unclaimed or running', (situation) => {
    const { unclaimed, running } = situation;
    const swapped = decideCapacity({ ...situation, unclaimed: running, running: unclaimed });
    expect(swapped.desired).toBe(decideCapacity(situation).desired);
  });

  law('the reasons are complete: never empty, and in the order in which the rules apply', (situation) => {
    const { reasons } = decideCapacity(situation);
    const rules = reasons.map((reason) => RULES.findIndex((rule) => rule.test(reason)));
    expect(rules[0]).toBe(0);
    expect(rules).not.toContain(-1);
    expect(rules).toEqual([...new Set(rules)].sort());
    expect(reasons.length).toBeGreaterThan(1);
  });

  it('more unclaimed tasks never mean less capacity', () => {
    fc.assert(
      fc.property(situations, count, (situation, more) => {
        const { desired } = decideCapacity({ ...situation, unclaimed: situation.unclaimed + more });
        expect(desired).toBeGreaterThanOrEqual(decideCapacity(situation).desired);
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
