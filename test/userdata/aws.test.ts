import { expect, it } from 'vitest';
import { refusal } from '../support/instance-aws.ts';
import { INSTANCE_CREDENTIALS } from '../support/metadata-service.ts';
import { describeScript, expectPauses, goesOn, INSTANCE_ID, Instance, realPath } from './instance.ts';

const REQUESTS = [
  {
    service: 'autoscaling',
    url: 'https://autoscaling.us-west-2.amazonaws.com/',
    call: 'autoscaling SetInstanceHealth HealthStatus=Unhealthy',
    received: {
      action: 'SetInstanceHealth',
      parameters: { InstanceId: INSTANCE_ID, HealthStatus: 'Unhealthy' },
    },
  },
  {
    service: 'secretsmanager',
    url: 'https://secretsmanager.us-west-2.amazonaws.com/',
    call: `aws_call secretsmanager <<'REQUEST'
header="content-type: application/x-amz-json-1.1"
header="x-amz-target: secretsmanager.GetSecretValue"
data="{\\"SecretId\\": \\"acme/runner\\"}"
REQUEST`,
    received: { action: 'GetSecretValue', parameters: { SecretId: 'acme/runner' } },
  },
  {
    service: 's3',
    url: 'https://s3.us-west-2.amazonaws.com/assets/logs.sh',
    call: `aws_call s3 assets/logs.sh <<<'header="x-amz-content-sha256: UNSIGNED-PAYLOAD"'`,
    received: { action: 'GetObject', parameters: { Path: '/assets/logs.sh' } },
  },
];

describeScript('metadata', () => {
  it('are asked for with a session token', async () => {
    const instance = await Instance.start({ metadata: { 'placement/region': 'eu-north-1' } });
    const { status, stdout } = await instance.shell('metadata placement/region');
    expect({ status, stdout }).toEqual({ status: 0, stdout: 'eu-north-1' });
  });

  it('have no answer, and status 22, for an item that is not there', async () => {
    const instance = await Instance.start();
    const { status, stdout } = await instance.shell('metadata spot/instance-action');
    expect({ status, stdout }).toEqual({ status: 22, stdout: '' });
  });

  it('come from the address that every instance has for them', async () => {
    const instance = await Instance.start({ commands: { curl: 'echo token' } });
    await instance.shell('metadata instance-id', { IMDS_URL: '' });
    expect(instance.commands('curl')).toEqual([
      expect.stringMatching(/ http:\/\/169\.254\.169\.254\/latest\/api\/token$/),
      expect.stringMatching(/ http:\/\/169\.254\.169\.254\/latest\/meta-data\/instance-id$/),
    ]);
  });

  it('are given up if nobody answers', async () => {
    const instance = await Instance.start({ environment: { IMDS_URL: 'http://127.0.0.1:9' } });
    const { status, stdout } = await instance.shell('metadata instance-id');
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
  });

  it('come by IPv6 where IPv4 does not reach', async () => {
    const instance = await Instance.start({
      commands: { curl: `case "$*" in *169.254.169.254*) exit 7 ;; *) echo "$*" | cut -d / -f 3 ;; esac` },
    });
    const { stdout } = await instance.shell('metadata instance-id', { IMDS_URL: '' });
    expect(stdout).toBe('[fd00:ec2::254]\n');
  });

  it.each(REQUESTS)('come from there for calls of $service too', async ({ call }) => {
    const instance = await Instance.start({ commands: { curl: 'exit 7' } });
    await instance.shell(call, { IMDS_URL: '' });
    expect(instance.commands('curl').map((words) => words.split(' ').at(-1))).toEqual([
      'http://169.254.169.254/latest/api/token',
      'http://[fd00:ec2::254]/latest/api/token',
    ]);
  });

  it('are never asked for through a proxy', async () => {
    const instance = await Instance.start({ environment: { http_proxy: 'http://127.0.0.1:9' } });
    const { stdout } = await instance.shell('metadata instance-id');
    expect(stdout).toBe(INSTANCE_ID);
  });
});

