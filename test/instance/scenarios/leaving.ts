import { describe, expect, it } from 'vitest';
import { refusal } from '../../support/instance-aws.ts';
import { COMPLETE, describeLife, expectGone, launch, live, TERMINATE, world } from '../harness.ts';

describeLife('an instance', () => {
  describe('that leaves', () => {
    it('goes on trying when AWS throttles it, and lowers the desired capacity once', async () => {
      const instance = await launch();
      let throttled = 0;
      world.aws.faults.set(instance.id, ({ action }) => {
        if (action !== TERMINATE || throttled === 3) return undefined;
        throttled += 1;
        return refusal('Throttling', 'Rate exceeded');
      });
      await live(instance);
      expect(instance.calls().filter((call) => call.startsWith(TERMINATE))).toEqual(
        Array(4).fill(`${TERMINATE} true`),
      );
      await expectGone(instance, { hook: 'CONTINUE' });
    });

    it('is replaced if the group is at its minimum', async () => {
      const instance = await launch({ minimum: 2 });
      await live(instance);
      expect(instance.calls()).toEqual([`${COMPLETE} CONTINUE`, `${TERMINATE} true`, `${TERMINATE} false`]);
      await expectGone(instance, { hook: 'CONTINUE', desired: 2 });
    });

    it('does not lower the desired capacity twice if an answer is lost', async () => {
      const instance = await launch();
      let lost = false;
      world.aws.faults.set(instance.id, ({ action }) => {
        if (action !== TERMINATE || lost) return undefined;
        lost = true;
        instance.metadata.set('autoscaling/target-lifecycle-state', 'Terminated');
        return { status: 503, body: '' };
      });
      await live(instance);
      expect(instance.calls()).toEqual([`${COMPLETE} CONTINUE`, `${TERMINATE} true`]);
    });

    it('reports itself unhealthy and powers off if the group refuses', async () => {
      const instance = await launch();
      world.aws.faults.set(instance.id, ({ action }) =>
        action === TERMINATE ? refusal('ValidationError', 'No.') : undefined,
      );
      await live(instance);
      expect(instance.calls().at(-1)).toBe('SetInstanceHealth');
      expect((await instance.group()).unhealthy).toEqual([instance.id]);
    });

    it('powers off if AWS refuses everything', async () => {
      const instance = await launch();
      world.aws.faults.set(instance.id, () => refusal('AccessDenied', 'No.', 403));
      instance.machine.start();
      await instance.machine.off(150);
      expect(instance.calls()).toContain('SetInstanceHealth');
    });

    it('powers off if it has lost its group entry', async () => {
      const instance = await launch({ task: 'sleep 4' });
      instance.machine.start();
      await instance.machine.shows('claimed a task', 90);
      await world.aws.detach(instance.id);
      await instance.machine.off(90);
      expect(instance.heard().finished).toMatchObject([{ outcome: 0 }]);
      expect(instance.calls().filter((call) => call.startsWith(TERMINATE))).toHaveLength(1);
    });
  });

  it('that is too old leaves, whatever runs on it', async () => {
    const instance = await launch({ inputs: { ageLimitSeconds: 30 }, task: 'sleep 100' });
    await live(instance);
    expect(instance.heard().claims).toBe(1);
    expect(instance.heard().finished.map(({ outcome }) => outcome)).not.toContain(0);
    await expectGone(instance, { hook: 'CONTINUE' });
  });
});
