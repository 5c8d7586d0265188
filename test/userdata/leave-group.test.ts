import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { type Answer, type InstanceCall, refusal, success } from '../support/instance-aws.ts';
import { INSTANCE_CREDENTIALS } from '../support/metadata-service.ts';
import {
  describeScript,
  expectPauses,
  goesOn,
  INSTANCE_ID,
  Instance,
  inTurn,
  TARGET_STATE,
} from './instance.ts';

const TERMINATE = 'TerminateInstanceInAutoScalingGroup';

const done = success(TERMINATE);
const throttling = refusal('Throttling', 'Rate exceeded');
const atMinimum = refusal(
  'ValidationError',
  "Currently, desiredSize equals minSize (1). Terminating instance without replacement will violate group's min size constraint. Either set shouldDecrementDesiredCapacity flag to false or lower group's min size.",
);
const notFound = refusal(
  'ValidationError',
  `Instance Id not found - No managed instance found for instance ID: ${INSTANCE_ID}`,
);
const busy = refusal('ScalingActivityInProgress', 'Activity is in progress');
const unwilling = refusal('ValidationError', 'The instance cannot be terminated');

const DECREMENT = `${TERMINATE} true`;
const REPLACE = `${TERMINATE} false`;
const UNHEALTHY = 'SetInstanceHealth Unhealthy';
const CONTINUE = 'CompleteLifecycleAction CONTINUE';
const ABANDON = 'CompleteLifecycleAction ABANDON';

/** A call by what it decides. */
const inWords = ({ action, parameters }: InstanceCall) =>
  `${action} ${parameters.ShouldDecrementDesiredCapacity ?? parameters.HealthStatus ?? parameters.LifecycleActionResult ?? parameters.Path}`;

/** AWS answers attempts to terminate in this order, and everything else as well as it can. */
const terminating = (first: Answer, ...others: Answer[]) => {
  const next = inTurn(first, ...others);
  return (call: InstanceCall) => (call.action === TERMINATE ? next() : success(call.action));
};

const times = <T>(count: number, what: T): T[] => Array.from({ length: count }, () => what);

interface Case {
  case: string;
  /** What the group wants the instance to be, if it is not in service. */
  target?: string | (string | undefined)[];
  marks?: string[];
  /** How the runner ended. */
  result?: string;
  /** What AWS answers attempts to terminate. */
  answers?: [Answer, ...Answer[]];
  calls: string[];
  /** The limits of its random pauses. */
  pauses?: number[];
}

