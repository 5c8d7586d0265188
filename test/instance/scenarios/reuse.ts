import { expect, it } from 'vitest';
import { COMPLETE, describeLife, expectGone, launch, TERMINATE, world } from '../harness.ts';

describeLife('an instance that is reused', () => {
  it('runs task after task, and leaves when none comes', async () => {
    const instance = await launch({ fleet: { reuse: 'continuous', idleTimeout: 8 }, task: 'true' });
    instance.machine.start();
    const finished = () => instance.heard().finished.length;
    await instance.machine.until(() => finished() === 1, 40, 'it has run its first task');
    world.tasks.set(instance.id, { command: 'true' });
    await instance.machine.off(90);
    expect(instance.heard()).toMatchObject({ claims: 2, finished: [{ outcome: 0 }, { outcome: 0 }] });
    expect(instance.calls()).toEqual([`${COMPLETE} CONTINUE`, `${TERMINATE} true`]);
    await expectGone(instance, { hook: 'CONTINUE' });
  });

  it('finishes its task and takes no other once it has worked for long enough', async () => {
    const instance = await launch({
      fleet: { reuse: 'continuous', idleTimeout: 60 },
      inputs: { reuseSeconds: 6 },
      task: 'sleep 15',
    });
    instance.machine.start();
    await instance.machine.shows('claimed a task', 90);
    world.tasks.set(instance.id, { command: 'true' });
    await instance.machine.off(60);
    expect(instance.heard()).toMatchObject({ claims: 1, finished: [{ outcome: 0 }] });
    await expectGone(instance, { hook: 'CONTINUE' });
  });
});
