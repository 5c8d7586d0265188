import { expect, it } from 'vitest';
import { RECYCLE_TAG } from '../../functions/lib/tags.ts';
import { describeScript, Instance, type InstanceOptions, pausesEndAfter } from './instance.ts';

const INTERRUPTION = 'spot/instance-action';
const REBALANCE = 'events/recommendations/rebalance';
const interruption = '{"action": "terminate", "time": "2026-01-05T08:02:00Z"}';
const recommendation = '{"noticeTime": "2026-01-05T08:00:00Z"}';

const RECYCLED = { [`tags/instance/${RECYCLE_TAG}`]: '2026-01-05T08:00:00.000Z' };

const STOPS_RUNNER = 'stop --no-block autoscaler-runner.service';

/** The commands that show a runner, and its children as pgrep finds them. */
const runner = (pgrep: string, main = '4711') => ({
  systemctl: `case $1 in show) echo ${main} ;; esac`,
  pgrep,
});

const stops = (instance: Instance) =>
  instance.commands('systemctl').filter((words) => words.startsWith('stop '));

interface Case {
  case: string;
  metadata?: InstanceOptions['metadata'];
  /** Whether the runner has a child. */
  busy: boolean;
  /** Which units systemctl stops. */
  signals: string[];
  replaced: boolean;
  /** How often it pauses before it asks; the fifth pause ends the test. */
  pauses: number;
}