describeScript('leave-group', () => {
  it.each<Case>([
    {
      case: 'lowers the desired capacity, and gives a launch up that was not completed',
      calls: [DECREMENT, ABANDON],
    },
    {
      case: 'leaves a completed launch alone',
      marks: ['launched'],
      calls: [DECREMENT],
    },
    {
      case: 'completes the launch of a runner that ended well, before it leaves',
      result: 'success',
      calls: [CONTINUE, DECREMENT],
    },
    {
      case: 'completes no launch twice',
      marks: ['launched'],
      result: 'success',
      calls: [DECREMENT],
    },
    {
      case: 'gives the launch up of a runner that failed',
      result: 'exit-code',
      calls: [DECREMENT, ABANDON],
    },
    {
      case: 'lets the group replace it at the minimum, without a pause',
      marks: ['launched'],
      answers: [atMinimum, done],
      calls: [DECREMENT, REPLACE],
    },
    {
      case: 'reports itself unhealthy if it cannot be replaced either',
      marks: ['launched'],
      answers: [atMinimum, unwilling],
      calls: [DECREMENT, REPLACE, UNHEALTHY],
    },
    {
      case: 'is patient when AWS throttles, and lowers the desired capacity all the same',
      marks: ['launched'],
      answers: [throttling, throttling, throttling, done],
      calls: times(4, DECREMENT),
      pauses: [1, 2, 4],
    },
    {
      case: 'is patient with activities of the group',
      marks: ['launched'],
      answers: [busy, done],
      calls: times(2, DECREMENT),
      pauses: [1],
    },
    {
      case: 'is patient when AWS fails, then at the minimum lets the group replace it',
      marks: ['launched'],
      answers: [{ status: 500, body: '' }, atMinimum, throttling, done],
      calls: [DECREMENT, DECREMENT, REPLACE, REPLACE],
      pauses: [1, 2],
    },
    {
      case: 'tries no more if the group does not know it',
      answers: [notFound],
      calls: [DECREMENT, ABANDON],
    },
    {
      case: 'has itself replaced if Spot took it from its task',
      marks: ['launched', 'replace'],
      calls: [REPLACE],
    },
    {
      case: 'reports itself unhealthy if it cannot be replaced for Spot',
      marks: ['launched', 'replace'],
      answers: [unwilling],
      calls: [REPLACE, UNHEALTHY],
    },
    {
      case: 'is not terminated by itself if the group terminates it',
      target: 'Terminated',
      marks: ['launched'],
      calls: [],
    },
    {
      case: 'is not terminated by itself if somebody detached it',
      target: 'Detached',
      marks: ['launched'],
      calls: [],
    },
    {
      case: 'does not lower the desired capacity twice if the first answer is lost',
      target: ['InService', 'Terminated'],
      marks: ['launched'],
      answers: [{ status: 503, body: '' }],
      calls: [DECREMENT],
      pauses: [1],
    },
    {
      case: 'gives the launch up in a warm pool, where it cannot be terminated',
      target: 'Warmed:Pending',
      calls: [ABANDON],
    },
    {
      case: 'leaves even if the group says nothing of it',
      target: [undefined],
      marks: ['launched'],
      calls: [DECREMENT],
    },
  ])('$case', async ({ target, marks = [], result, answers = [done], calls, pauses = [] }) => {
    const instance = await Instance.start({
      metadata: target === undefined ? {} : { [TARGET_STATE]: target },
      marks,
      answer: terminating(...answers),
    });
    const { status } = await instance.run(
      'leave-group',
      result === undefined ? {} : { SERVICE_RESULT: result },
    );
    expect(instance.calls.map(inWords)).toEqual(calls);
    expectPauses(instance, pauses);
    expect(status).toBe(0);
    expect(instance.marked('left')).toBe(true);
  });

  it('speaks of this instance, and of the launch hook of its group', async () => {
    const instance = await Instance.start({ answer: terminating(unwilling) });
    await instance.run('leave-group');
    expect(instance.calls).toEqual([
      {
        action: TERMINATE,
        parameters: { InstanceId: INSTANCE_ID, ShouldDecrementDesiredCapacity: 'true' },
      },
      {
        action: TERMINATE,
        parameters: { InstanceId: INSTANCE_ID, ShouldDecrementDesiredCapacity: 'false' },
      },
      {
        action: 'SetInstanceHealth',
        parameters: { InstanceId: INSTANCE_ID, HealthStatus: 'Unhealthy', ShouldRespectGracePeriod: 'false' },
      },
      {
        action: 'CompleteLifecycleAction',
        parameters: {
          InstanceId: INSTANCE_ID,
          AutoScalingGroupName: 'circleci-runners-arm',
          LifecycleHookName: 'launch',
          LifecycleActionResult: 'ABANDON',
        },
      },
    ]);
  });

  it('says why it cannot leave', async () => {
    const instance = await Instance.start({ answer: terminating(atMinimum, done) });
    const { stderr } = await instance.run('leave-group');
    expect(stderr).toContain('leave-group: leaving group circleci-runners-arm\n');
    expect(stderr).toContain('cannot leave (decrement: true): ');
    expect(stderr).toContain('desiredSize equals minSize (1)');
  });

  it('finds out where and who it is if the boot did not get that far', async () => {
    const regions: unknown[] = [];
    const instance = await Instance.start({
      metadata: { 'placement/region': 'eu-north-1' },
      marks: ['launched'],
      answer: ({ action }, { authorization }) => {
        regions.push(String(authorization).split('/')[2]);
        return success(action);
      },
    });
    await instance.run('leave-group', { AWS_REGION: '', INSTANCE_ID: '' });
    expect(instance.calls.map(inWords)).toEqual([DECREMENT]);
    expect(instance.calls[0]?.parameters.InstanceId).toBe(INSTANCE_ID);
    expect(regions).toEqual(['eu-north-1']);
  });

  it('leaves even if it can remember nothing', async () => {
    const instance = await Instance.start();
    rmSync(instance.state, { recursive: true });
    await instance.run('leave-group');
    expect(instance.calls.map(inWords)).toEqual([DECREMENT, ABANDON]);
  });

  it('does nothing the second time', async () => {
    const instance = await Instance.start();
    await instance.run('leave-group');
    const { status } = await instance.run('leave-group');
    expect(status).toBe(0);
    expect(instance.calls.map(inWords)).toEqual([DECREMENT, ABANDON]);
  });

  it('leaves again on an instance that was made from the image of one that left', async () => {
    const instance = await Instance.start();
    await instance.run('leave-group', { INSTANCE_ID: 'i-0fedcba9876543210' });
    await instance.run('leave-group');
    expect(instance.calls.map(inWords)).toEqual([DECREMENT, ABANDON, DECREMENT, ABANDON]);
  });

  it('leaves once if two run at the same time', async () => {
    const instance = await Instance.start({
      marks: ['launched'],
      answer: async ({ action }) => {
        // The first waits for its answer until the second has come as far as it may.
        for (let tries = 0; instance.commands('flock').length < 2 && tries < 100; tries += 1) await pause(50);
        await pause(300);
        return success(action);
      },
    });
    const both = await Promise.all([instance.run('leave-group'), instance.run('leave-group')]);
    expect(both.map(({ status }) => status)).toEqual([0, 0]);
    expect(instance.calls.map(inWords)).toEqual([DECREMENT]);
  });

  it('is patient for minutes, because an instance that only powers off is replaced', async () => {
    const instance = await Instance.start({
      answer: terminating(throttling),
      commands: { sleep: goesOn('16') },
    });
    const { status } = await instance.run('leave-group');
    const calls = instance.calls.map(inWords);
    const attempts = calls.filter((call) => call === DECREMENT).length;
    expect(calls).toEqual([...times(attempts, DECREMENT), UNHEALTHY, ABANDON]);
    expect(attempts).toBeGreaterThan(20);
    expect(instance.elapsed).toBeGreaterThanOrEqual(420);
    expect(status).toBe(0);
  });

  it.each([
    { case: 'that works', body: '', pauses: ['3'] },
    { case: 'that fails', body: 'exit 1', pauses: [] },
  ])('runs the script that ships logs first, $case', async ({ body, pauses }) => {
    const instance = await Instance.start({
      environment: { LOG_GROUP_NAME: '/circleci-runners/arm/instances' },
      commands: {
        timeout: `[ "$*" = "-k 10 60 $LIB/ship-logs" ] || exit 9; echo >"$STATE/shipped"; ${body}`,
      },
    });
    const shipped: boolean[] = [];
    instance.answer = ({ action }) => {
      shipped.push(existsSync(join(instance.state, 'shipped')));
      return success(action);
    };
    await instance.run('leave-group', { SERVICE_RESULT: 'success' });
    expect(instance.calls.map(inWords)).toEqual([CONTINUE, DECREMENT]);
    expect(shipped).toEqual([true, true]);
    expect(instance.commands('sleep')).toEqual(pauses);
  });

  it.each([
    { case: 'the metadata are dead', hanging: '/latest/', takes: '0' },
    { case: 'the metadata hang', hanging: '/latest/', takes: 'm * (retries + 1) + (1 << retries) - 1' },
    { case: 'AWS hangs', hanging: '--aws-sigv4', takes: 'm' },
  ])('ends in the time that its unit has, if $case', async ({ hanging, takes }) => {
    const instance = await Instance.start({
      environment: { LOG_GROUP_NAME: '/circleci-runners/arm/instances' },
      commands: {
        timeout: goesOn('70'),
        // curl's own retries double their pauses, from 1 s.
        curl: `case "$*" in
  *'${hanging}'*)
    m=0 retries=0
    while [ $# -gt 0 ]; do
      case $1 in -m) m=$2 ;; --retry) retries=$2 ;; esac
      shift
    done
    ${goesOn(takes)}
    exit 28 ;;
  *security-credentials/?*) echo '${JSON.stringify(INSTANCE_CREDENTIALS)}' ;;
  *) echo whatever ;;
esac`,
      },
    });
    const { status } = await instance.run('leave-group', {
      IMDS_URL: '',
      AWS_REGION: '',
      INSTANCE_ID: '',
      SERVICE_RESULT: 'success',
    });
    expect(status).toBe(0);
    const unit = readFileSync('userdata/autoscaler-leave.service', 'utf8');
    expect(instance.elapsed).toBeGreaterThan(420);
    expect(instance.elapsed).toBeLessThan(60 * Number(/^TimeoutStartSec=(\d+)min$/m.exec(unit)?.[1]));
  });
});
