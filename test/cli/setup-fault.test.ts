import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type AwsSetup, SETUP_FAULTS, setupFault } from '../../cli/aws/setup-fault.ts';
import { commandWords } from '../support/bundled-commands.ts';
import { runInProcess } from '../support/in-process.ts';
import { PseudoTerminal } from '../support/pseudo-terminal.ts';
import { address } from '../support/serve.ts';

const NONE: AwsSetup = { profile: undefined, profiles: [], endpoint: undefined, hasSessionToken: false };
const WORK: AwsSetup = { ...NONE, profile: 'work', profiles: ['work', 'home'] };

const error = (name: string, message = 'AWS says so', more: object = {}) =>
  Object.assign(new Error(message), { name, ...more });

interface Case {
  error: Error;
  setup?: AwsSetup;
  says: string;
}

const CASES: Case[] = [
  {
    error: error('Error', 'Region is missing'),
    says: 'No AWS region is set. Name it with --region, in AWS_REGION, or in your profile: aws configure set region eu-west-1',
  },
  {
    error: error('Error', 'Region is missing'),
    setup: { ...WORK, profile: 'wrok' },
    says: 'AWS_PROFILE is "wrok", and this machine has no such profile. It has work, home. Set AWS_PROFILE to an existing profile, or make this one: aws configure sso --profile wrok',
  },
  {
    error: error('Error', 'Region not accepted: region="eu west" is not a valid hostname component.'),
    says: 'The AWS region must be one such as eu-west-1, got "eu west". Correct AWS_REGION, or the region of your profile.',
  },
  {
    error: error('CredentialsProviderError', 'Could not load credentials from any providers'),
    says: 'There are no AWS credentials on this machine. Set AWS_PROFILE to one of your profiles, or sign in: aws configure sso',
  },
  {
    error: error('CredentialsProviderError', 'Could not load credentials from any providers'),
    setup: { ...NONE, profile: 'nosuch' },
    says: 'AWS_PROFILE is "nosuch", and this machine has no such profile. It has no profiles. Set AWS_PROFILE to an existing profile, or make this one: aws configure sso --profile nosuch',
  },
  {
    error: error('CredentialsProviderError', 'Could not load credentials from any providers'),
    setup: WORK,
    says: 'Profile work gives no credentials. Sign in (aws sso login --profile work), or correct the profile in ~/.aws/config. The AWS SDK says: Could not load credentials from any providers',
  },
  {
    error: error('ProviderError'),
    says: 'There are no AWS credentials on this machine. Set AWS_PROFILE to one of your profiles, or sign in: aws configure sso',
  },
  ...[
    error(
      'CredentialsProviderError',
      'The SSO session associated with this profile is invalid. To refresh this SSO session run aws sso login with the corresponding profile.',
    ),
    error(
      'CredentialsProviderError',
      "Token is expired. To refresh this SSO session run 'aws sso login' with the corresponding profile.",
    ),
    error('TokenProviderError'),
    error('UnauthorizedException', 'Session token not found or invalid'),
    error('InvalidGrantException'),
    error('ExpiredToken'),
    error('ExpiredTokenException'),
    error('RequestExpired'),
    error('TokenRefreshRequired'),
  ].map((expired) => ({
    error: expired,
    setup: WORK,
    says: 'Your sign-in to AWS has expired. Sign in again: aws sso login --profile work',
  })),
  {
    error: error('CredentialsProviderError', 'Failed to load token from /home/x/.aws/login/cache/0.json'),
    says: 'Your sign-in to AWS has expired. Sign in again: aws login',
  },
  {
    error: error('ExpiredTokenException'),
    setup: { ...NONE, hasSessionToken: true },
    says: 'Your temporary AWS credentials have expired. Replace AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or unset them and set AWS_PROFILE.',
  },
  ...['OptInRequired', 'SubscriptionRequiredException', 'RegionDisabledException'].map((name) => ({
    error: error(name),
    says: 'Your AWS account has not enabled this region. Use another one (--region, AWS_REGION), or enable it in the console under Account.',
  })),
  ...[
    'InvalidClientTokenId',
    'UnrecognizedClientException',
    'InvalidAccessKeyId',
    'AuthFailure',
    'SignatureDoesNotMatch',
    'InvalidSignatureException',
    'IncompleteSignature',
    'IncompleteSignatureException',
    'MissingAuthenticationToken',
    'MissingAuthenticationTokenException',
  ].map((name) => ({
    error: error(name),
    setup: WORK,
    says: `AWS does not accept the credentials of profile work (${name}). Set AWS_PROFILE to another profile, or sign in again. A region that your account has not enabled answers the same: check --region.`,
  })),
  ...[
    error('RequestTimeTooSkewed'),
    error('RequestInTheFuture'),
    error('InvalidSignatureException', 'Signature expired: 20260105T080000Z is now earlier than'),
    error('SignatureDoesNotMatch', 'Signature not yet current: 20260105T080000Z is still later than'),
  ].map((skewed) => ({
    error: skewed,
    says: 'The clock of this machine is wrong, so AWS refuses its requests. Set the clock.',
  })),
  ...[
    'SELF_SIGNED_CERT_IN_CHAIN',
    'DEPTH_ZERO_SELF_SIGNED_CERT',
    'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
    'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    'CERT_HAS_EXPIRED',
    'ERR_TLS_CERT_ALTNAME_INVALID',
  ].map((code) => ({
    error: error('Error', 'self-signed certificate', { code }),
    says: `The connection to AWS is not trusted (${code}): something between this machine and AWS has a certificate of its own. Name its authority in NODE_EXTRA_CA_CERTS.`,
  })),
  {
    error: error('TypeError', 'Invalid URL', { code: 'ERR_INVALID_URL' }),
    setup: { ...NONE, endpoint: 'localhost' },
    says: 'AWS_ENDPOINT_URL must be a URL such as http://localhost:4566, got "localhost".',
  },
  ...[
    'ECONNREFUSED',
    'ECONNRESET',
    'EAI_AGAIN',
    'ETIMEDOUT',
    'EHOSTUNREACH',
    'ENETUNREACH',
    'EPIPE',
    'EPROTO',
  ].map((code) => ({
    error: error('Error', `connect ${code} sts.eu-west-1.amazonaws.com:443`, { code }),
    says: `sts.eu-west-1.amazonaws.com does not answer (${code}). Check the network, the proxy and the VPN of this machine.`,
  })),
  {
    error: error('TimeoutError', 'Connection timed out after 3000 ms'),
    says: 'AWS does not answer (TimeoutError). Check the network, the proxy and the VPN of this machine.',
  },
  {
    error: error('Error', 'getaddrinfo ENOTFOUND sts.eu-wst-1.amazonaws.com', { code: 'ENOTFOUND' }),
    says: 'sts.eu-wst-1.amazonaws.com does not exist, or this machine has no network. Check the region (--region, AWS_REGION), then the network.',
  },
  {
    error: error('AggregateError', '', { errors: [error('Error', 'x', { code: 'ECONNREFUSED' })] }),
    setup: { ...NONE, endpoint: 'http://localhost:4566' },
    says: 'The endpoint http://localhost:4566 does not answer (ECONNREFUSED). AWS_ENDPOINT_URL names it: start what listens there, or unset AWS_ENDPOINT_URL.',
  },
  {
    error: error('SettingsUnavailable', 'wrapped', { cause: error('ExpiredTokenException') }),
    setup: WORK,
    says: 'Your sign-in to AWS has expired. Sign in again: aws sso login --profile work',
  },
];

