import { expect, it } from 'vitest';
import { describeLife, expectGone, launch, live, world } from '../harness.ts';

describeLife('an instance whose fleet wants logs', () => {
  const logGroupName = '/circleci-runners/linux/instances';

  it('sends them to CloudWatch Logs, from the start of its boot', async () => {
    const instance = await launch({ inputs: { logGroupName }, task: 'sleep 8' });
    await live(instance);
    const shipped = world.shipped.find((text) => text.includes(instance.id));
    expect(shipped).toContain('"log_group_name": "/circleci-runners/linux/instances"');
    expect(shipped).toContain('boot: identity: ');
    await expectGone(instance, { hook: 'CONTINUE' });
  });

  it('works without them if the agent cannot be had', async () => {
    const instance = await launch({
      inputs: { logGroupName },
      task: 'true',
      environment: { AGENT_URL: `${world.downloads}/nowhere` },
    });
    await live(instance);
    expect(instance.heard().finished).toMatchObject([{ outcome: 0 }]);
    await expectGone(instance, { hook: 'CONTINUE' });
  });

  it('works without them if somebody else has signed the agent', async () => {
    const instance = await launch({
      inputs: { logGroupName },
      task: 'true',
      environment: { AGENT_URL: `${world.downloads}/agent-of-somebody` },
    });
    await live(instance);
    expect(instance.machine.console).toContain(`is not signed by Amazon's key ${world.agentKey}`);
    expect(world.shipped.filter((text) => text.includes(instance.id))).toEqual([]);
    expect(instance.heard().finished).toMatchObject([{ outcome: 0 }]);
    await expectGone(instance, { hook: 'CONTINUE' });
  });

  it('sends them when it could not become a runner, too', async () => {
    const instance = await launch({ inputs: { logGroupName, runnerSecretName: 'runners/none' } });
    await live(instance);
    expect(world.shipped.find((text) => text.includes(instance.id))).toContain('ResourceNotFoundException');
    await expectGone(instance, { hook: 'ABANDON' });
  });
});