describeScript('calls of AWS', () => {
  it.each(REQUESTS)('are signed as $service wants it', async ({ service, call, received }) => {
    let authorization: unknown;
    const instance = await Instance.start({
      answer: (_, headers) => {
        authorization = headers.authorization;
        return { status: 200, body: 'the answer' };
      },
    });
    const { status, stdout, stderr } = await instance.shell(call);
    expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: 'the answer', stderr: '' });
    expect(instance.calls).toEqual([received]);
    expect(authorization).toContain(`/eu-west-1/${service}/aws4_request`);
  });

  it.each(REQUESTS)('are refused by $service if the secret is another', async ({ call }) => {
    const instance = await Instance.start({
      metadata: {
        'iam/security-credentials/runner-role': JSON.stringify({
          ...INSTANCE_CREDENTIALS,
          SecretAccessKey: 'x',
        }),
      },
    });
    const { status, stdout } = await instance.shell(call);
    expect(status).toBe(22);
    expect(stdout).toContain('SignatureDoesNotMatch');
  });

  it.each(REQUESTS)('go to $service of the region', async ({ call, url }) => {
    const instance = await Instance.start({
      commands: {
        curl: `case "$*" in *--aws-sigv4*) cat >/dev/null ;; *) exec ${realPath('curl')} "$@" ;; esac`,
      },
    });
    await instance.shell(call, { AWS_ENDPOINT_URL: '', AWS_REGION: 'us-west-2' });
    expect(instance.commands('curl').at(-1)?.split(' ').at(-1)).toBe(url);
  });

  it('go to the domain of AWS in China for its regions', async () => {
    const instance = await Instance.start({
      commands: {
        curl: `case "$*" in *--aws-sigv4*) cat >/dev/null ;; *) exec ${realPath('curl')} "$@" ;; esac`,
      },
    });
    const call = 'autoscaling SetInstanceHealth HealthStatus=Unhealthy';
    await instance.shell(call, { AWS_ENDPOINT_URL: '', AWS_REGION: 'cn-northwest-1' });
    expect(instance.commands('curl').at(-1)?.split(' ').at(-1)).toBe(
      'https://autoscaling.cn-northwest-1.amazonaws.com.cn/',
    );
  });

  it('print what AWS has against them, with status 22', async () => {
    const answer = refusal('Throttling', 'Rate exceeded');
    const instance = await Instance.start({ answer: () => answer });
    const { status, stdout } = await instance.shell('autoscaling SetInstanceHealth HealthStatus=Unhealthy');
    expect({ status, stdout }).toEqual({ status: 22, stdout: answer.body });
  });

  it('are one attempt each', async () => {
    const instance = await Instance.start({ answer: () => refusal('ServiceUnavailable', 'later', 503) });
    await instance.shell('autoscaling SetInstanceHealth HealthStatus=Unhealthy');
    expect(instance.calls).toHaveLength(1);
    expect(instance.commands('sleep')).toEqual([]);
  });

  it('end at a deadline of 20 s if AWS hangs', async () => {
    // With 0.2 s in place of 20 s.
    const shortened = `case "$*" in *' -m 20 '*) ;; *) exec ${realPath('curl')} "$@" ;; esac
for word; do
  shift
  [ "$word" = 20 ] && word=0.2
  set -- "$@" "$word"
done
exec ${realPath('curl')} "$@"`;
    const instance = await Instance.start({
      answer: () => new Promise(() => undefined),
      commands: { curl: shortened },
    });
    const { status, stdout } = await instance.shell('autoscaling SetInstanceHealth HealthStatus=Unhealthy');
    expect({ status, stdout }).toEqual({ status: 28, stdout: '' });
  });

  it('fail without credentials', async () => {
    const instance = await Instance.start({ metadata: { 'iam/security-credentials/': [undefined] } });
    const { status } = await instance.shell('autoscaling SetInstanceHealth HealthStatus=Unhealthy');
    expect(status).toBe(22);
    expect(instance.calls).toEqual([]);
  });

  it('show credentials and session tokens on no command line', async () => {
    const instance = await Instance.start();
    for (const { call } of REQUESTS) await instance.shell(call);
    expect(instance.calls).toHaveLength(REQUESTS.length);
    const commandLines = instance.commands().join('\n');
    expect(commandLines).toContain('--aws-sigv4 aws:amz:eu-west-1:autoscaling');
    for (const secret of Object.values(INSTANCE_CREDENTIALS)) expect(commandLines).not.toContain(secret);
    // A session token of the metadata.
    expect(commandLines).not.toMatch(/[0-9a-f]{8}-[0-9a-f]{4}-/);
  });
});

