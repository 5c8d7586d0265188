import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RECYCLE_TAG } from '../../functions/lib/tags.ts';
import { runnerUserData, type UserDataInputs } from '../../infra/user-data.ts';
import { refusal } from '../support/instance-aws.ts';
import { metadataOf } from '../support/metadata-service.ts';
import { DNF } from './downloads.ts';
import { Machine } from './machine.ts';
import { World } from './world.ts';

/**
 * The life of an instance, on machines that really boot: the user data that CDK renders, a real systemd, and
 * around it stand-ins of what an instance meets. After each scenario the group is as it should be, the launch hook
 * has the right result, and the machine is off.
 */

const skipped = process.env.INSTANCE_SKIPPED;
const world = new World();

beforeAll(async () => {
  if (skipped === undefined) await world.open(process.env.INSTANCE_PYTHON ?? '');
});
afterAll(async () => {
  for (const machine of machines) await machine.discard();
  if (skipped === undefined) world.close();
});

interface Scenario {
  fleet?: Partial<UserDataInputs['fleet']>;
  inputs?: Partial<UserDataInputs>;
  /** What the group wants of the instance; `none` if it is in no group. */
  targetState?: string;
  minimum?: number;
  /** Shell commands of the task that waits for the runner. */
  task?: string;
  environment?: Record<string, string>;
}

const machines: Machine[] = [];

/** An instance of a group of two, not yet switched on; the other one is not of interest. */
async function launch(scenario: Scenario = {}) {
  const groupName = `group-${randomUUID()}`;
  const id = await world.createGroup(groupName, { desired: 2, minimum: scenario.minimum ?? 0 });
  const userData = runnerUserData({
    fleet: {
      circleciUrl: world.circleciUrl,
      // Not the 3 s after which a boot reports its runner.
      idleTimeout: 1,
      maxRunTime: 60,
      reuse: 'single-task',
      bootTimeout: 120,
      runner: undefined,
      unsafeRetries: false,
      allowInstanceMetadata: false,
      ...scenario.fleet,
    },
    groupName,
    runnerSecretName: 'runners/good',
    installObject: undefined,
    installSha256: 'c0ffee'.padEnd(64, '0'),
    logs: undefined,
    ...scenario.inputs,
  }).render();
  if (scenario.task !== undefined) world.tasks.set(id, { command: scenario.task });
  const { targetState = 'InService' } = scenario;
  const metadata = metadataOf(id, targetState === 'none' ? undefined : targetState);
  const machine = new Machine(
    process.env.INSTANCE_IMAGE ?? '',
    world,
    metadata,
    userData,
    scenario.environment,
  );
  machines.push(machine);
  return {
    id,
    machine,
    metadata,
    heard: () => world.heard.get(id) ?? { claims: 0, finished: [] },
    group: () => world.group(groupName),
    /** What the instance asked of EC2 Auto Scaling, in order. */
    calls: () =>
      world.calls
        .filter(({ parameters }) => parameters.InstanceId === id)
        .map(({ action, parameters }) =>
          [action, parameters.ShouldDecrementDesiredCapacity ?? parameters.LifecycleActionResult]
            .filter((word) => word !== undefined)
            .join(' '),
        ),
  };
}

type Instance = Awaited<ReturnType<typeof launch>>;

/** Switches an instance on, and waits until it is off for good. */
async function live(instance: Instance, seconds = 60): Promise<void> {
  instance.machine.start();
  await instance.machine.off(seconds);
}

/** What is to be seen outside once an instance is gone. */
async function expectGone(
  { id, group, machine, calls }: Instance,
  { hook, desired = 1 }: { hook: 'CONTINUE' | 'ABANDON'; desired?: number },
): Promise<void> {
  const { members, ...rest } = await group();
  const seen = `${calls().join('\n')}\n${machine.console}`;
  expect({ hook: world.hooks.get(id), members: members.length, ...rest }, seen).toEqual({
    hook,
    desired,
    members: desired,
    unhealthy: [],
  });
  expect(members).not.toContain(id);
}

