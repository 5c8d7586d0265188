import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { type Answer, type InstanceCall, refusal, success } from '../support/instance-aws.ts';
import {
  describeScript,
  INSTANCE_ID,
  Instance,
  type InstanceOptions,
  inTurn,
  pausesEndAfter,
  realPath,
  TARGET_STATE,
} from './instance.ts';

const TOKEN = 'resource-class-token.v1_0123456789abcdef';

const secret = (value: object): Answer => ({ status: 200, body: JSON.stringify(value) });

/** The answers of AWS to boots, other than success. */
const aws =
  (answers: Record<string, () => Answer> = {}) =>
  ({ action }: InstanceCall): Answer =>
    answers[action]?.() ?? (action === 'GetSecretValue' ? secret({ SecretString: TOKEN }) : success(action));

const told = ({ action, parameters }: InstanceCall) =>
  [action, parameters.LifecycleActionResult].filter((word) => word !== undefined).join(' ');

const COMMANDS = {
  // Only the runner is active, once it was started.
  systemctl: `case "$*" in
  'start autoscaler-runner.service') echo >"$STATE/runs" ;;
  'is-active --quiet autoscaler-runner.service') test -e "$STATE/runs" ;;
  is-active*) exit 3 ;;
esac`,
  'systemd-run': '',
  // There is no user circleci here.
  install: `case "$*" in *'-o circleci'*) for folder; do :; done; set -- -d -m 0750 "$folder" ;; esac
exec ${realPath('install')} "$@"`,
};

/** An instance that is prepared already: only root can install what it takes. */
const prepared = (options: InstanceOptions = {}) =>
  Instance.start({
    answer: aws(),
    ...options,
    kept: { prepared: ' 3.1.13\n', ...options.kept },
    commands: { ...COMMANDS, ...options.commands },
    environment: {
      AWS_REGION: '',
      INSTANCE_ID: '',
      RUNNER_SECRET_NAME: 'acme/runner',
      CIRCLECI_URL: 'https://runner.circleci.com',
      BOOT_TIMEOUT_SECONDS: '600',
      IDLE_TIMEOUT_SECONDS: '300',
      MAX_RUN_TIME_SECONDS: '18000',
      AGE_LIMIT_SECONDS: '19500',
      RUNNER_MODE: 'single-task',
      UNSAFE_RETRIES: 'false',
      INSTALL_OBJECT: '',
      RUNNER_VERSION: '3.1.13',
      ...options.environment,
    },
  });

const STARTS = ['start autoscaler-runner.service', 'start autoscaler-watch.service'];

const starts = (instance: Instance) =>
  instance.commands('systemctl').filter((words) => words.startsWith('start '));

