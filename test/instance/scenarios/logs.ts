import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { describeLife, expectGone, launch, live, world } from '../harness.ts';

const SHIP_LOGS = readFileSync('userdata/ship-logs.sh', 'utf8');

describeLife('an instance whose fleet wants logs', () => {
  const logs = { object: 'scripts/ship-logs', groupName: '/circleci-runners/linux' };

  it('sends them to CloudWatch Logs, from the start of its boot', async () => {
    await world.aws.putObject(logs.object, SHIP_LOGS);
    const instance = await launch({ inputs: { logs }, task: 'sleep 8' });
    await live(instance);
    const shipped = world.shipped.find((text) => text.includes(instance.id));
    expect(shipped).toContain('"log_group_name": "/circleci-runners/linux"');
    expect(shipped).toContain('boot: identity: ');
    await expectGone(instance, { hook: 'CONTINUE' });
  });

  it('works without them if the agent cannot be had', async () => {
    await world.aws.putObject(logs.object, SHIP_LOGS);
    const instance = await launch({
      inputs: { logs },
      task: 'true',
      environment: { AGENT_URL: `${world.downloads}/nowhere` },
    });
    await live(instance);
    expect(instance.heard().finished).toMatchObject([{ outcome: 0 }]);
    await expectGone(instance, { hook: 'CONTINUE' });
  });

  it('sends them when it could not become a runner, too', async () => {
    await world.aws.putObject(logs.object, SHIP_LOGS);
    const instance = await launch({ inputs: { logs, runnerSecretName: 'runners/none' } });
    await live(instance);
    expect(world.shipped.find((text) => text.includes(instance.id))).toContain('ResourceNotFoundException');
    await expectGone(instance, { hook: 'ABANDON' });
  });
});
