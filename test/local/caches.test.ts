import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LocalAws } from '../../cli/local-aws/local-aws.ts';
import { pythonEnvironment } from '../../cli/local-aws/python.ts';

const run = promisify(execFile);

const ORGANISATION = '11111111-2222-3333-4444-555555555555';
const PROJECT = '66666666-7777-8888-9999-000000000000';

let aws: LocalAws;
let folder: string;
let path: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'caches-test-'));
  path = `${resolve(await pythonEnvironment('test/local/moto.txt', () => undefined))}:${process.env.PATH}`;
  aws = await LocalAws.start(() => undefined);
  aws.adopt();
});

afterAll(async () => {
  await aws?.stop();
  if (folder) rmSync(folder, { recursive: true });
});

/** Runs a command line as a job or an operator does, with the AWS CLI of the tests. */
async function shell(line: string, env: Record<string, string> = {}) {
  const ended = await run('bash', ['-c', line], { env: { ...process.env, ...env, PATH: path } }).catch(
    (error) => error,
  );
  return { status: ended.code ?? 0, said: `${ended.stdout}${ended.stderr}` };
}

describe('the example of caches', () => {
  let outputs: Record<string, string>;

  beforeAll(async () => {
    const readme = readFileSync('examples/caches/README.md', 'utf8');
    const [deploy = '', describe = ''] = /```text\n([\s\S]*?)```/.exec(readme)?.[1]?.trim().split('\n') ?? [];
    expect(deploy).toMatch(/^aws cloudformation deploy .* Organization=ORG Project=PROJECT$/);
    // The CloudFormation of the local AWS has no providers of OpenID Connect.
    const template = readFileSync('examples/caches/role.yaml', 'utf8');
    const without = template
      .replace(/ {2}# An account has[\s\S]*?(?= {2}Role:)/, '')
      .replace(/ {4}DependsOn: Provider\n/, '');
    expect(without.length).toBeLessThan(template.length);
    writeFileSync(join(folder, 'role.yaml'), without);
    const named = deploy
      .replace('examples/caches/role.yaml', join(folder, 'role.yaml'))
      .replace('=ORG', `=${ORGANISATION}`)
      .replace('=PROJECT', `=${PROJECT}`);
    expect(await shell(named)).toEqual({ status: 0, said: expect.stringContaining('Successfully') });
    const { said } = await shell(`${describe} --output json`);
    outputs = Object.fromEntries(
      JSON.parse(said).map((each: Record<string, string>) => [each.OutputKey, each.OutputValue]),
    );
  });

  const cache = (action: string, key: string, place: string, bucket = outputs.Bucket ?? '') =>
    shell(`examples/caches/s3-cache.sh ${action} ${key} ${place}`, { CACHE_BUCKET: bucket });

  it('saves a folder once, and restores it on another machine', async () => {
    const [first, second] = [join(folder, 'first'), join(folder, 'second')];
    mkdirSync(join(first, 'deep'), { recursive: true });
    writeFileSync(join(first, 'deep', 'file'), 'kept');
    expect(await cache('restore', 'npm-1', second)).toEqual({
      status: 0,
      said: 'Cache npm-1: nothing is saved\n',
    });
    expect(await cache('save', 'npm-1', first)).toEqual({ status: 0, said: 'Cache npm-1: saved\n' });
    writeFileSync(join(first, 'deep', 'file'), 'changed');
    expect((await cache('save', 'npm-1', first)).said).toBe('Cache npm-1: is saved already\n');
    expect((await cache('restore', 'npm-1', second)).said).toContain('restored into');
    expect(readFileSync(join(second, 'deep', 'file'), 'utf8')).toBe('kept');
  });

  it('fails no job when the cache is broken or out of reach', async () => {
    writeFileSync(join(folder, 'broken'), 'no archive');
    await shell(`aws s3 cp ${join(folder, 'broken')} s3://${outputs.Bucket}/bad.tar.gz`);
    const restored = await cache('restore', 'bad', join(folder, 'third'));
    expect(restored.status).toBe(0);
    expect(restored.said).toContain('Cache bad: could not be restored');
    const saved = await cache('save', 'npm-1', folder, 'no-such-bucket');
    expect(saved.status).toBe(0);
    expect(saved.said).toContain('Cache npm-1: could not be saved');
  });

  it('refuses a wrong call', async () => {
    expect((await cache('store', 'npm-1', folder)).status).toBe(2);
    expect((await cache('save', 'npm-1', folder, '')).status).toBe(2);
  });

  it('trusts only the project of the organisation', async () => {
    const { said } = await shell(
      'aws iam list-roles --query "Roles[?contains(RoleName, \'ci-cache\')].AssumeRolePolicyDocument" --output json',
    );
    const [{ Statement }] = JSON.parse(said);
    expect(Statement).toEqual([
      {
        Effect: 'Allow',
        Principal: { Federated: expect.stringContaining(`oidc.circleci.com/org/${ORGANISATION}`) },
        Action: 'sts:AssumeRoleWithWebIdentity',
        Condition: {
          StringEquals: { [`oidc.circleci.com/org/${ORGANISATION}:aud`]: ORGANISATION },
          StringLike: {
            [`oidc.circleci.com/org/${ORGANISATION}:sub`]: `org/${ORGANISATION}/project/${PROJECT}/user/*`,
          },
        },
      },
    ]);
  });

  it('is removed by the commands of its README', async () => {
    const readme = readFileSync('examples/caches/README.md', 'utf8');
    const lines =
      /\*\*Remove\.\*\*[\s\S]*?```text\n([\s\S]*?)```/.exec(readme)?.[1]?.trim().split('\n') ?? [];
    expect(lines).toHaveLength(2);
    for (const line of lines)
      expect(await shell(line.replace('CACHE_BUCKET', `${outputs.Bucket}`))).toMatchObject({ status: 0 });
    expect((await shell('aws cloudformation wait stack-delete-complete --stack-name ci-cache')).status).toBe(
      0,
    );
    expect((await shell(`aws s3 ls s3://${outputs.Bucket}`)).said).toContain('NoSuchBucket');
  });
});
