import { createHash } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { parse } from 'yaml';
import { bootOn } from '../../functions/lib/boots.ts';
import { type Answer, type InstanceCall, refusal, success } from '../support/instance-aws.ts';
import {
  describeScript,
  expectPauses,
  goesOn,
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

const inWords = ({ action, parameters }: InstanceCall) =>
  [action, parameters.LifecycleActionResult].filter((word) => word !== undefined).join(' ');

const COMMANDS = {
  // Only the runner is active, once it was started.
  systemctl: `case "$*" in
  'start autoscaler-runner.service') echo >"$STATE/runs"; echo >"$STATE/ran" ;;
  'is-active --quiet autoscaler-runner.service') test -e "$STATE/runs" ;;
  *UserspaceTimestampMonotonic) echo 20000000 ;;
  *InactiveExitTimestampMonotonic*) [ -e "$STATE/ran" ] && echo 27000000 || echo 0 ;;
  is-active*) exit 3 ;;
esac`,
  'systemd-run': '',
  getent: 'echo circleci:x:1001:1001::/home/circleci:/bin/bash',
  stat: 'echo circleci',
  // There is no user circleci here.
  install: `case "$*" in *'-o circleci'*) for folder; do :; done; set -- -d -m 0750 "$folder" ;; esac
exec ${realPath('install')} "$@"`,
};

/** An instance that is prepared already: only root can install what it takes. */
const prepared = (options: InstanceOptions = {}) =>
  Instance.start({
    answer: aws(),
    ...options,
    kept: { prepared: `  false ${options.environment?.LOG_GROUP_NAME ? 'logs' : ''}\n`, ...options.kept },
    commands: { ...COMMANDS, nft: '', 'circleci-runner': '', ...options.commands },
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
      RUNNER_VERSION: '',
      DOCKER: 'false',
      WORKING_DIRECTORY: 'root-volume',
      SSH_RERUN_ADDRESS: '',
      ...options.environment,
    },
  });

const STARTS = ['start autoscaler-runner.service', 'start autoscaler-watch.service'];

const starts = (instance: Instance) =>
  instance.commands('systemctl').filter((words) => words.startsWith('start '));

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

