import { existsSync, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { loadFleets } from '../../fleets/load.ts';
import { CircleCi } from '../../sandbox/circleci.ts';
import { runAgainstAws } from '../support/in-process.ts';
import { builds, InitAws } from '../support/init-aws.ts';
import { address, serve } from '../support/serve.ts';

const TOKEN = 'CCIPAT_init_0123456789abcdef';

let aws: InitAws;
let folder: string;
let file: string;

beforeEach(async () => {
  aws = await new InitAws().listen();
  aws.vpcs.push(builds());
  folder = mkdtempSync(join(tmpdir(), 'init-test-'));
  file = join(folder, 'fleets.yaml');
});

afterEach(() => {
  aws.close();
  expect(aws.called.filter((call) => !/^(Get|Describe)/.test(call))).toEqual([]);
});

const init = (words: string[], env: NodeJS.ProcessEnv = {}) =>
  runAgainstAws(address(aws.server), 'init', ['--fleets', file, ...words], { env });

const read = () => readFileSync(file, 'utf8');
const fleet = () => loadFleets(file)[0];

const CLASS = ['--class', 'acme/linux'];

describe('what it looks up', () => {
  it('leaves zones out that offer none of the types', async () => {
    aws.zones = { 'eu-west-1a': ['m7i.large'], 'eu-west-1b': ['m6i.large'], 'eu-west-1c': [] };
    await init([...CLASS, '--yes']);
    expect(fleet()?.zones).toEqual(['eu-west-1a', 'eu-west-1b']);
  });

  it('names three zones at most for a new VPC', async () => {
    const types = ['m7i.large', 'm6i.large'];
    const zones = ['a', 'b', 'c', 'd', 'e'].map((letter) => [
      `eu-west-1${letter}`,
      letter === 'b' ? [] : types,
    ]);
    aws.zones = Object.fromEntries(zones);
    await init([...CLASS, '--yes', '--network', 'new-vpc']);
    expect(fleet()?.zones).toEqual(['eu-west-1a', 'eu-west-1c', 'eu-west-1d']);
  });

  it('leaves types out that no zone offers, unless that is all of them', async () => {
    aws.zones = { 'eu-west-1a': ['m6i.large'] };
    const { stderr } = await init([...CLASS, '--yes']);
    expect(fleet()?.instanceTypes).toEqual(['m6i.large']);
    expect(stderr).toContain('No zone of this region offers m7i.large, so the file leaves it out.\n');
    const none = await init([...CLASS, '--types', 'm8i.large', '--force']);
    expect(fleet()).toMatchObject({ instanceTypes: ['m8i.large'] });
    expect(fleet()).not.toHaveProperty('zones');
    expect(none.stderr).toContain('No zone of this region offers m8i.large. Choose other types: --types\n');
  });

  it('makes a new VPC if the region has no default one', async () => {
    aws.vpcs = [];
    const { stderr } = await init([...CLASS, '--yes']);
    expect(fleet()?.network).toBe('new-vpc');
    expect(stderr).toContain('This region has no default VPC, so the fleet gets a new one');
    const asked = await init([...CLASS, '--network', 'default-vpc', '--force']);
    expect(asked.stderr).toContain('This region has no default VPC. Make one');
  });

  it('takes the subnets of a VPC that lead out and are in a zone with the types', async () => {
    aws.zones['eu-west-1c'] = [];
    aws.vpcs[1]?.subnets?.push({ id: 'subnet-0000000c', zone: 'eu-west-1c' });
    await init([...CLASS, '--yes', '--network', 'vpc-0000000a']);
    expect(fleet()?.network).toEqual({ vpcId: 'vpc-0000000a', subnetIds: ['subnet-0000000a'] });
  });

  it('compares the quota with the maximum', async () => {
    aws.quota = 5;
    const { stderr } = await init([...CLASS, '--yes']);
    expect(stderr).toContain(
      '20 instances have 40 vCPUs, and the On-Demand quota of this account is 5. Raise it in Service Quotas, or lower --max.\n',
    );
  });

  it('names the bootstrap of the CDK only where it is missing', async () => {
    expect((await init([...CLASS, '--yes'])).stdout).not.toContain('npx cdk bootstrap');
    aws.isBootstrapped = false;
    expect((await init([...CLASS, '--yes'])).stdout).toContain('  npx cdk bootstrap\n');
  });

  it('says in one line what AWS does not answer, and goes on with the defaults', async () => {
    aws.refused
      .add('DescribeVpcs')
      .add('DescribeInstanceTypeOfferings')
      .add('GetServiceQuota')
      .add('GetParameter');
    const { status, stderr } = await init([...CLASS, '--yes']);
    expect(status).toBe(0);
    expect(stderr).toContain(
      'Not looked up: zones that offer the types, VPCs, vCPU quota, bootstrap of the CDK. You may not.\n',
    );
    expect(fleet()).toMatchObject({ network: 'default-vpc', instanceTypes: ['m7i.large', 'm6i.large'] });
    const needed = await init([...CLASS, '--network', 'vpc-0000000a', '--force']);
    expect(needed.status).toBe(0);
    aws.refused.add('DescribeSubnets');
    const closed = await init([...CLASS, '--network', 'vpc-0000000b', '--force']);
    expect(closed).toMatchObject({ status: 2 });
    expect(closed.stderr).toContain('The subnets of vpc-0000000b cannot be looked up. Give them: --subnets');
  });

  it('does not wait for an answer that does not come', async () => {
    aws.silent.add('GetCallerIdentity');
    // Three seconds pass in a tenth of them.
    const { timeout } = AbortSignal;
    const timeouts = vi.spyOn(AbortSignal, 'timeout').mockImplementation((wait) => timeout(wait / 10));
    onTestFinished(() => timeouts.mockRestore());
    const { status, stderr } = await init([...CLASS, '--yes']);
    expect(status).toBe(0);
    expect(timeouts.mock.calls).toContainEqual([3_000]);
    expect(stderr).toContain('Account unknown, region eu-west-1\n');
  });

  it('keeps zones that it cannot look up again', async () => {
    aws.zones = { 'eu-west-1a': ['m7i.large', 'm6i.large'], 'eu-west-1b': [] };
    await init([...CLASS, '--yes']);
    const before = read();
    aws.refused.add('DescribeInstanceTypeOfferings');
    expect((await init(['--yes'])).status).toBe(0);
    expect(read()).toBe(before);
  });
});

describe('the resource classes', () => {
  async function withToken(token: string, words: string[]) {
    const circleci = new CircleCi();
    circleci.tokens.add(TOKEN);
    for (const name of ['acme/arm', 'acme/linux', 'other/linux'])
      circleci.classes.set(name, { unclaimed: 0, running: 0 });
    const url = await serve(circleci);
    const ended = await init(['--yes', '--circleci-url', url, ...words], { CIRCLECI_TOKEN: token });
    expect(ended.stdout + ended.stderr + (existsSync(file) ? read() : '')).not.toContain(token);
    return ended;
  }

  it('are asked for with the token of the environment', async () => {
    const { status, stderr } = await withToken(TOKEN, CLASS);
    expect(status).toBe(0);
    expect(stderr).not.toMatch(/CircleCI|Not looked up/);
  });

  it('are named if the class is none of them', async () => {
    const { status, stderr } = await withToken(TOKEN, ['--class', 'acme/windows']);
    expect(status).toBe(0);
    expect(stderr).toContain(
      'CircleCI lists no resource class acme/windows for this token, only acme/arm, acme/linux. To make it: circleci runner resource-class create acme/windows "EC2" --generate-token\n',
    );
  });

  it('are not looked up with a token that CircleCI refuses', async () => {
    const { status, stderr } = await withToken('CCIPAT_wrong', CLASS);
    expect(status).toBe(0);
    expect(stderr).toContain(
      'Not looked up: resource classes of acme. CircleCI refuses the token with 401.\n',
    );
  });

  it('are not looked up with a token that none is', async () => {
    const { status, stderr } = await withToken('täg 1', CLASS);
    expect(status).toBe(2);
    expect(stderr).toContain('The token in CIRCLECI_TOKEN has characters that no token has.');
  });

  it('are not looked up if CircleCI does not answer', async () => {
    const words = ['--yes', '--circleci-url', 'http://127.0.0.1:1', ...CLASS];
    const { status, stderr } = await init(words, { CIRCLECI_TOKEN: TOKEN });
    expect(status).toBe(0);
    expect(stderr).toContain(
      'Not looked up: resource classes of acme. http://127.0.0.1:1 does not answer.\n',
    );
  });
});