const SHIP_LOGS = readFileSync('userdata/ship-logs.sh', 'utf8');
const TERMINATE = 'TerminateInstanceInAutoScalingGroup';
const COMPLETE = 'CompleteLifecycleAction';

describe
  .skipIf(skipped !== undefined)
  .concurrent(skipped === undefined ? 'an instance' : `an instance (skipped: ${skipped})`, () => {
    describe('with a task', () => {
      it('runs it as the task user, tells the group that it is up, and leaves', async () => {
        const instance = await launch({
          task: 'id -un; pwd; echo "$HOME"; cat /proc/self/oom_score_adj; nice; echo done >file; sleep 5',
        });
        await live(instance);
        expect(instance.heard()).toMatchObject({ claims: 1, finished: [{ outcome: 0 }] });
        expect(instance.heard().finished[0]?.output.split('\n')).toEqual([
          'circleci',
          '/var/lib/autoscaler/work/task',
          '/home/circleci',
          '500',
          '0',
          '',
        ]);
        expect(instance.calls()).toEqual([`${COMPLETE} CONTINUE`, `${TERMINATE} true`]);
        await expectGone(instance, { hook: 'CONTINUE' });
      });

      it('leaves in the same way when it fails', async () => {
        const instance = await launch({ task: 'exit 3' });
        await live(instance);
        expect(instance.heard()).toMatchObject({ claims: 1, finished: [{ outcome: 3 }] });
        await expectGone(instance, { hook: 'CONTINUE' });
      });

      it('keeps the token from it, and from every log', async () => {
        const instance = await launch({
          task: 'env; ps auxwwe; cat /etc/autoscaler/runner.yaml; ls -la /etc/autoscaler; sleep 3; echo end',
        });
        instance.machine.start();
        await instance.machine.shows('claimed a task', 30);
        expect(await instance.machine.run('stat', '--format=%a %U', '/etc/autoscaler/runner.yaml')).toBe(
          '600 root\n',
        );
        await instance.machine.off(30);
        const output = instance.heard().finished[0]?.output ?? '';
        expect(output).toContain('end\n');
        expect(output).toMatch(/runner.yaml: Permission denied/);
        const journal = await instance.machine.inspect(
          'journalctl',
          '--directory=/var/log/journal',
          '--quiet',
        );
        for (const text of [output, instance.machine.console, journal]) {
          expect(text).not.toContain('good-token');
          expect(text).not.toContain('instance-session-token');
          expect(text).not.toContain('instance/secret+key');
        }
      });

      it('has its work cleaned up, and no runner that starts again', async () => {
        const instance = await launch({ task: 'touch file' });
        await live(instance);
        expect(
          await instance.machine.inspect('sh', '-c', 'ls /var/lib/autoscaler/work 2>/dev/null || true'),
        ).toBe('');
        expect(
          await instance.machine.inspect('sh', '-c', 'ls /etc/systemd/system/multi-user.target.wants'),
        ).not.toContain('circleci-runner.service');
        expect(instance.heard().claims).toBe(1);
      });

      it('ends a task that runs for too long, and leaves', async () => {
        const instance = await launch({ task: 'sleep 100', fleet: { maxRunTime: 4 } });
        await live(instance);
        expect(instance.heard().finished).toMatchObject([{ outcome: 'took too long' }]);
        await expectGone(instance, { hook: 'CONTINUE' });
      });
    });

    it('without a task idles out, and leaves', async () => {
      const instance = await launch({ fleet: { idleTimeout: 6 } });
      await live(instance);
      expect(instance.heard()).toEqual({ claims: 0, finished: [] });
      expect(instance.machine.console).toContain('idle for too long');
      expect(instance.calls()).toEqual([`${COMPLETE} CONTINUE`, `${TERMINATE} true`]);
      await expectGone(instance, { hook: 'CONTINUE' });
    });

    it('whose runner ends well at once had a good launch', async () => {
      const instance = await launch({ fleet: { idleTimeout: 0 } });
      await live(instance);
      expect(instance.calls()).toEqual([`${COMPLETE} CONTINUE`, `${TERMINATE} true`]);
      await expectGone(instance, { hook: 'CONTINUE' });
    });

    describe('that cannot become a runner leaves at once, and its launch is abandoned:', () => {
      const cases: { case: string; scenario: Scenario; says: string }[] = [
        {
          case: 'the token is wrong',
          scenario: { inputs: { runnerSecretName: 'runners/bad' } },
          says: 'claim refused',
        },
        {
          case: 'there is no secret',
          scenario: { inputs: { runnerSecretName: 'runners/none' } },
          says: 'secret runners/none: ResourceNotFoundException',
        },
        {
          case: 'the secret has no value',
          scenario: { inputs: { runnerSecretName: 'runners/unset' } },
          says: 'secret runners/unset',
        },
        {
          case: 'the secret is no token',
          scenario: { inputs: { runnerSecretName: 'runners/json' } },
          says: 'the runner secret must be the resource class token',
        },
        {
          case: 'the package of the runner cannot be had',
          scenario: { environment: { RUNNER_PACKAGES_URL: `${world.downloads}/nowhere` } },
          says: 'attempt 3 of 4 failed: curl',
        },
        {
          case: 'the release of the runner is not what the fleet takes it for',
          scenario: { fleet: { runner: { version: '3.1.13', sha256: '0'.repeat(64) } } },
          says: 'did NOT match',
        },
        {
          case: 'the install script fails',
          scenario: { inputs: { installObject: 'scripts/failing' } },
          says: 'no compiler for you',
        },
        {
          case: 'the install script cannot be had',
          scenario: { inputs: { installObject: 'scripts/none' } },
          says: 'failed in line',
        },
      ];

      it.each(cases)('$case', async ({ scenario, says }) => {
        await world.putObject('scripts/failing', '#!/bin/sh\necho no compiler for you\nexit 7\n');
        const instance = await launch({ ...scenario, task: 'true' });
        await live(instance);
        expect(instance.machine.console).toContain(says);
        expect(instance.heard().claims).toBe(0);
        expect(instance.calls()).toEqual([`${TERMINATE} true`, `${COMPLETE} ABANDON`]);
        await expectGone(instance, { hook: 'ABANDON' });
      });

      it('no group wants it', async () => {
        const instance = await launch({ targetState: 'none', fleet: { bootTimeout: 4 }, task: 'true' });
        await live(instance);
        expect(instance.machine.console).toContain('no group wants this instance in service');
        expect(instance.heard().claims).toBe(0);
        await expectGone(instance, { hook: 'ABANDON' });
      });
    });

    describe('that leaves', () => {
      it('goes on trying when AWS throttles it, and lowers the desired capacity once', async () => {
        const instance = await launch();
        let throttled = 0;
        world.faults.set(instance.id, ({ action }) => {
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
        world.faults.set(instance.id, ({ action }) => {
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
        world.faults.set(instance.id, ({ action }) =>
          action === TERMINATE ? refusal('ValidationError', 'No.') : undefined,
        );
        await live(instance);
        expect(instance.calls().at(-1)).toBe('SetInstanceHealth');
        expect((await instance.group()).unhealthy).toEqual([instance.id]);
      });

      it('powers off if AWS refuses everything', async () => {
        const instance = await launch();
        world.faults.set(instance.id, () => refusal('AccessDenied', 'No.', 403));
        instance.machine.start();
        await instance.machine.off(150);
        expect(instance.calls()).toContain('SetInstanceHealth');
      });

      it('powers off if it has lost its group entry', async () => {
        const instance = await launch({ task: 'sleep 4' });
        instance.machine.start();
        await instance.machine.shows('claimed a task', 30);
        await world.detach(instance.id);
        await instance.machine.off(30);
        expect(instance.heard().finished).toMatchObject([{ outcome: 0 }]);
        expect(instance.calls().filter((call) => call.startsWith(TERMINATE))).toHaveLength(1);
      });
    });

    describe('of a warm pool', () => {
      it('is prepared, stopped without leaving, and claims work only when it is wanted in service', async () => {
        await world.putObject('scripts/counting', '#!/bin/sh\necho installed >>/var/lib/installed\n');
        const instance = await launch({
          targetState: 'Warmed:Stopped',
          inputs: { installObject: 'scripts/counting' },
          task: 'cat /var/lib/installed',
        });
        instance.machine.start();
        await instance.machine.until(
          () => world.hooks.get(instance.id) === 'CONTINUE',
          30,
          'it is initialised',
        );
        expect(() => instance.machine.read('etc/autoscaler/runner.yaml')).toThrow('ENOENT');
        await instance.machine.stop();
        expect(instance.calls()).toEqual([`${COMPLETE} CONTINUE`]);
        expect(instance.heard().claims).toBe(0);

        instance.metadata.set('autoscaling/target-lifecycle-state', 'InService');
        world.hooks.set(instance.id, undefined);
        await live(instance);
        expect(instance.heard().finished).toMatchObject([{ outcome: 0, output: 'installed\n' }]);
        expect(instance.calls()).toEqual([
          `${COMPLETE} CONTINUE`,
          `${COMPLETE} CONTINUE`,
          `${TERMINATE} true`,
        ]);
        await expectGone(instance, { hook: 'CONTINUE' });
      });

      it('that is kept running claims work once it is wanted in service', async () => {
        const instance = await launch({ targetState: 'Warmed:Running', task: 'true' });
        instance.machine.start();
        await instance.machine.until(
          () => world.hooks.get(instance.id) === 'CONTINUE',
          30,
          'it is initialised',
        );
        expect(instance.heard().claims).toBe(0);
        world.hooks.set(instance.id, undefined);
        instance.metadata.set('autoscaling/target-lifecycle-state', 'InService');
        await instance.machine.off(30);
        expect(instance.heard().claims).toBe(1);
        await expectGone(instance, { hook: 'CONTINUE' });
      });

      it('that cannot be prepared is given up', async () => {
        const instance = await launch({
          targetState: 'Warmed:Stopped',
          inputs: { installObject: 'scripts/none' },
        });
        await live(instance);
        expect(instance.calls()).toEqual([`${COMPLETE} ABANDON`]);
        expect(world.hooks.get(instance.id)).toBe('ABANDON');
      });
    });

    describe('of Spot capacity', () => {
      const notice = '{"action": "terminate", "time": "2026-01-05T08:02:00Z"}';

      it('leaves at once if it is taken back while it is idle', async () => {
        const instance = await launch({ fleet: { idleTimeout: 60 } });
        instance.machine.start();
        await instance.machine.until(() => world.hooks.get(instance.id) === 'CONTINUE', 30, 'it is up');
        instance.metadata.set('spot/instance-action', notice);
        await instance.machine.off(15);
        expect(instance.machine.console).toContain('told to end, and idle');
        await expectGone(instance, { hook: 'CONTINUE' });
      });

      it('hands its task back if it is taken back, and is replaced', async () => {
        const instance = await launch({ fleet: { unsafeRetries: true }, task: 'sleep 50' });
        instance.machine.start();
        await instance.machine.until(() => world.hooks.get(instance.id) === 'CONTINUE', 30, 'it is up');
        instance.metadata.set('spot/instance-action', notice);
        await instance.machine.off(15);
        expect(instance.heard().finished).toMatchObject([{ outcome: 'retried elsewhere' }]);
        expect(instance.calls()).toEqual([`${COMPLETE} CONTINUE`, `${TERMINATE} false`]);
        await expectGone(instance, { hook: 'CONTINUE', desired: 2 });
      });

      it('lets its task go on for as long as EC2 does, unless jobs may run twice', async () => {
        const instance = await launch({ task: 'sleep 15' });
        instance.machine.start();
        await instance.machine.shows('claimed a task', 30);
        instance.metadata.set('spot/instance-action', notice);
        await instance.machine.off(40);
        expect(instance.machine.console).toContain('interruption: telling the runner to end');
        expect(instance.heard().finished).toMatchObject([{ outcome: 0 }]);
        await expectGone(instance, { hook: 'CONTINUE', desired: 2 });
      });

      it('does not disturb its task for a rebalance recommendation', async () => {
        const instance = await launch({ task: 'sleep 12' });
        instance.metadata.set('events/recommendations/rebalance', '{"noticeTime": "2026-01-05T08:00:00Z"}');
        await live(instance);
        expect(instance.machine.console).not.toContain('telling the runner to end');
        expect(instance.heard().finished).toMatchObject([{ outcome: 0 }]);
        await expectGone(instance, { hook: 'CONTINUE' });
      });
    });

    describe('that is recycled', () => {
      const tag = `tags/instance/${RECYCLE_TAG}`;

      it('leaves at once while it is idle', async () => {
        const instance = await launch({ fleet: { idleTimeout: 60 } });
        instance.machine.start();
        await instance.machine.until(() => world.hooks.get(instance.id) === 'CONTINUE', 30, 'it is up');
        instance.metadata.set(tag, 'now');
        await instance.machine.off(15);
        expect(instance.machine.console).toContain('recycle: telling the runner to end');
        await expectGone(instance, { hook: 'CONTINUE' });
      });

      it('finishes its task undisturbed, also where jobs may run twice', async () => {
        const instance = await launch({ fleet: { unsafeRetries: true }, task: 'sleep 12' });
        instance.metadata.set(tag, 'now');
        await live(instance);
        expect(instance.machine.console).not.toContain('telling the runner to end');
        expect(instance.heard().finished).toMatchObject([{ outcome: 0 }]);
        await expectGone(instance, { hook: 'CONTINUE' });
      });
    });

    describe('that is reused', () => {
      it('runs task after task, and leaves when none comes', async () => {
        const instance = await launch({ fleet: { reuse: 'continuous', idleTimeout: 8 }, task: 'true' });
        instance.machine.start();
        const finished = () => instance.heard().finished.length;
        await instance.machine.until(() => finished() === 1, 40, 'it has run its first task');
        world.tasks.set(instance.id, { command: 'true' });
        await instance.machine.off(40);
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
        await instance.machine.shows('claimed a task', 30);
        world.tasks.set(instance.id, { command: 'true' });
        await instance.machine.off(60);
        expect(instance.heard()).toMatchObject({ claims: 1, finished: [{ outcome: 0 }] });
        await expectGone(instance, { hook: 'CONTINUE' });
      });
    });

    it('that is too old leaves, whatever runs on it', async () => {
      const instance = await launch({ inputs: { ageLimitSeconds: 8 }, task: 'sleep 100' });
      await live(instance, 30);
      expect(instance.heard().claims).toBe(1);
      expect(instance.heard().finished.map(({ outcome }) => outcome)).not.toContain(0);
      await expectGone(instance, { hook: 'CONTINUE' });
    });

    it('whose boot hangs leaves when it is too old', async () => {
      await world.putObject('scripts/hanging', '#!/bin/sh\nsleep 1000\n');
      const instance = await launch({ inputs: { ageLimitSeconds: 4, installObject: 'scripts/hanging' } });
      await live(instance, 30);
      expect(instance.calls()).toEqual([`${TERMINATE} true`, `${COMPLETE} ABANDON`]);
      await expectGone(instance, { hook: 'ABANDON' });
    });

    it('whose boot takes longer than half its time makes sure that it is still awaited', async () => {
      await world.putObject('scripts/slow', '#!/bin/sh\nsleep 5\n');
      const slow = { fleet: { bootTimeout: 8 }, inputs: { installObject: 'scripts/slow' }, task: 'true' };
      const awaited = await launch(slow);
      await live(awaited);
      expect(awaited.calls()[0]).toBe('RecordLifecycleActionHeartbeat');
      await expectGone(awaited, { hook: 'CONTINUE' });

      const late = await launch(slow);
      world.hooks.set(late.id, 'ABANDON');
      await live(late);
      expect(late.heard().claims).toBe(0);
      expect(late.calls()).toContain(`${TERMINATE} true`);
    });

    describe('that is rebooted', () => {
      it('finishes its task first, and leaves', async () => {
        const instance = await launch({ task: 'sleep 8' });
        instance.machine.start();
        await instance.machine.until(() => world.hooks.get(instance.id) === 'CONTINUE', 30, 'it is up');
        await instance.machine.run('systemctl', '--no-block', 'reboot');
        await instance.machine.off(40);
        expect(instance.heard()).toMatchObject({ claims: 1, finished: [{ outcome: 0 }] });
        expect(instance.calls()).toEqual([`${COMPLETE} CONTINUE`, `${TERMINATE} true`]);
        await expectGone(instance, { hook: 'CONTINUE' });
      });

      it('by a power cut leaves without another task: it is no clean machine', async () => {
        const instance = await launch({ task: 'sleep 100' });
        instance.machine.start();
        await instance.machine.until(() => world.hooks.get(instance.id) === 'CONTINUE', 30, 'it is up');
        await instance.machine.cut();
        world.tasks.set(instance.id, { command: 'true' });
        await live(instance);
        expect(instance.machine.console).toContain('rebooted after its runner had started');
        expect(instance.heard()).toMatchObject({ claims: 1, finished: [] });
        await expectGone(instance, { hook: 'CONTINUE' });
      });

      it('by its install script boots again, and makes sure that it is still awaited', async () => {
        await world.putObject(
          'scripts/rebooting',
          '#!/bin/sh\n[ -e /var/lib/again ] && exit 0\ntouch /var/lib/again\nsystemctl reboot --force\nsleep 60\n',
        );
        const instance = await launch({ inputs: { installObject: 'scripts/rebooting' }, task: 'true' });
        await live(instance);
        expect(instance.heard().claims).toBe(1);
        expect(instance.calls()[0]).toBe('RecordLifecycleActionHeartbeat');
        await expectGone(instance, { hook: 'CONTINUE' });
      });
    });

    describe('and its metadata', () => {
      const ASK = `for address in 169.254.169.254 '[fd00:ec2::254]'; do
  curl -sS -m 3 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' -o /dev/null -w '%{http_code}\\n' \\
    "http://$address/latest/api/token" 2>&1
done`;

      it('are refused to tasks, by IPv4 and IPv6, and not to its own scripts', async () => {
        const instance = await launch({ task: ASK });
        await live(instance);
        expect(instance.heard().finished[0]?.output).not.toMatch(/^200$/m);
        expect(instance.heard().finished[0]?.output.match(/^000$/gm)).toHaveLength(2);
        await expectGone(instance, { hook: 'CONTINUE' });
      });

      it('are open to tasks if the fleet says so', async () => {
        const instance = await launch({ task: ASK, fleet: { allowInstanceMetadata: true } });
        await live(instance);
        expect(instance.heard().finished[0]?.output).toBe('200\n200\n');
      });

      it('end at the instance: a container behind it gets no answer', async () => {
        const instance = await launch({ task: 'sleep 8', fleet: { allowInstanceMetadata: true } });
        instance.machine.start();
        await instance.machine.shows('claimed a task', 30);
        const script = `ip netns add box
ip link add outer type veth peer name inner netns box
ip address add 172.30.0.1/24 dev outer; ip link set outer up
ip -n box address add 172.30.0.2/24 dev inner; ip -n box link set inner up
ip -n box route add default via 172.30.0.1
nft -f - <<'RULES'
table ip nat {
  chain out { type nat hook postrouting priority 100; ip saddr 172.30.0.0/24 masquerade; }
}
RULES
ip netns exec box curl -s -m 2 -o /dev/null -w '%{http_code} ' ${world.circleciUrl}
ip netns exec box curl -s -m 2 -X PUT -o /dev/null -w '%{http_code}' http://169.254.169.254/latest/api/token
true`;
        expect(await instance.machine.run('sh', '-c', script)).toBe('401 000');
        await instance.machine.off(40);
      });
    });

    describe('whose fleet wants logs', () => {
      const logs = { object: 'scripts/ship-logs', groupName: '/circleci-runners/linux' };

      it('sends them to CloudWatch Logs, from the start of its boot', async () => {
        await world.putObject(logs.object, SHIP_LOGS);
        const instance = await launch({ inputs: { logs }, task: 'sleep 8' });
        await live(instance);
        const shipped = world.shipped.find((text) => text.includes(instance.id));
        expect(shipped).toContain('"log_group_name": "/circleci-runners/linux"');
        expect(shipped).toContain('boot: identity: ');
        await expectGone(instance, { hook: 'CONTINUE' });
      });

      it('works without them if the agent cannot be had', async () => {
        await world.putObject(logs.object, SHIP_LOGS);
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
        await world.putObject(logs.object, SHIP_LOGS);
        const instance = await launch({ inputs: { logs, runnerSecretName: 'runners/none' } });
        await live(instance);
        expect(world.shipped.find((text) => text.includes(instance.id))).toContain(
          'ResourceNotFoundException',
        );
        await expectGone(instance, { hook: 'ABANDON' });
      });
    });

    it('installs the release that the fleet pins', async () => {
      const instance = await launch({
        fleet: { runner: { version: '3.1.13', sha256: world.runnerSha256 } },
        task: 'id -un',
      });
      await live(instance);
      expect(instance.heard().finished).toMatchObject([{ outcome: 0, output: 'circleci\n' }]);
      await expectGone(instance, { hook: 'CONTINUE' });
    });

    it('of an image of another instance is what its own user data say, and installs nothing that is there', async () => {
      const installSha256 = '5ca1ab1e'.padEnd(64, '0');
      const inputs = { installObject: 'scripts/none', installSha256 };
      const instance = await launch({ inputs, task: 'id -un' });
      instance.machine.write('var/lib/autoscaler/instance', 'INSTANCE_ID=i-0fedcba9876543210\n', 0o644);
      instance.machine.write(`var/lib/autoscaler/installed-${installSha256}`, '', 0o644);
      await live(instance);
      expect(instance.machine.console).not.toContain('install script');
      expect(instance.heard().finished).toMatchObject([{ outcome: 0, output: 'circleci\n' }]);
      await expectGone(instance, { hook: 'CONTINUE' });
    });

    it('of Amazon Linux installs with dnf', async () => {
      const instance = await launch({ task: 'id -un' });
      await instance.machine.inspect('rm', '-r', '/usr/bin/apt-get', '/usr/bin/dpkg', '/etc/apt');
      instance.machine.write('usr/bin/dnf', DNF, 0o755);
      await live(instance);
      expect(instance.heard().finished).toMatchObject([{ outcome: 0, output: 'circleci\n' }]);
      await expectGone(instance, { hook: 'CONTINUE' });
    });

    it('has units that systemd finds no fault with', async () => {
      const instance = await launch();
      await live(instance);
      const units = ['boot', 'runner', 'leave', 'watch'].map(
        (name) => `/etc/systemd/system/autoscaler-${name}.service`,
      );
      expect(
        await instance.machine.inspect('sh', '-c', `systemd-analyze verify --man=no ${units.join(' ')} 2>&1`),
      ).toBe('');
    });
  });