describeScript('boot', () => {
  it('starts a runner, and completes the launch once it stays up', async () => {
    const instance = await prepared();
    const { status } = await instance.run('boot');
    expect(status).toBe(0);
    expect(starts(instance)).toEqual(STARTS);
    expect(instance.calls.map(told)).toEqual(['GetSecretValue', 'CompleteLifecycleAction CONTINUE']);
    expect(instance.commands('sleep')).toEqual(['3']);
    for (const mark of ['begun', 'started', 'launched']) expect(instance.marked(mark)).toBe(true);
  });

  it('says how many milliseconds each phase took', async () => {
    const instance = await prepared({ metadata: { [TARGET_STATE]: ['Standby', 'InService'] } });
    const start = performance.now();
    const { stderr } = await instance.run('boot');
    const elapsed = performance.now() - start;
    const phases = [...stderr.matchAll(/^boot: (.+): (\d+) ms$/gm)];
    expect(phases.map(([, name]) => name)).toEqual([
      'identity',
      'wait for InService',
      'configuration',
      'runner start',
    ]);
    const took = phases.map(([, , milliseconds]) => Number(milliseconds));
    expect(took[0]).toBeGreaterThan(0);
    expect(took.reduce((sum, milliseconds) => sum + milliseconds, 0)).toBeLessThanOrEqual(elapsed);
  });

  it('tells the units that follow who and where the instance is', async () => {
    const instance = await prepared({ metadata: { 'placement/region': 'eu-north-1' } });
    await instance.run('boot');
    expect(readFileSync(join(instance.state, 'instance'), 'utf8')).toBe(
      `AWS_REGION=eu-north-1\nINSTANCE_ID=${INSTANCE_ID}\n`,
    );
  });

  it('has the runner wait for as long as it draws', async () => {
    const instance = await prepared({ environment: { IDLE_TIMEOUT_SECONDS: '3600-RANDOM%901' } });
    await instance.run('boot');
    const text = readFileSync(join(instance.config, 'runner.yaml'), 'utf8');
    const seconds = Number(/^ {2}idle_timeout: (\d+)s$/m.exec(text)?.[1]);
    expect(seconds).toBeGreaterThanOrEqual(2_700);
    expect(seconds).toBeLessThanOrEqual(3_600);
  });

  it('configures a runner for one task, for nobody else to read', async () => {
    const instance = await prepared({
      environment: { UNSAFE_RETRIES: 'true', CIRCLECI_URL: 'https://circleci.acme.example' },
    });
    await instance.run('boot');
    const file = join(instance.config, 'runner.yaml');
    const text = readFileSync(file, 'utf8');
    for (const line of [
      `  auth_token: "${TOKEN}"`,
      '  url: "https://circleci.acme.example"',
      `  name: "${INSTANCE_ID}"`,
      '  mode: single-task',
      '  idle_timeout: 300s',
      '  max_run_time: 18000s',
      '  enable_unsafe_retries: true',
    ]) {
      expect(text.split('\n')).toContain(line);
    }
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(statSync(instance.config).mode & 0o777).toBe(0o700);
  });

  it('shows the token on no command line, and says it nowhere', async () => {
    const instance = await prepared();
    const { stdout, stderr } = await instance.run('boot');
    expect(instance.commands().join('\n')).not.toContain(TOKEN);
    expect(stdout + stderr).not.toContain(TOKEN);
  });

  it('fails at once if its runner had started', async () => {
    const instance = await prepared({ marks: ['started'] });
    const { status, stderr } = await instance.run('boot');
    expect(status).toBe(1);
    expect(stderr).toContain('boot: rebooted after its runner had started\n');
    expect(instance.commands('systemctl')).toEqual([]);
    expect(instance.calls).toEqual([]);
  });

  it('goes on if the runner had started on the instance whose image this one has', async () => {
    const instance = await prepared({ kept: { started: 'i-0fedcba9876543210\n' } });
    expect((await instance.run('boot')).status).toBe(0);
    expect(starts(instance)).toEqual(STARTS);
  });

  it('limits its age before anything can fail', async () => {
    const instance = await prepared({ answer: () => refusal('AccessDeniedException', 'no') });
    expect((await instance.run('boot')).status).toBe(1);
    expect(instance.commands('systemd-run')).toEqual([
      '--quiet --unit=autoscaler-leave.service --on-active=19500',
    ]);
  });

  it('configures a runner for task after task', async () => {
    const instance = await prepared({ environment: { RUNNER_MODE: 'continuous' } });
    expect((await instance.run('boot')).status).toBe(0);
    expect(readFileSync(join(instance.config, 'runner.yaml'), 'utf8')).toContain('\n  mode: continuous\n');
  });

  it('does not limit its age anew if it is limited', async () => {
    const instance = await prepared({ commands: { systemctl: '' } });
    await instance.run('boot');
    expect(instance.commands('systemctl')).toContain('is-active --quiet autoscaler-leave.timer');
    expect(instance.commands('systemd-run')).toEqual([]);
  });

  it('has the launch wait for a runner whose boot began before', async () => {
    const instance = await prepared({ marks: ['begun'] });
    await instance.run('boot');
    expect(instance.calls.map(told)).toEqual([
      'GetSecretValue',
      'RecordLifecycleActionHeartbeat',
      'CompleteLifecycleAction CONTINUE',
    ]);
  });

  it('starts no runner that the launch does not wait for', async () => {
    const answer = aws({
      RecordLifecycleActionHeartbeat: () => refusal('ValidationError', 'No active hook'),
    });
    const instance = await prepared({ marks: ['begun'], answer });
    expect((await instance.run('boot')).status).not.toBe(0);
    expect(instance.calls.filter(({ action }) => action === 'RecordLifecycleActionHeartbeat')).toHaveLength(
      4,
    );
    expect(starts(instance)).toEqual([]);
    expect(instance.marked('started')).toBe(false);
  });

  it('completes the launch when AWS can hear it', async () => {
    const answer = inTurn(refusal('Throttling', 'Rate exceeded'), success('CompleteLifecycleAction'));
    const instance = await prepared({ answer: aws({ CompleteLifecycleAction: answer }) });
    const { status, stderr } = await instance.run('boot');
    expect(status).toBe(0);
    expect(instance.calls.map(told).filter((call) => call.endsWith(' CONTINUE'))).toHaveLength(2);
    expect(instance.commands('sleep')).toEqual(['3', '5']);
    expect(stderr).toContain('the launch cannot be completed yet: <ErrorResponse');
    expect(instance.marked('launched')).toBe(true);
  });

  it('completes no launch of a runner that ended at once', async () => {
    const instance = await prepared({ commands: { systemctl: 'case "$*" in is-active*) exit 3 ;; esac' } });
    expect((await instance.run('boot')).status).toBe(0);
    expect(instance.calls.map(told)).toEqual(['GetSecretValue']);
    expect(instance.marked('launched')).toBe(false);
  });

  it.each([
    { case: 'as it ends', status: 200, ends: 0 },
    { case: 'and does not fail if they cannot be had', status: 403, ends: 0 },
  ])('ships its logs last, $case', async ({ status, ends }) => {
    const answer = aws({ GetObject: () => ({ status, body: '#!/bin/sh\necho shipped\n' }) });
    const instance = await prepared({ answer, environment: { LOGS_OBJECT: 'assets/logs.sh' } });
    const ended = await instance.run('boot');
    expect(ended.status).toBe(ends);
    expect(ended.stdout).toBe(status === 200 ? 'shipped\n' : '');
    expect(instance.calls.map(told).slice(0, 3)).toEqual([
      'GetSecretValue',
      'CompleteLifecycleAction CONTINUE',
      'GetObject',
    ]);
  });
});

