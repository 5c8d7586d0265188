import { describe, expect, it } from 'vitest';
import { RECYCLE_TAG } from '../../../functions/lib/tags.ts';
import { COMPLETE, describeLife, expectGone, type Instance, launch, TERMINATE } from '../harness.ts';

/** What the console showed until the runner had finished a task. */
const untilTaskFinished = ({ machine }: Instance) => machine.console.split('finished the task')[0];

describeLife('an instance', () => {
  describe('of Spot capacity', () => {
    const notice = '{"action": "terminate", "time": "2026-01-05T08:02:00Z"}';

    it('leaves at once if it is taken back while it is idle', async () => {
      const instance = await launch({ fleet: { idleTimeout: 60 } });
      instance.machine.start();
      await instance.up();
      instance.metadata.set('spot/instance-action', notice);
      await instance.machine.off(90);
      expect(instance.machine.console).toContain('told to end, and idle');
      await expectGone(instance, { hook: 'CONTINUE' });
    });

    it('hands its task back if it is taken back, and is replaced', async () => {
      const instance = await launch({ fleet: { unsafeRetries: true }, task: 'sleep 50' });
      instance.machine.start();
      await instance.up();
      instance.metadata.set('spot/instance-action', notice);
      await instance.machine.off(90);
      expect(instance.heard().finished).toMatchObject([{ outcome: 'retried elsewhere' }]);
      expect(instance.calls()).toEqual([`${COMPLETE} CONTINUE`, `${TERMINATE} false`]);
      await expectGone(instance, { hook: 'CONTINUE', desired: 2 });
    });

    it('lets its task go on for as long as EC2 does, unless jobs may run twice', async () => {
      const instance = await launch({ task: 'sleep 15' });
      instance.machine.start();
      await instance.machine.shows('claimed a task', 90);
      instance.metadata.set('spot/instance-action', notice);
      await instance.machine.off(90);
      expect(instance.machine.console).toContain('interruption: telling the runner to end');
      expect(instance.heard().finished).toMatchObject([{ outcome: 0 }]);
      await expectGone(instance, { hook: 'CONTINUE', desired: 2 });
    });

    it('does not disturb its task for a rebalance recommendation', async () => {
      const instance = await launch({ task: 'sleep 15' });
      instance.machine.start();
      await instance.machine.shows('claimed a task', 90);
      instance.metadata.set('events/recommendations/rebalance', '{"noticeTime": "2026-01-05T08:00:00Z"}');
      await instance.machine.off(90);
      expect(untilTaskFinished(instance)).not.toContain('telling the runner to end');
      expect(instance.heard().finished).toMatchObject([{ outcome: 0 }]);
      await expectGone(instance, { hook: 'CONTINUE' });
    });
  });

  describe('that is recycled', () => {
    const tag = `tags/instance/${RECYCLE_TAG}`;

    it('leaves at once while it is idle', async () => {
      const instance = await launch({ fleet: { idleTimeout: 60 } });
      instance.machine.start();
      await instance.up();
      instance.metadata.set(tag, 'now');
      await instance.machine.off(90);
      expect(instance.machine.console).toContain('recycle: telling the runner to end');
      await expectGone(instance, { hook: 'CONTINUE' });
    });

    it('finishes its task undisturbed, also where jobs may run twice', async () => {
      const instance = await launch({ fleet: { unsafeRetries: true }, task: 'sleep 15' });
      instance.machine.start();
      await instance.machine.shows('claimed a task', 90);
      instance.metadata.set(tag, 'now');
      await instance.machine.off(90);
      expect(untilTaskFinished(instance)).not.toContain('telling the runner to end');
      expect(instance.heard().finished).toMatchObject([{ outcome: 0 }]);
      await expectGone(instance, { hook: 'CONTINUE' });
    });

    it('leaves although earlier tasks, and a session, left processes behind', async () => {
      const instance = await launch({
        fleet: { reuse: 'continuous', idleTimeout: 200 },
        install:
          '#!/bin/sh\nset -e\nid circleci >/dev/null 2>&1 || useradd --create-home --shell /bin/bash circleci\nloginctl enable-linger circleci\n',
        task: 'setsid sleep 1000 </dev/null >/dev/null 2>&1 & true',
      });
      instance.machine.start();
      await instance.machine.until(() => instance.heard().finished.length === 1, 90, 'it has run its task');
      expect(await instance.machine.run('ps', '-u', 'circleci', '-o', 'comm=')).toMatch(
        /systemd[\s\S]*sleep/,
      );
      instance.metadata.set(tag, 'now');
      await instance.machine.off(60);
      expect(instance.machine.console).toContain('recycle: telling the runner to end');
      await expectGone(instance, { hook: 'CONTINUE' });
    });
  });
});