describeScript('boot', () => {
  it('starts a runner, and completes the launch once it stays up', async () => {
    const instance = await prepared();
    const { status } = await instance.run('boot');
    expect(status).toBe(0);
    expect(starts(instance)).toEqual(STARTS);
    expect(instance.calls.map(inWords)).toEqual(['GetSecretValue', 'CompleteLifecycleAction CONTINUE']);
    expect(instance.commands('sleep')).toEqual(['1', '1', '1']);
    expect(existsSync(join(instance.folder, 'run/started'))).toBe(true);
    for (const mark of ['begun', 'started', 'launched']) expect(instance.marked(mark)).toBe(true);
  });

  it('says how many milliseconds each phase took', async () => {
    const instance = await prepared({ metadata: { [TARGET_STATE]: ['Standby', 'Standby', 'InService'] } });
    const { stderr } = await instance.run('boot');
    const phases = [...stderr.matchAll(/^boot: (.+): (\d+) ms$/gm)];
    expect(phases.map(([, name]) => name)).toEqual([
      'identity',
      'wait for InService',
      'configuration',
      'runner start',
    ]);
    expect(phases.map(([, , milliseconds]) => Number(milliseconds))).toEqual([0, 1_000, 0, 0]);
  });

  it('tells the units that follow who and where the instance is', async () => {
    const instance = await prepared({ metadata: { 'placement/region': 'eu-north-1' } });
    await instance.run('boot');
    expect(readFileSync(join(instance.folder, 'run/instance'), 'utf8')).toBe(
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
    expect(starts(instance)).toEqual([]);
    expect(instance.calls).toEqual([]);
  });

  it('goes on if the runner had started on the instance whose image this one has', async () => {
    const instance = await prepared({ kept: { started: 'i-0fedcba9876543210\n' } });
    expect((await instance.run('boot')).status).toBe(0);
    expect(starts(instance)).toEqual(STARTS);
  });

  it('limits its age before anything can fail', async () => {
    const instance = await prepared({ answer: () => refusal('AccessDeniedException', 'no') });
    expect((await instance.run('boot')).status).not.toBe(0);
    expect(instance.commands('systemd-run')).toEqual([
      '--quiet --unit=autoscaler-leave.service --on-active=19500',
    ]);
  });

  it('configures a runner for task after task', async () => {
    const instance = await prepared({ environment: { RUNNER_MODE: 'continuous' } });
    expect((await instance.run('boot')).status).toBe(0);
    expect(readFileSync(join(instance.config, 'runner.yaml'), 'utf8')).toContain('\n  mode: continuous\n');
  });

  it('does not limit its age again if it is limited', async () => {
    const instance = await prepared({
      commands: { systemctl: 'case "$*" in show*) echo 20000000 ;; esac' },
    });
    await instance.run('boot');
    expect(instance.commands('systemctl')).toContain('is-active --quiet autoscaler-leave.timer');
    expect(instance.commands('systemd-run')).toEqual([]);
  });

  it('has the launch wait for a runner whose boot began before', async () => {
    const instance = await prepared({ marks: ['begun'] });
    await instance.run('boot');
    expect(instance.calls.map(inWords)).toEqual([
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
    expect(
      instance.calls.filter(({ action }) => action === 'RecordLifecycleActionHeartbeat').length,
    ).toBeGreaterThanOrEqual(3);
    expect(starts(instance)).toEqual([]);
    expect(instance.marked('started')).toBe(false);
  });

  it('completes the launch when AWS can hear it', async () => {
    const answer = inTurn(refusal('Throttling', 'Rate exceeded'), success('CompleteLifecycleAction'));
    const instance = await prepared({ answer: aws({ CompleteLifecycleAction: answer }) });
    const { status, stderr } = await instance.run('boot');
    expect(status).toBe(0);
    expect(instance.calls.map(inWords).filter((call) => call.endsWith(' CONTINUE'))).toHaveLength(2);
    expectPauses(instance, [1.1, 1.1, 1.1, 8]);
    expect(stderr).toContain('CompleteLifecycleAction: <ErrorResponse');
    expect(instance.marked('launched')).toBe(true);
  });

  it('completes no launch of a runner that ended at once', async () => {
    const instance = await prepared({
      commands: { systemctl: 'case "$*" in show*) echo 20000000 ;; is-active*) exit 3 ;; esac' },
    });
    expect((await instance.run('boot')).status).toBe(0);
    expect(instance.calls.map(inWords)).toEqual(['GetSecretValue']);
    expect(instance.marked('launched')).toBe(false);
  });

  it.each([
    { case: 'last', ships: 'exit 0' },
    { case: 'and does not fail if they cannot be shipped', ships: 'exit 1' },
  ])('ships its logs $case', async ({ ships }) => {
    const instance = await prepared({ environment: { LOG_GROUP_NAME: '/circleci-runners/arm/instances' } });
    const script = `#!/bin/sh\necho "$1 $(cat "$STATE/launched")" >"$STATE/shipped"\n${ships}\n`;
    writeFileSync(join(instance.lib, 'ship-logs'), script, { mode: 0o755 });
    expect((await instance.run('boot')).status).toBe(0);
    expect(readFileSync(join(instance.state, 'shipped'), 'utf8')).toBe(`start ${INSTANCE_ID}\n`);
  });

  it.each([
    { case: 'whose runner is up', active: true, calls: ['CompleteLifecycleAction CONTINUE'] },
    { case: 'whose runner has ended', active: false, calls: [] },
  ])(
    'that is run again in the same boot, $case, starts nothing and fails nothing',
    async ({ active, calls }) => {
      const instance = await prepared({
        marks: ['started'],
        kept: { ran: '', ...(active && { runs: '' }) },
      });
      mkdirSync(join(instance.folder, 'run'));
      writeFileSync(join(instance.folder, 'run/started'), '');
      chmodSync(join(instance.folder, 'run'), 0o777);
      const { status, stderr } = await instance.run('boot');
      expect(status).toBe(0);
      expect(stderr).toContain('boot: the runner was started in this boot already\n');
      expect(starts(instance)).toEqual(['start autoscaler-watch.service']);
      expect(instance.calls.map(inWords)).toEqual(calls);
    },
  );

  it('starts the runner if it was restarted between the mark and the start', async () => {
    const instance = await prepared({ marks: ['started'] });
    mkdirSync(join(instance.folder, 'run'));
    writeFileSync(join(instance.folder, 'run/started'), '');
    chmodSync(join(instance.folder, 'run'), 0o777);
    expect((await instance.run('boot')).status).toBe(0);
    expect(starts(instance)).toEqual(STARTS);
    expect(instance.calls.map(inWords)).toEqual(['CompleteLifecycleAction CONTINUE']);
  });

  it.each([
    {
      case: 'has the launch wait for a runner whose instance took long to start the boot',
      up: 290,
      heartbeat: 1,
    },
    { case: 'does not ask for more time in a boot that was quick', up: 200, heartbeat: 0 },
  ])('$case', async ({ up, heartbeat }) => {
    // Seconds since systemd started, which is some 20 s after the launch.
    const systemctl = COMMANDS.systemctl.replace('echo 20000000', `echo ${(20 - up) * 1_000_000}`);
    const instance = await prepared({ commands: { systemctl } });
    expect((await instance.run('boot')).status).toBe(0);
    const calls = instance.calls.map(inWords);
    expect(calls.filter((call) => call === 'RecordLifecycleActionHeartbeat')).toHaveLength(heartbeat);
  });

  it('asks little and starts little with a prepared image before the runner is up', async () => {
    const instance = await prepared();
    expect((await instance.run('boot')).status).toBe(0);
    const all = instance.commands();
    const before = all.slice(0, all.indexOf('systemctl start autoscaler-runner.service'));
    const programs = before.map((words) => words.split(' ')[0] ?? '');
    const used = (name: string) => programs.filter((program) => program === name).length;
    // --version; a token and three items of metadata; the role and its credentials; the secret.
    expect(used('curl')).toBe(8);
    expect(used('systemctl')).toBe(2);
    for (const slow of ['sleep', 'python3', 'apt-get', 'dnf', 'timeout', 'tar', 'mktemp'])
      expect(used(slow), slow).toBe(0);
    expect(programs.length).toBeLessThan(30);
    expect(instance.calls.map(inWords)).toEqual(['GetSecretValue', 'CompleteLifecycleAction CONTINUE']);
  });

  it('reads the token of a prepared image while it does everything else', async () => {
    let instance: Instance | undefined;
    let begunBeforeTheAnswer: number | undefined;
    instance = await prepared({
      answer: async (call) => {
        if (call.action === 'GetSecretValue') {
          for (let tries = 0; tries < 500 && instance?.commands('systemd-run').length === 0; tries += 1)
            await new Promise((resolve) => setTimeout(resolve, 20));
          begunBeforeTheAnswer = instance?.commands('systemd-run').length;
        }
        return aws()(call);
      },
    });
    expect((await instance.run('boot')).status).toBe(0);
    expect(begunBeforeTheAnswer).toBe(1);
    expect(instance.commands('systemd-run')).toHaveLength(1);
  });

  it.each([
    { case: 'completes its launch as soon as the runner has a task', task: 'echo 4712', pauses: ['1'] },
    { case: 'waits 3 s for a runner without one', task: 'exit 1', pauses: ['1', '1', '1'] },
  ])('$case', async ({ task, pauses }) => {
    const systemctl = `[ "$3" != --property=MainPID ] || { echo 4711; exit; }\n${COMMANDS.systemctl}`;
    const instance = await prepared({ commands: { systemctl, pgrep: task } });
    expect((await instance.run('boot')).status).toBe(0);
    expect(instance.commands('sleep')).toEqual(pauses);
    expect(instance.marked('launched')).toBe(true);
  });

  it.each([
    { case: 'a first boot', options: {}, resumed: 'false' },
    { case: 'a resume', options: { marks: ['warmed'] }, resumed: 'true' },
    {
      case: 'nothing of a boot that waited in a warm pool',
      options: { metadata: { [TARGET_STATE]: ['Warmed:Running', 'Warmed:Running', 'InService'] } },
      resumed: undefined,
    },
  ])('reports the times of $case', async ({ options, resumed }) => {
    // By the kernel's clock, systemd started at 12 s, the user data at 16.5 s, and the boot unit at 20 s.
    const systemctl = COMMANDS.systemctl.replace('echo 20000000', 'echo 12000000');
    const instance = await prepared({ ...options, commands: { systemctl } });
    mkdirSync(join(instance.folder, 'run'));
    writeFileSync(join(instance.folder, 'run/set-up'), '16.50\n');
    chmodSync(join(instance.folder, 'run'), 0o777);
    const now = Date.now() / 1_000;
    const { stderr } = await instance.run('boot');
    const [, kind, since = '', parts] = /times: (\w+) (\d+) (.*)/.exec(stderr) ?? [];
    expect(kind).toBe(resumed);
    if (resumed === undefined) return;
    expect(parts).toMatch(/^450 350 0 \d+$/);
    expect(Math.abs(now - Number(since) - 8)).toBeLessThan(5);
    // The function reads exactly this line.
    expect(bootOn(stderr, Number(since) * 1_000 - 3_000)).toMatchObject(
      resumed === 'true' ? { Resume: expect.any(Number) } : { Launched: 3, Network: 4.5, UserData: 3.5 },
    );
  });

  it('fails no more once the runner is started, whatever else does', async () => {
    const systemctl = COMMANDS.systemctl.replace(
      'case',
      `[ "$2" != autoscaler-watch.service ] || exit 1\ncase`,
    );
    const instance = await prepared({ commands: { systemctl } });
    expect((await instance.run('boot')).status).toBe(0);
    expect(instance.marked('launched')).toBe(true);
  });

  it.each([
    { version: '7.81.0', status: 1 },
    { version: '7.87.0', status: 0 },
    { version: '7.100.0', status: 0 },
    { version: '8.5.0', status: 0 },
  ])('with curl $version ends with status $status', async ({ version, status }) => {
    const curl = `[ "$*" != --version ] || { echo 'curl ${version} (x86_64-pc-linux-gnu) libcurl/7'; exit; }
exec ${realPath('curl')} "$@"`;
    const instance = await prepared({ commands: { curl } });
    const ended = await instance.run('boot');
    expect(ended.status).toBe(status);
    if (status === 1) {
      expect(ended.stderr).toContain(
        `boot: this image has curl ${version}, and 7.87 is needed: take Ubuntu 24.04, Debian 12, Amazon Linux 2023 or newer\n`,
      );
    }
  });

  it('waits for metadata that fail at first', async () => {
    const failing = `read -r up _ <"$UPTIME"; [ "\${up%.*}" -ge 60 ] || exit 22
exec ${realPath('curl')} "$@"`;
    const instance = await prepared({
      commands: { curl: `[ "$*" = --version ] || { ${failing}; }\nexec ${realPath('curl')} "$@"` },
    });
    expect((await instance.run('boot')).status).toBe(0);
    expect(starts(instance)).toEqual(STARTS);
  });

  it('waits until AWS takes its requests, however wrong its clock is at first', async () => {
    const answer = inTurn(
      refusal('InvalidSignatureException', 'Signature expired'),
      refusal('InvalidSignatureException', 'Signature expired'),
      secret({ SecretString: TOKEN }),
    );
    const instance = await prepared({
      answer: aws({ GetSecretValue: answer }),
      commands: { sleep: goesOn('20') },
    });
    expect((await instance.run('boot')).status).toBe(0);
  });
});

/** Has a script be one that succeeds, because the real one does what only root can do. */
const succeeds = (instance: Instance, ...scripts: string[]) => {
  for (const script of scripts)
    writeFileSync(join(instance.lib, script), '#!/bin/sh\nexit 0\n', { mode: 0o755 });
};

/** The phases of a boot, in order. */
const phasesOf = (stderr: string) => [...stderr.matchAll(/^boot: (.+): \d+ ms$/gm)].map(([, name]) => name);

describeScript('boot with settings that have a script of their own', () => {
  it('advertises the address for SSH reruns, beside the other settings of the runner', async () => {
    const instance = await prepared({
      metadata: { 'public-ipv4': '203.0.113.9' },
      environment: { SSH_RERUN_ADDRESS: 'public-ipv4' },
    });
    await instance.run('boot');
    expect(parse(readFileSync(join(instance.config, 'runner.yaml'), 'utf8'))).toMatchObject({
      runner: { mode: 'single-task', ssh: { advertise_addr: '203.0.113.9:54782' } },
      logging: { format: 'json' },
    });
  });

  it.each([
    { what: 'without SSH reruns', environment: {} },
    { what: 'without such an address', environment: { SSH_RERUN_ADDRESS: 'public-ipv4' } },
  ])('starts a runner that advertises nothing $what', async ({ environment }) => {
    const instance = await prepared({ environment });
    expect((await instance.run('boot')).status).toBe(0);
    const { runner } = parse(readFileSync(join(instance.config, 'runner.yaml'), 'utf8'));
    expect(runner).not.toHaveProperty('ssh');
    expect(starts(instance)).toEqual(STARTS);
  });

  it('sets the proxy up first, and the disks once the instance no longer sleeps in a warm pool', async () => {
    const instance = await prepared({
      metadata: { [TARGET_STATE]: ['Standby', 'Standby', 'InService'] },
      environment: { http_proxy: 'http://127.0.0.1:9', no_proxy: '*', WORKING_DIRECTORY: 'instance-store' },
    });
    succeeds(instance, 'proxy', 'instance-store');
    expect(phasesOf((await instance.run('boot')).stderr)).toEqual([
      'identity',
      'proxy',
      'wait for InService',
      'instance store',
      'configuration',
      'runner start',
    ]);
  });

  it('installs Docker before the install script, which may pull images, and lets jobs use it', async () => {
    const instance = await prepared({
      answer: aws({ GetObject: () => ({ status: 200, body: '#!/bin/sh\n' }) }),
      kept: { prepared: ' 3.1.13 false\n' },
      commands: { nft: '', id: '', usermod: '', 'circleci-runner': '' },
      environment: {
        DOCKER: 'true',
        INSTALL_OBJECT: 'assets/install.sh',
        INSTALL_SHA256: sha256('#!/bin/sh\n'),
        RUNNER_VERSION: '',
      },
    });
    succeeds(instance, 'docker');
    const { status, stderr } = await instance.run('boot');
    expect(status).toBe(0);
    expect(phasesOf(stderr).slice(1, 3)).toEqual(['docker', 'install script']);
    expect(instance.commands('usermod')).toEqual(['--append --groups docker circleci']);
    expect(readFileSync(join(instance.state, 'prepared'), 'utf8')).toBe('assets/install.sh  true \n');
  });
});

describeScript('boot from an image', () => {
  const textOf = (script: string) => `#!/bin/sh\n${script}\n`;
  const markOf = (script: string) => `installed-${sha256(textOf(script))}`;
  const SCRIPT = 'echo installing';
  const INSTALLED = markOf(SCRIPT);

  /** An instance that has to be prepared, without what only root can do. */
  const unprepared = ({ script = SCRIPT, ...options }: InstanceOptions & { script?: string } = {}) =>
    prepared({
      ...options,
      answer: aws({ GetObject: () => ({ status: 200, body: textOf(script) }) }),
      kept: { prepared: '', ...options.kept },
      commands: { nft: '', id: '', ...options.commands },
      environment: {
        INSTALL_OBJECT: 'assets/install.sh',
        INSTALL_SHA256: sha256(textOf(script)),
        RUNNER_VERSION: '',
        ...options.environment,
      },
    });

  const RUNNER = { 'circleci-runner': '' };
  /** What the installation of the pinned release leaves behind, on an instance with that runner. */
  async function pinned(): Promise<Instance> {
    const instance = await unprepared({
      commands: RUNNER,
      environment: { RUNNER_VERSION: '3.1.13', RUNNER_REQUIRED: 'true' },
    });
    writeFileSync(join(instance.lib, 'install-runner'), '#!/bin/sh\nexit 0\n', { mode: 0o755 });
    return instance;
  }
  /** As if another instance were booted from its disk. */
  const again = (instance: Instance) => {
    writeFileSync(join(instance.state, 'prepared'), '');
    for (const mark of ['state/started', 'run']) rmSync(join(instance.folder, mark), { recursive: true });
  };

  it('that has run the very install script and has a runner takes both as they are', async () => {
    const instance = await unprepared({ kept: { [INSTALLED]: '' }, commands: RUNNER });
    const { status, stdout, stderr } = await instance.run('boot');
    expect(status).toBe(0);
    expect(stdout).not.toContain('installing');
    expect(stderr).not.toMatch(/install script|runner:/);
    expect(instance.calls.map(inWords)).not.toContain('GetObject');
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

  it('runs no other install script than the one that was deployed', async () => {
    const instance = await unprepared({
      commands: RUNNER,
      environment: { INSTALL_SHA256: sha256(textOf('echo deployed')) },
    });
    const { status, stdout, stderr } = await instance.run('boot');
    expect(status).not.toBe(0);
    expect(stdout).not.toContain('installing');
    expect(stderr).toContain('boot: the install script is not the one that was deployed');
    expect(starts(instance)).toEqual([]);
  });

  it('says nothing for images of it if the install script failed, which it does not run again', async () => {
    const script = 'echo no compiler; exit 7';
    const instance = await unprepared({ commands: RUNNER, script });
    const { status, stdout } = await instance.run('boot');
    expect(status).not.toBe(0);
    expect(stdout).toBe('no compiler\n');
    expect(existsSync(join(instance.state, markOf(script)))).toBe(false);
    expect(starts(instance)).toEqual([]);
  });

  it.each([
    {
      met: 'a lock',
      said: [
        'E: Could not get lock /var/lib/apt/lists/lock. It is held by process 1234 (apt-get)',
        'E: Unable to lock directory /var/lib/apt/lists/',
        'E: Could not get lock /var/lib/dpkg/lock-frontend - open (11: Resource temporarily unavailable)',
        'dpkg: error: dpkg frontend lock was locked by another process with pid 1234',
        "error: can't create transaction lock on /var/lib/rpm/.rpm.lock (Resource temporarily unavailable)",
        'useradd: cannot lock /etc/passwd; try again later.',
        'E: dpkg was interrupted, you must manually run sudo dpkg --configure -a to correct the problem.',
      ],
    },
    {
      met: 'no connection',
      said: [
        "Err:1 http://archive.ubuntu.com/ubuntu noble InRelease\n  Temporary failure resolving 'archive.ubuntu.com'",
        'W: Failed to fetch http://archive.ubuntu.com/ubuntu/dists/noble/InRelease  Connection timed out',
        'curl: (6) Could not resolve host: example.com',
        'curl: (7) Failed to connect to example.com port 443 after 1 ms: Connection refused',
        'curl: (28) Operation timed out after 30000 milliseconds',
        "Error: Failed to download metadata for repo 'amazonlinux'",
        "fatal: unable to access 'https://github.com/x/y/': Could not resolve host: github.com",
        'wget: unable to resolve host address ‘example.com’',
        'npm error code EAI_AGAIN',
        'npm error network read ECONNRESET',
        'Error response from daemon: Get "https://registry-1.docker.io/v2/": net/http: TLS handshake timeout',
      ],
    },
    {
      met: 'an answer that is none',
      said: [
        'curl: (22) The requested URL returned error: 503',
        'Err:1 http://archive.ubuntu.com/ubuntu noble InRelease 502  Bad Gateway',
        'toomanyrequests: You have reached your pull rate limit',
        'fatal: early EOF',
        'E: Failed to fetch http://example.com/x.deb  Hash Sum mismatch',
      ],
    },
    {
      met: 'a clock that is not set',
      said: [
        'E: Release file for http://archive.ubuntu.com/ubuntu/dists/noble/InRelease is not valid yet (invalid for another 2h)',
        'curl: (60) SSL certificate problem: certificate is not yet valid',
      ],
    },
  ])('runs an install script again that met $met', async ({ said }) => {
    // One boot for all messages: the script says the next one each time.
    const next = `n=$(cat "$STATE/met" 2>/dev/null || echo 0); echo $((n + 1)) >"$STATE/met"`;
    const fails = said.map((text, index) => {
      const quoted = text.replaceAll("'", `'\\''`);
      return `[ "$n" -ne ${index} ] || { printf '%s\\n' '${quoted}' >&2; exit 100; }`;
    });
    const script = [next, ...fails, 'echo installed'].join('\n');
    const instance = await unprepared({
      commands: RUNNER,
      script,
      environment: { BOOT_TIMEOUT_SECONDS: '3600' },
    });
    const { status, stdout } = await instance.run('boot');
    expect(stdout).toBe([...said, 'installed', ''].join('\n'));
    expect(status).toBe(0);
    expect(existsSync(join(instance.state, markOf(script)))).toBe(true);
  });

  it.each([
    'Get:1 http://archive.ubuntu.com/ubuntu noble/main amd64 libblockdev3 amd64 3.1.1-1',
    'npm error package-lock.json is missing',
    'error: failed to parse Cargo.lock',
    'clock: command not found',
    'make: *** [Makefile:2: all] Error 2',
  ])('does not run an install script again that failed for its own reasons: %s', async (said) => {
    const instance = await unprepared({ commands: RUNNER, script: `echo '${said}'; exit 2` });
    const { status, stdout } = await instance.run('boot');
    expect(status).not.toBe(0);
    expect(stdout).toBe(`${said}\n`);
  });

  it('gives an install script up whose lock is held for three quarters of the time for a boot', async () => {
    const instance = await unprepared({
      commands: { ...RUNNER, sleep: goesOn('60') },
      script: 'echo E: Could not get lock /var/lib/apt/lists/lock; exit 100',
    });
    expect((await instance.run('boot')).status).not.toBe(0);
    expect(instance.elapsed).toBeGreaterThanOrEqual(430);
    expect(instance.elapsed).toBeLessThan(600);
  });

  it.each([
    {
      case: 'is as it should be',
      passwd: '/home/circleci:/bin/bash',
      owner: 'circleci',
      changed: [],
    },
    {
      case: 'has no shell',
      passwd: '/home/circleci:/usr/sbin/nologin',
      owner: 'circleci',
      changed: ['--shell /bin/bash circleci'],
    },
    {
      case: 'has a home directory that is not there',
      passwd: '/nonexistent:/bin/false',
      owner: '',
      changed: ['--shell /bin/bash circleci', '--home /home/circleci circleci'],
    },
    {
      case: 'has a home directory of another',
      passwd: '/var/lib/circleci-runner:/bin/sh',
      owner: 'root',
      changed: ['--home /home/circleci circleci'],
    },
  ])('makes the task user one who can log in: it $case', async ({ passwd, owner, changed }) => {
    const instance = await unprepared({
      kept: { [INSTALLED]: '' },
      commands: {
        ...RUNNER,
        getent: `echo circleci:x:999:999::${passwd}`,
        stat: `echo ${owner}`,
        usermod: '',
        cp: '',
        chown: '',
      },
    });
    expect((await instance.run('boot')).status).toBe(0);
    expect(instance.commands('usermod')).toEqual(changed);
  });

  it.each([
    { what: 'the runner', commands: { nft: '' } },
    { what: 'nftables', commands: RUNNER },
  ])('that says it is prepared gets $what all the same, if it is not there', async ({ what, commands }) => {
    const instance = await unprepared({
      kept: { prepared: `assets/install.sh  false \n`, [INSTALLED]: '' },
      commands: { ...commands, 'apt-get': '' },
    });
    rmSync(join(instance.folder, 'bin', what === 'nftables' ? 'nft' : 'circleci-runner'));
    writeFileSync(join(instance.lib, 'install-runner'), '#!/bin/sh\necho installing the runner\n', {
      mode: 0o755,
    });
    const { stdout } = await instance.run('boot');
    expect(stdout.includes('installing the runner')).toBe(what === 'the runner');
    expect(instance.commands('apt-get').some((words) => words.endsWith(' nftables'))).toBe(
      what === 'nftables',
    );
  });

  it('does not wait for what an install script leaves running, and reads what it said', async () => {
    const instance = await unprepared({
      commands: RUNNER,
      script:
        'sleep 15 & echo E: Could not get lock x; [ -e "$STATE/met" ] && exit 0; touch "$STATE/met"; exit 100',
    });
    const start = performance.now();
    expect((await instance.run('boot')).status).toBe(0);
    expect(performance.now() - start).toBeLessThan(15_000);
  });

  it('takes the runner of the image if the fleet itself pins none', async () => {
    const instance = await unprepared({ commands: RUNNER, environment: { RUNNER_VERSION: '3.1.13' } });
    expect((await instance.run('boot')).stderr).not.toContain('boot: runner: ');
  });

  it('installs the pinned release once, whatever runner was there', async () => {
    const instance = await pinned();
    expect((await instance.run('boot')).stderr).toContain('boot: runner: ');
    again(instance);
    expect((await instance.run('boot')).stderr).not.toContain('boot: runner: ');
  });

  it.each([
    { what: 'another version', environment: { RUNNER_VERSION: '3.1.14' }, replaces: false },
    { what: 'the version, but not its runner', environment: {}, replaces: true },
  ])('installs the pinned release if the image has $what', async ({ environment, replaces }) => {
    const instance = await pinned();
    await instance.run('boot');
    again(instance);
    if (replaces) writeFileSync(join(instance.folder, 'bin/circleci-runner'), '#!/bin/sh\n');
    expect((await instance.run('boot', environment)).stderr).toContain('boot: runner: ');
  });
});

describeScript('boot in a warm pool', () => {
  it('completes the launch once, and waits to be in service', async () => {
    const warm = Array.from({ length: 4 }, () => 'Warmed:Stopped');
    const instance = await prepared({ metadata: { [TARGET_STATE]: [...warm, 'InService'] } });
    expect((await instance.run('boot')).status).toBe(0);
    expect(instance.calls.map(inWords)).toEqual([
      'CompleteLifecycleAction CONTINUE',
      'GetSecretValue',
      'CompleteLifecycleAction CONTINUE',
    ]);
    expect(instance.commands('sleep')).toEqual(['1', '1', '1', '1', '1', '1']);
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
    expect(instance.calls.map(inWords)).toEqual([
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
    expect(instance.calls.map(inWords)).toEqual(['CompleteLifecycleAction CONTINUE']);
    expect(existsSync(join(instance.config, 'runner.yaml'))).toBe(false);
  });

  it('that wakes up after hours asks on if the metadata do not answer at once', async () => {
    const warm = Array.from({ length: 3 }, () => 'Warmed:Hibernated');
    const instance = await prepared({
      metadata: { [TARGET_STATE]: [...warm, undefined, undefined, 'InService'] },
      commands: {
        sleep: `if [ -e "$STATE/warmed" ] && ! [ -e "$STATE/slept" ]; then ${goesOn('20000')}; echo >"$STATE/slept"; fi`,
      },
    });
    expect((await instance.run('boot')).status).toBe(0);
    expect(starts(instance)).toEqual(STARTS);
  });

  it('completes the launch into the pool once, however often it boots there', async () => {
    const instance = await prepared({
      metadata: { [TARGET_STATE]: ['Warmed:Stopped', 'Warmed:Stopped', 'InService'] },
      marks: ['warmed'],
    });
    expect((await instance.run('boot')).status).toBe(0);
    expect(instance.calls.map(inWords)).toEqual(['GetSecretValue', 'CompleteLifecycleAction CONTINUE']);
  });

  it('waits in standby', async () => {
    const instance = await prepared({ metadata: { [TARGET_STATE]: ['Standby', 'Standby', 'InService'] } });
    expect((await instance.run('boot')).status).toBe(0);
    expect(instance.commands('sleep')).toEqual(['1', '1', '1', '1']);
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
  ])('is not taken if $case, which is said without what was read', async ({ answer, says }) => {
    const instance = await prepared({ answer: aws({ GetSecretValue: () => answer }) });
    const { status, stdout, stderr } = await instance.run('boot');
    expect(status).not.toBe(0);
    expect(instance.calls[0]).toEqual({
      action: 'GetSecretValue',
      parameters: { SecretId: 'acme/runner' },
    });
    // What AWS refuses it may grant some seconds later; what it granted is not another token then.
    expect(instance.calls.length > 1).toBe(answer.status === 400);
    expect(instance.elapsed).toBeLessThan(30);
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