describeScript('boot from an image', () => {
  const SHA256 = 'c0ffee'.padEnd(64, '0');
  const INSTALLED = `installed-${SHA256}`;

  /** An instance that has to be prepared, without what only root can do. */
  const unprepared = (options: InstanceOptions = {}) =>
    prepared({
      ...options,
      answer: aws({ GetObject: () => ({ status: 200, body: '#!/bin/sh\necho installing\n' }) }),
      kept: { prepared: '', ...options.kept },
      commands: { nft: '', id: '', ...options.commands },
      environment: {
        APT: '/nowhere',
        INSTALL_OBJECT: 'assets/install.sh',
        INSTALL_SHA256: SHA256,
        RUNNER_VERSION: '',
        ...options.environment,
      },
    });

  const RUNNER = { 'circleci-runner': '' };
  /** What the installation of the pinned release leaves behind, on an instance with that runner. */
  async function pinned(): Promise<Instance> {
    const instance = await unprepared({ commands: RUNNER, environment: { RUNNER_VERSION: '3.1.13' } });
    writeFileSync(join(instance.lib, 'install-runner'), '#!/bin/sh\nexit 0\n', { mode: 0o755 });
    return instance;
  }

  it('that has run the very install script and has a runner takes both as they are', async () => {
    const instance = await unprepared({ kept: { [INSTALLED]: '' }, commands: RUNNER });
    const { status, stdout, stderr } = await instance.run('boot');
    expect(status).toBe(0);
    expect(stdout).not.toContain('installing');
    expect(stderr).not.toMatch(/install script|runner package/);
    expect(instance.calls.map(told)).not.toContain('GetObject');
    expect(starts(instance)).toEqual(STARTS);
  });

  it('that has run another install script runs this one, and says so for images of it', async () => {
    const instance = await unprepared({ kept: { 'installed-another': '' }, commands: RUNNER });
    const { status, stdout, stderr } = await instance.run('boot');
    expect(status).toBe(0);
    expect(stdout).toContain('installing');
    expect(stderr).toMatch(/^boot: install script: \d+ ms$/m);
    expect(existsSync(join(instance.state, INSTALLED))).toBe(true);
  });

  it('says nothing for images of it if the install script failed', async () => {
    const instance = await unprepared({ commands: { ...RUNNER, timeout: 'exit 1' } });
    expect((await instance.run('boot')).status).not.toBe(0);
    expect(existsSync(join(instance.state, INSTALLED))).toBe(false);
    expect(starts(instance)).toEqual([]);
  });

  it('installs the pinned release once, whatever runner was there', async () => {
    const instance = await pinned();
    expect((await instance.run('boot')).stderr).toContain('boot: runner package: ');
    writeFileSync(join(instance.state, 'prepared'), '');
    rmSync(join(instance.state, 'started'));
    expect((await instance.run('boot')).stderr).not.toContain('runner package');
  });

  it.each([
    { what: 'another version', environment: { RUNNER_VERSION: '3.1.14' }, replaces: false },
    { what: 'the version, but not its runner', environment: {}, replaces: true },
  ])('installs the pinned release if the image has $what', async ({ environment, replaces }) => {
    const instance = await pinned();
    await instance.run('boot');
    writeFileSync(join(instance.state, 'prepared'), '');
    rmSync(join(instance.state, 'started'));
    if (replaces) writeFileSync(join(instance.folder, 'bin/circleci-runner'), '#!/bin/sh\n');
    expect((await instance.run('boot', environment)).stderr).toContain('boot: runner package: ');
  });

  it('of another instance leaves it to the user data of this one', async () => {
    const other = { instance: 'AWS_REGION=eu-west-1\nINSTANCE_ID=i-0fedcba9876543210\n' };
    const instance = await prepared({ kept: other });
    const { status, stderr } = await instance.run('boot');
    expect(status).toBe(0);
    expect(stderr).toContain('boot: an image of another instance: its own user data comes first\n');
    expect(instance.commands('systemctl')).toEqual([]);
    expect(instance.calls).toEqual([]);
    rmSync(join(instance.state, 'instance'));
    await instance.run('boot');
    expect(starts(instance)).toEqual(STARTS);
  });
});