describeScript('watch', () => {
  it.each<Case>([
    {
      case: 'keeps asking while there is no notice',
      busy: true,
      signals: [],
      replaced: false,
      pauses: 5,
    },
    {
      case: 'ends an idle runner that is interrupted, which lowers the desired capacity as ever',
      metadata: { [INTERRUPTION]: interruption },
      busy: false,
      signals: [STOPS_RUNNER],
      replaced: false,
      pauses: 1,
    },
    {
      case: 'ends a busy runner that is interrupted, and has it replaced',
      metadata: { [INTERRUPTION]: interruption },
      busy: true,
      signals: [STOPS_RUNNER],
      replaced: true,
      pauses: 1,
    },
    {
      case: 'ends an idle runner at a rebalance recommendation',
      metadata: { [REBALANCE]: recommendation },
      busy: false,
      signals: [STOPS_RUNNER],
      replaced: false,
      pauses: 1,
    },
    {
      case: 'leaves a busy runner alone at a rebalance recommendation, and goes on watching',
      metadata: { [REBALANCE]: recommendation },
      busy: true,
      signals: [],
      replaced: false,
      pauses: 5,
    },
    {
      case: 'ends a busy runner whose recommendation becomes an interruption',
      metadata: { [REBALANCE]: recommendation, [INTERRUPTION]: [undefined, undefined, interruption] },
      busy: true,
      signals: [STOPS_RUNNER],
      replaced: true,
      pauses: 3,
    },
    {
      case: 'has a runner replaced that is recommended and interrupted at once',
      metadata: { [REBALANCE]: recommendation, [INTERRUPTION]: interruption },
      busy: true,
      signals: [STOPS_RUNNER],
      replaced: true,
      pauses: 1,
    },
    {
      case: 'ends an idle runner that is recycled',
      metadata: RECYCLED,
      busy: false,
      signals: [STOPS_RUNNER],
      replaced: false,
      pauses: 1,
    },
    {
      case: 'leaves a busy runner alone that is recycled, and goes on watching',
      metadata: RECYCLED,
      busy: true,
      signals: [],
      replaced: false,
      pauses: 5,
    },
    {
      case: 'ends a busy runner that is recycled and then interrupted',
      metadata: { ...RECYCLED, [INTERRUPTION]: [undefined, interruption] },
      busy: true,
      signals: [STOPS_RUNNER],
      replaced: true,
      pauses: 2,
    },
  ])('$case', async ({ metadata = {}, busy, signals, replaced, pauses }) => {
    const instance = await Instance.start({
      metadata,
      commands: { sleep: pausesEndAfter(4), ...runner(busy ? 'echo 4712' : 'exit 1') },
    });
    const { status } = await instance.run('watch');
    expect(stops(instance)).toEqual(signals);
    expect(instance.marked('replace')).toBe(replaced);
    expect(instance.commands('sleep')).toEqual(Array.from({ length: pauses }, () => '5'));
    expect(status).toBe(0);
  });

  it.each([
    { case: 'children', main: '4711', asked: ['--oldest --parent 4711'], replaced: true },
    // Of process 0, the kernel's, pgrep would find children.
    { case: 'no process at all', main: '0', asked: [], replaced: false },
    {
      case: 'a state that systemd does not tell, which may be busy,',
      main: '; exit 1',
      asked: [],
      replaced: true,
    },
  ])('takes a runner with $case for what it is', async ({ main, asked, replaced }) => {
    const instance = await Instance.start({
      metadata: { [INTERRUPTION]: interruption },
      commands: runner('echo 4712', main),
    });
    await instance.run('watch');
    expect(instance.commands('pgrep')).toEqual(asked);
    expect(instance.marked('replace')).toBe(replaced);
  });

  it.each([
    {
      case: 'and tells when it took its first task',
      child: 'echo 4712',
      age: 'echo " 3"',
      claimed: '2',
    },
    {
      case: 'and reports nothing of a runner that waits',
      child: 'exit 1',
      age: 'exit 1',
      claimed: undefined,
    },
  ])('watches $case', async ({ child, age, claimed }) => {
    const instance = await Instance.start({
      commands: { ...runner(child), sleep: pausesEndAfter(4), ps: age },
    });
    const { stderr } = await instance.run('watch');
    const lines = stderr.split('\n').filter((line) => line.includes('claim'));
    expect(lines).toEqual(claimed === undefined ? [] : [`watch: claim: ${claimed}`]);
  });

  it('marks the replacement before it ends the runner, whose end reads the mark', async () => {
    const instance = await Instance.start({
      metadata: { [INTERRUPTION]: interruption },
      commands: {
        ...runner('echo 4712'),
        systemctl: `case $1 in show) echo 4711 ;; *) cat "$STATE/replace" >"$STATE/as-it-was" ;; esac`,
      },
    });
    await instance.run('watch');
    expect(instance.marked('as-it-was')).toBe(true);
  });

  it('says what happened to the runner, and why', async () => {
    const instance = await Instance.start({
      metadata: { [INTERRUPTION]: interruption },
      commands: runner('exit 1'),
    });
    const { stdout, stderr } = await instance.run('watch');
    expect(stdout).toContain(interruption);
    expect(stderr).toBe('watch: interruption: telling the runner to end\n');
  });

  it('ends a runner that is recycled once its task is over', async () => {
    const instance = await Instance.start({
      metadata: RECYCLED,
      commands: {
        sleep: pausesEndAfter(9),
        ...runner('[ "$(grep -c "" "$STATE/pauses")" -lt 4 ]'),
      },
    });
    const { stdout, stderr } = await instance.run('watch');
    expect(instance.commands('sleep')).toHaveLength(4);
    expect(stops(instance)).toEqual([STOPS_RUNNER]);
    expect(instance.marked('replace')).toBe(false);
    expect({ stdout, stderr }).toEqual({ stdout: '', stderr: 'watch: recycle: telling the runner to end\n' });
  });

  it('outlives metadata that do not answer', async () => {
    const instance = await Instance.start({
      environment: { IMDS_URL: 'http://127.0.0.1:9' },
      commands: { sleep: pausesEndAfter(3), ...runner('exit 1') },
    });
    await instance.run('watch');
    expect(instance.commands('sleep')).toHaveLength(4);
    expect(stops(instance)).toEqual([]);
  });
});