describe('faults of the set-up of AWS', () => {
  it.each(CASES)('$error.name, $error.message', (example) => {
    expect(setupFault(example.error, example.setup ?? NONE)).toBe(example.says);
  });

  it('have a case for every name and code', () => {
    const names = new Set(CASES.map((example) => example.error.name));
    const codes = new Set(CASES.map((example) => (example.error as { code?: string }).code));
    expect(SETUP_FAULTS.names.filter((name) => !names.has(name))).toEqual([]);
    expect(SETUP_FAULTS.codes.filter((code) => !codes.has(code) && !names.has(code))).toEqual([]);
  });

  it.each([
    error('AccessDenied', 'User arn:aws:sts::1:assumed-role/AWSReservedSSO_Admin/x is not authorized'),
    error('ThrottlingException'),
    error('ValidationError'),
    error('TypeError', "Cannot read properties of undefined (reading 'x')"),
  ])('are not $name', (other) => {
    expect(setupFault(other, WORK)).toBeUndefined();
  });
});

describe('a command that talks to AWS', () => {
  let folder: string;
  let server: Server;
  let account: string;
  let hasStack: boolean;
  let bootstrapped: boolean;

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'setup-fault-test-'));
    account = '111122223333';
    hasStack = true;
    bootstrapped = true;
    server = createServer(async (request, response) => {
      const asked = new URLSearchParams(await text(request)).get('Action');
      if (request.headers['x-amz-target'] === 'AmazonSSM.GetParameter') {
        const body = bootstrapped ? { Parameter: { Value: '28' } } : { __type: 'ParameterNotFound' };
        response.writeHead(bootstrapped ? 200 : 400, { 'content-type': 'application/x-amz-json-1.1' });
        response.end(JSON.stringify(body));
        return;
      }
      response.writeHead(asked === 'DescribeStacks' && !hasStack ? 400 : 200, { 'content-type': 'text/xml' });
      response.end(xml(asked));
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
  });

  const GROUP =
    '<member><AutoScalingGroupName>circleci-runners-linux</AutoScalingGroupName><DesiredCapacity>0</DesiredCapacity></member>';

  function xml(asked: string | null): string {
    switch (asked) {
      case 'GetCallerIdentity':
        return `<GetCallerIdentityResponse><GetCallerIdentityResult><Account>${account}</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`;
      case 'DescribeStacks':
        return hasStack
          ? '<DescribeStacksResponse><DescribeStacksResult><Stacks><member/></Stacks></DescribeStacksResult></DescribeStacksResponse>'
          : '<ErrorResponse><Error><Code>ValidationError</Code><Message>Stack with id circleci-runners does not exist</Message></Error></ErrorResponse>';
      case 'DescribeAutoScalingGroups':
        return `<DescribeAutoScalingGroupsResponse><DescribeAutoScalingGroupsResult><AutoScalingGroups>${hasStack ? GROUP : ''}</AutoScalingGroups></DescribeAutoScalingGroupsResult></DescribeAutoScalingGroupsResponse>`;
      default:
        return '<DeleteTagsResponse/>';
    }
  }

  afterEach(() => {
    vi.unstubAllEnvs();
    rmSync(folder, { recursive: true });
    server.close();
    server.closeAllConnections();
  });

  /** Runs `npm run resume -- linux` on a terminal, and returns its screen. */
  async function onTerminal(region: string): Promise<{ code: number; lines: string[] }> {
    const env = {
      ...process.env,
      AWS_ENDPOINT_URL: address(server),
      AWS_ACCESS_KEY_ID: 'test',
      AWS_SECRET_ACCESS_KEY: 'test',
      AWS_MAX_ATTEMPTS: '1',
    };
    // In a folder of its own, because it keeps there where the stack was.
    const pty = new PseudoTerminal(
      commandWords('resume', 'linux', '--region', region),
      { columns: 120, rows: 40 },
      { env, cwd: folder },
    );
    const code = await pty.end();
    return { code, lines: pty.screen.lines };
  }

  it('says first which account, region and stack it talks to, and where the stack was last time', async () => {
    const where = (region: string) =>
      `Account ${account}, region ${region}, stack circleci-runners, endpoint ${address(server)}`;
    const DONE = 'Fleet linux follows its queue again. Desired capacity 0, instances 0.';
    expect(await onTerminal('eu-west-1')).toEqual({ code: 0, lines: [where('eu-west-1'), DONE] });
    expect(await onTerminal('eu-west-1')).toEqual({ code: 0, lines: [where('eu-west-1'), DONE] });
    account = '444455556666';
    expect(await onTerminal('us-east-1')).toEqual({
      code: 0,
      lines: [
        where('us-east-1'),
        'Last time, stack circleci-runners was in account 111122223333, region eu-west-1.',
        DONE,
      ],
    });
    hasStack = false;
    account = '111122223333';
    const missing = await onTerminal('eu-west-1');
    expect(missing.code).toBe(2);
    // Folded, because it is longer than a line.
    expect(missing.lines.slice(-2).join(' ')).toBe(
      'The stack was in account 444455556666, region us-east-1 the last time. To go back: set AWS_PROFILE, and --region us-east-1',
    );
  });

  it.each([true, false])('says whether the CDK is bootstrapped where no stack is: %s', async (is) => {
    hasStack = false;
    bootstrapped = is;
    const { code, lines } = await onTerminal('eu-west-1');
    expect(code).toBe(2);
    expect(lines.slice(1).join(' ')).toBe(
      `Stack circleci-runners has no fleets. Deploy it first: npx cdk deploy --all${
        is ? '' : ' The CDK is not bootstrapped in account 111122223333, region eu-west-1: npx cdk bootstrap'
      }`,
    );
  });

  /** Runs it without a terminal, with no configuration of AWS but this. */
  async function withSetup(config: string, env: Record<string, string>) {
    const file = join(folder, 'config');
    writeFileSync(file, config);
    const clean = {
      AWS_ENDPOINT_URL: undefined,
      AWS_REGION: undefined,
      AWS_DEFAULT_REGION: undefined,
      AWS_PROFILE: undefined,
      AWS_ACCESS_KEY_ID: undefined,
      AWS_SECRET_ACCESS_KEY: undefined,
      AWS_SESSION_TOKEN: undefined,
      AWS_EC2_METADATA_DISABLED: 'true',
      AWS_CONFIG_FILE: file,
      AWS_SHARED_CREDENTIALS_FILE: file,
      AWS_MAX_ATTEMPTS: '1',
      HOME: folder,
    };
    for (const [key, value] of Object.entries({ ...clean, ...env })) vi.stubEnv(key, value);
    return await runInProcess('pause', ['linux']);
  }

  const SSO =
    '[profile work]\nregion = eu-west-1\nsso_start_url = https://acme.awsapps.com/start\nsso_region = eu-west-1\nsso_account_id = 111122223333\nsso_role_name = dev\n';
  const KEYS = { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test' };

  it.each<{ case: string; config?: string; env?: Record<string, string>; says: RegExp }>([
    { case: 'no region', says: /^No AWS region is set\. Name it with --region/ },
    {
      case: 'no credentials',
      env: { AWS_REGION: 'eu-west-1' },
      says: /^There are no AWS credentials on this machine\./,
    },
    {
      case: 'no credentials, and the region as the AWS CLI knows it',
      env: { AWS_DEFAULT_REGION: 'eu-west-1' },
      says: /^There are no AWS credentials on this machine\./,
    },
    {
      case: 'an unknown profile',
      config: SSO,
      env: { AWS_PROFILE: 'wrok', AWS_REGION: 'eu-west-1' },
      says: /^AWS_PROFILE is "wrok", and this machine has no such profile\. It has work\./,
    },
    {
      case: 'an expired sign-in',
      config: SSO,
      env: { AWS_PROFILE: 'work' },
      says: /^Your sign-in to AWS has expired\. Sign in again: aws sso login --profile work$/m,
    },
    {
      case: 'a dead endpoint',
      env: { ...KEYS, AWS_REGION: 'eu-west-1', AWS_ENDPOINT_URL: 'http://127.0.0.1:9' },
      says: /^The endpoint http:\/\/127\.0\.0\.1:9 does not answer \(ECONNREFUSED\)/,
    },
    {
      case: 'an endpoint that is no URL',
      env: { ...KEYS, AWS_REGION: 'eu-west-1', AWS_ENDPOINT_URL: 'localhost' },
      says: /^AWS_ENDPOINT_URL must be a URL such as http:\/\/localhost:4566, got "localhost"\./,
    },
  ])('says what to do about $case: exit code 2', async ({ config = '', env = {}, says }) => {
    const { status, stdout, stderr } = await withSetup(config, env);
    expect(stderr).toMatch(says);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
  });

  it('refuses what is no region', async () => {
    const { status, stderr } = await runInProcess('pause', ['linux', '--region', 'Ireland']);
    expect(status).toBe(2);
    expect(stderr).toContain(
      "error: option '--region <name>' argument 'Ireland' is invalid. It must be the name of a region, such as eu-west-1.",
    );
  });
});