describeScript('boot in a warm pool', () => {
  it('completes the launch once, and waits to be in service', async () => {
    const warm = Array.from({ length: 4 }, () => 'Warmed:Stopped');
    const instance = await prepared({ metadata: { [TARGET_STATE]: [...warm, 'InService'] } });
    expect((await instance.run('boot')).status).toBe(0);
    expect(instance.calls.map(told)).toEqual([
      'CompleteLifecycleAction CONTINUE',
      'GetSecretValue',
      'CompleteLifecycleAction CONTINUE',
    ]);
    expect(instance.commands('sleep')).toEqual(['1', '1', '1', '3']);
    expect(starts(instance)).toEqual(STARTS);
  });

  it('says again that it is warm until AWS hears it', async () => {
    const answer = inTurn(refusal('Throttling', 'Rate exceeded'), success('CompleteLifecycleAction'));
    const warm = Array.from({ length: 5 }, () => 'Warmed:Stopped');
    const instance = await prepared({
      metadata: { [TARGET_STATE]: [...warm, 'InService'] },
      answer: aws({ CompleteLifecycleAction: answer }),
    });
    await instance.run('boot');
    expect(instance.calls.map(told)).toEqual([
      'CompleteLifecycleAction CONTINUE',
      'CompleteLifecycleAction CONTINUE',
      'GetSecretValue',
      'CompleteLifecycleAction CONTINUE',
    ]);
  });

  it('has no age, no token and no begun launch while it waits', async () => {
    const instance = await prepared({
      metadata: { [TARGET_STATE]: 'Warmed:Running' },
      commands: { sleep: pausesEndAfter(3) },
    });
    await instance.run('boot');
    expect(instance.commands('systemd-run')).toEqual([]);
    expect(instance.marked('begun')).toBe(false);
    expect(instance.calls.map(told)).toEqual(['CompleteLifecycleAction CONTINUE']);
    expect(existsSync(join(instance.config, 'runner.yaml'))).toBe(false);
  });

  it('waits in standby', async () => {
    const instance = await prepared({ metadata: { [TARGET_STATE]: ['Standby', 'Standby', 'InService'] } });
    expect((await instance.run('boot')).status).toBe(0);
    expect(instance.commands('sleep')).toEqual(['1', '3']);
  });

  it.each([
    {
      case: 'the group terminates it meanwhile',
      states: ['Warmed:Stopped', 'Warmed:Stopped', 'Terminated'],
      says: 'the group wants this instance Terminated',
    },
    {
      case: 'no group says anything of it in the time for its boot',
      states: [undefined],
      environment: { BOOT_TIMEOUT_SECONDS: '0' },
      says: 'no group wants this instance in service',
    },
  ])('fails if $case', async ({ states, environment = {}, says }) => {
    const instance = await prepared({ metadata: { [TARGET_STATE]: states }, environment });
    const { status, stderr } = await instance.run('boot');
    expect(status).toBe(1);
    expect(stderr).toContain(`boot: ${says}\n`);
    expect(starts(instance)).toEqual([]);
  });
});

