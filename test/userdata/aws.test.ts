import { expect, it } from 'vitest';
import { refusal } from '../support/instance-aws.ts';
import { INSTANCE_CREDENTIALS } from '../support/metadata-service.ts';
import { describeScript, INSTANCE_ID, Instance, inTurn, realPath } from './instance.ts';

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
    expect({ status, stdout }).toEqual({ status: 7, stdout: '' });
  });
});

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

  it('print what AWS has against them, with status 22', async () => {
    const answer = refusal('Throttling', 'Rate exceeded');
    const instance = await Instance.start({ answer: () => answer });
    const { status, stdout } = await instance.shell('autoscaling SetInstanceHealth');
    expect({ status, stdout }).toEqual({ status: 22, stdout: answer.body });
  });

  it('are one attempt each', async () => {
    const instance = await Instance.start({ answer: () => refusal('ServiceUnavailable', 'later', 503) });
    await instance.shell('autoscaling SetInstanceHealth');
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
    const { status, stdout } = await instance.shell('autoscaling SetInstanceHealth');
    expect({ status, stdout }).toEqual({ status: 28, stdout: '' });
  });

  it('fail without credentials', async () => {
    const instance = await Instance.start({ metadata: { 'iam/security-credentials/': [undefined] } });
    const { status } = await instance.shell('autoscaling SetInstanceHealth');
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
  const failsTimes = (count: number) =>
    `tries=0; try() { tries=$((tries + 1)); [ $tries -gt ${count} ] || return 3; }; `;

  it.each([
    { case: 'tries once what succeeds', fails: 0, attempts: 4, tries: 1, status: 0, pauses: [] },
    { case: 'doubles its pauses', fails: 3, attempts: 5, tries: 4, status: 0, pauses: ['1', '2', '4'] },
    { case: 'fails like the last attempt', fails: 9, attempts: 3, tries: 3, status: 3, pauses: ['1', '2'] },
    { case: 'may be one attempt', fails: 9, attempts: 1, tries: 1, status: 3, pauses: [] },
  ])('$case', async ({ fails, attempts, tries, status, pauses }) => {
    const instance = await Instance.start();
    const ended = await instance.shell(`${failsTimes(fails)} retry ${attempts} try; echo $tries $?`);
    expect(ended.stdout).toBe(`${tries} ${status}\n`);
    expect(instance.commands('sleep')).toEqual(pauses);
  });

  it('says which attempt failed', async () => {
    const instance = await Instance.start();
    const { stderr } = await instance.shell('retry 2 false');
    expect(stderr).toBe('bash: attempt 1 of 2 failed: false\n');
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

describeScript('run_object', () => {
  const script = { status: 200, body: '#!/bin/sh\necho "ran in $GROUP_NAME"\nexit 5\n' };

  it('runs what S3 holds, and ends like it', async () => {
    const instance = await Instance.start({ answer: () => script });
    const { status, stdout } = await instance.shell('run_object assets/logs.sh 60');
    expect({ status, stdout }).toEqual({ status: 5, stdout: 'ran in circleci-runners-arm\n' });
    expect(instance.calls).toEqual([{ action: 'GetObject', parameters: { Path: '/assets/logs.sh' } }]);
    expect(instance.commands('timeout')).toEqual([expect.stringMatching(/\b60 \S+$/)]);
  });

  it('runs nothing, and fails, if the object cannot be had in four attempts', async () => {
    const instance = await Instance.start({
      answer: () => ({ status: 403, body: '#!/bin/sh\necho an error that is a script\n' }),
    });
    const { status, stdout } = await instance.shell('run_object assets/logs.sh 60');
    expect({ status, stdout }).toEqual({ status: 22, stdout: '' });
    expect(instance.calls).toHaveLength(4);
    expect(instance.commands('sleep')).toEqual(['1', '2', '4']);
    expect(instance.commands('timeout')).toEqual([]);
  });

  it('asks in each attempt alike, and runs only what the last one brought', async () => {
    const hashes: unknown[] = [];
    const answer = inTurn({ status: 503, body: '<Error><Code>SlowDown</Code></Error>' }, script);
    const instance = await Instance.start({
      answer: (_, headers) => {
        hashes.push(headers['x-amz-content-sha256']);
        return answer();
      },
    });
    const { status, stdout } = await instance.shell('run_object assets/logs.sh 60');
    expect({ status, stdout }).toEqual({ status: 5, stdout: 'ran in circleci-runners-arm\n' });
    expect(hashes).toEqual(['UNSIGNED-PAYLOAD', 'UNSIGNED-PAYLOAD']);
  });

  it('ends a script that takes too long', async () => {
    const instance = await Instance.start({
      answer: () => ({ status: 200, body: '#!/bin/sh\nwhile :; do :; done\n' }),
    });
    expect((await instance.shell('run_object assets/logs.sh 0.2')).status).toBe(124);
  });
});