describeScript('retry', () => {
  const fails = (times: number, status = 1) =>
    `tries=0; try() { tries=$((tries + 1)); [ $tries -gt ${times} ] || return ${status}; }; `;

  it.each([
    { case: 'tries once what succeeds', lines: `${fails(0)} retry 60 try`, tries: 1, status: 0, limits: [] },
    {
      case: 'doubles the limit of its random pauses, up to 16 s',
      lines: `${fails(6)} retry 600 try`,
      tries: 7,
      status: 0,
      limits: [1, 2, 4, 8, 16, 16],
    },
    {
      case: 'ends with the status of the last attempt, once its time is over',
      lines: `${fails(9, 7)} retry 2 try`,
      tries: 3,
      status: 7,
      limits: [1, 2],
    },
    { case: 'may be one attempt', lines: `${fails(9)} retry 0 try`, tries: 1, status: 1, limits: [] },
    {
      case: 'is one attempt if there is no time left at all',
      lines: `${fails(9)} retry -30 try`,
      tries: 1,
      status: 1,
      limits: [],
    },
    {
      case: 'does not try again what would end alike',
      lines: `${fails(9, 4)} retry 600 try`,
      tries: 1,
      status: 4,
      limits: [],
    },
  ])('$case', async ({ lines, tries, status, limits }) => {
    const instance = await Instance.start();
    const ended = await instance.shell(`${lines}; echo $tries $?`);
    expect(ended.stdout).toBe(`${tries} ${status}\n`);
    expectPauses(instance, limits);
  });

  it('goes on for 10 s with what AWS refuses, which can be some seconds behind', async () => {
    const instance = await Instance.start();
    const { stdout } = await instance.shell(`${fails(99, 3)} retry 600 try; echo $?`);
    expect(stdout).toBe('3\n');
    expect(instance.elapsed).toBeGreaterThanOrEqual(10);
    expect(instance.elapsed).toBeLessThan(10 + 16);
  });

  it('counts these 10 s from the first refusal', async () => {
    const instance = await Instance.start({ commands: { sleep: goesOn('16') } });
    const lines =
      'tries=0; try() { tries=$((tries + 1)); [ $tries -gt 2 ] || return 1; [ $tries -gt 3 ] || return 3; }';
    const { stdout } = await instance.shell(`${lines}; retry 600 try; echo $tries $?`);
    expect(stdout).toBe('4 0\n');
  });

  it('ends an attempt later than its time at the most, for any times', async () => {
    for (const seconds of [1, 7, 30, 300]) {
      const instance = await Instance.start();
      await instance.shell(`retry ${seconds} false`);
      expect(instance.elapsed).toBeGreaterThanOrEqual(seconds);
      expect(instance.elapsed).toBeLessThanOrEqual(seconds + 16);
    }
  });

  it('says what failed, and when it gives up', async () => {
    const instance = await Instance.start({ commands: { sleep: goesOn('1') } });
    const { stderr } = await instance.shell('retry 1 false a b c');
    expect(stderr).toBe('bash: failed, trying again: false a b\nbash: failed for good: false a b\n');
  });

  it('draws each pause from all that its limit allows, so that instances that fail together part', async () => {
    const instance = await Instance.start({ commands: { sleep: '' } });
    await instance.shell('for ((i = 0; i < 200; i++)); do pause 8; done');
    const pauses = instance.commands('sleep').map(Number);
    for (const second of [0, 1, 2, 3, 4, 5, 6, 7]) {
      expect(pauses.filter((pause) => Math.floor(pause) === second).length).toBeGreaterThan(5);
    }
    expect(new Set(pauses).size).toBeGreaterThan(150);
  });
});

describeScript('marks', () => {
  it.each([
    { case: 'are found again', marked: INSTANCE_ID, asks: INSTANCE_ID, status: 0 },
    {
      case: 'are not those of the instance whose image this one has',
      marked: 'i-0fedcba9876543210',
      asks: INSTANCE_ID,
      status: 1,
    },
    {
      case: 'are not those of an id that begins alike',
      marked: `${INSTANCE_ID}1`,
      asks: INSTANCE_ID,
      status: 1,
    },
  ])('$case', async ({ marked, asks, status }) => {
    const instance = await Instance.start();
    await instance.shell('mark started', { INSTANCE_ID: marked });
    expect((await instance.shell('marked started', { INSTANCE_ID: asks })).status).toBe(status);
  });

  it('are not there before they are set, without a word', async () => {
    const instance = await Instance.start();
    const { stdout, stderr } = await instance.shell('marked started || echo not marked');
    expect({ stdout, stderr }).toEqual({ stdout: 'not marked\n', stderr: '' });
  });
});