describeScript('the token', () => {
  it.each([
    {
      case: 'AWS refuses the secret',
      answer: {
        status: 400,
        body: '{"__type":"ResourceNotFoundException","Message":"quoted, with care"}',
      },
      says: 'secret acme/runner: ResourceNotFoundException',
    },
    {
      case: 'the secret has no value',
      answer: secret({ SecretBinary: 'with care' }),
      says: 'the runner secret must be the resource class token',
    },
    {
      case: 'the secret would break the configuration',
      answer: secret({ SecretString: 'with care"\nlogging: {}' }),
      says: 'the runner secret must be the resource class token',
    },
  ])('is tried for four times if $case, which is said without what was read', async ({ answer, says }) => {
    const instance = await prepared({ answer: aws({ GetSecretValue: () => answer }) });
    const { status, stdout, stderr } = await instance.run('boot');
    expect(status).not.toBe(0);
    expect(instance.calls).toEqual(
      Array.from({ length: 4 }, () => ({
        action: 'GetSecretValue',
        parameters: { SecretId: 'acme/runner' },
      })),
    );
    expect(instance.commands('sleep')).toEqual(['1', '2', '4']);
    expect(stderr).toContain(says);
    expect(stdout + stderr).not.toContain('with care');
    expect(starts(instance)).toEqual([]);
  });

  it('may have blanks around it', async () => {
    const instance = await prepared({
      answer: aws({ GetSecretValue: () => secret({ SecretString: ` ${TOKEN}\n` }) }),
    });
    await instance.run('boot');
    expect(readFileSync(join(instance.config, 'runner.yaml'), 'utf8')).toContain(`"${TOKEN}"\n`);
  });
});
