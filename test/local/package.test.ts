import { execFile } from 'node:child_process';
import {
  appendFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import {
  AutoScalingClient,
  DescribeAutoScalingGroupsCommand,
  SetDesiredCapacityCommand,
} from '@aws-sdk/client-auto-scaling';
import {
  CloudFormationClient,
  DescribeStackResourcesCommand,
  DescribeStacksCommand,
} from '@aws-sdk/client-cloudformation';
import { LambdaClient, ListFunctionsCommand } from '@aws-sdk/client-lambda';
import {
  GetSecretValueCommand,
  PutSecretValueCommand,
  SecretsManagerClient,
} from '@aws-sdk/client-secrets-manager';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as z from 'zod';
import type { LocalAws } from '../../cli/local-aws/local-aws.ts';
import { libraryExample, PACKAGE, packApart, unpack } from '../support/package.ts';
import { REPLACING } from '../support/replacing.ts';
import { startGatedAws } from './gated-aws.ts';
import type { Gate } from './models/gate.ts';

/**
 * The package as an adopter has it: unpacked into a folder of nothing but Node.js, and deployed, upgraded and removed on a
 * local AWS. `npm run test:package` installs it from npm's registry; here, what the package needs is linked.
 */

const run = promisify(execFile);

const TOKEN = 'resource-class-token-of-an-adopter';

let folder: string;
let tarball: string;
let aws: LocalAws;
let gate: Gate;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'adopter-test-'));
  const [packed, started] = await Promise.all([packApart(folder), startGatedAws()]);
  tarball = join(folder, packed.filename);
  ({ aws, gate } = started);
});

afterAll(() => {
  gate?.close();
  aws?.stop();
  if (folder) rmSync(folder, { recursive: true });
});

/** Links what `npm install` would install beside the package, and the programs of both. */
function linkOthers(adopter: string): void {
  const { dependencies, peerDependencies } = z
    .object({
      dependencies: z.record(z.string(), z.string()),
      peerDependencies: z.record(z.string(), z.string()),
    })
    .parse(JSON.parse(readFileSync('package.json', 'utf8')));
  const link = (target: string, path: string) => {
    mkdirSync(dirname(path), { recursive: true });
    symlinkSync(target, path);
  };
  const modules = join(adopter, 'node_modules');
  for (const name of [...Object.keys({ ...dependencies, ...peerDependencies }), 'aws-cdk'])
    link(resolve('node_modules', name), join(modules, name));
  link('../aws-cdk/bin/cdk', join(modules, '.bin/cdk'));
  link(`../${PACKAGE}/dist/cli/main.js`, join(modules, '.bin/circleci-runners'));
}

/**
 * Without the function by which the CDK empties the default security group of a VPC that it makes: it imports the AWS SDK that
 * Lambda's Node.js has, and MiniStack's lacks.
 */
function withoutVpcFunction(file: string): void {
  const cdk = JSON.parse(readFileSync(file, 'utf8'));
  const context = { ...cdk.context, '@aws-cdk/aws-ec2:restrictDefaultSecurityGroup': false };
  writeFileSync(file, JSON.stringify({ ...cdk, context }));
}

/** A program in the adopter's folder: there, Node.js has no TypeScript loader. */
const inAdopter = (adopter: string, program: string, words: string[]) =>
  run(program, words, { cwd: adopter, env: { ...process.env, NODE_OPTIONS: '' } });

/** `npx circleci-runners`, with its JSON. */
async function command(adopter: string, ...words: string[]) {
  const { stdout } = await inAdopter(adopter, 'npx', [
    '--no-install',
    'circleci-runners',
    ...words,
    '--json',
  ]);
  return JSON.parse(stdout);
}

/** Synthesises the app that `cdk.json` names, or another one, and deploys it. */
async function deploy(adopter: string, ...words: string[]) {
  const assembly = mkdtempSync(join(folder, 'assembly-'));
  const options = ['--quiet', '--output', assembly, '-c', 'runner=current'];
  await inAdopter(adopter, 'npx', ['--no-install', 'cdk', 'synth', ...options, ...words]);
  return aws.deployAssembly(assembly, () => undefined);
}

async function members(group: string) {
  const { AutoScalingGroups: [found] = [] } = await new AutoScalingClient({}).send(
    new DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: [group] }),
  );
  return found?.Instances?.map(({ InstanceId }) => InstanceId).toSorted();
}

async function setDesired(group: string, DesiredCapacity: number): Promise<void> {
  await new AutoScalingClient({}).send(
    new SetDesiredCapacityCommand({ AutoScalingGroupName: group, DesiredCapacity }),
  );
  for (let waited = 0; (await members(group))?.length !== DesiredCapacity && waited < 30; waited += 1)
    await sleep(1_000);
}

/** The names of the stacks of an app that are there. */
async function stacksOf(app: string): Promise<string[]> {
  const { Stacks = [] } = await new CloudFormationClient({}).send(new DescribeStacksCommand({}));
  return Stacks.filter(({ StackStatus }) => StackStatus !== 'DELETE_COMPLETE')
    .map(({ StackName = '' }) => StackName)
    .filter((name) => name.startsWith(app))
    .toSorted();
}

const levelsOf = ({ findings }: { findings: { check: string; level: string }[] }, level: string) =>
  findings.filter((finding) => finding.level === level);

describe('the example of docs/library.md', () => {
  const SHARED = 'circleci-runners';
  const FLEET = `${SHARED}-example`;
  const SECRET = `${SHARED}/example/runner`;

  let adopter: string;

  /** What has state or runs jobs, by stack and logical id. */
  async function keptIds() {
    const found = [SHARED, FLEET].map(async (StackName) => {
      const { StackResources = [] } = await new CloudFormationClient({}).send(
        new DescribeStackResourcesCommand({ StackName }),
      );
      return StackResources.filter(({ ResourceType = '' }) => ResourceType in REPLACING).map(
        ({ LogicalResourceId, PhysicalResourceId }) =>
          `${StackName}/${LogicalResourceId}: ${PhysicalResourceId}`,
      );
    });
    return (await Promise.all(found)).flat().toSorted();
  }

  async function codeOfFunctions() {
    const { Functions = [] } = await new LambdaClient({}).send(new ListFunctionsCommand({}));
    return new Map(
      Functions.filter(({ FunctionName = '' }) => FunctionName.startsWith(`${SHARED}-`)).map(
        ({ FunctionName, CodeSha256 }) => [FunctionName, CodeSha256],
      ),
    );
  }

  beforeAll(async () => {
    adopter = join(folder, 'library');
    mkdirSync(join(adopter, 'typescript'), { recursive: true });
    writeFileSync(join(adopter, 'package.json'), JSON.stringify({ private: true, type: 'module' }));
    cpSync('examples/cdk-app/cdk.json', join(adopter, 'cdk.json'));
    writeFileSync(join(adopter, 'app.js'), libraryExample());
    writeFileSync(join(adopter, 'typescript/app.ts'), libraryExample());
    linkOthers(adopter);
    // In place of an earlier version: the same package with other code of each function.
    const installed = await unpack(tarball, adopter);
    for (const name of readdirSync(join(installed, 'dist/bundles')))
      appendFileSync(join(installed, 'dist/bundles', name, 'index.mjs'), '\n// of an earlier version\n');
  });

  it('is deployed by an app of JavaScript, with Node.js alone', async () => {
    expect(readdirSync(join(adopter, 'node_modules'))).not.toContain('tsx');
    const outputs = await deploy(adopter);
    expect(Object.keys(outputs).toSorted()).toEqual([SHARED, FLEET]);
    expect(await members(FLEET)).toEqual([]);
  });

  it('is shown by npx circleci-runners status', async () => {
    const { fleets } = await command(adopter, 'status');
    expect(fleets).toMatchObject([{ fleet: 'example' }]);
  });

  it('is checked by npx circleci-runners doctor, without a fleets.yaml, and no check fails', async () => {
    const found = await command(adopter, 'doctor');
    expect(levelsOf(found, 'fail')).toEqual([]);
    expect(
      found.findings.map(({ check, level }: { check: string; level: string }) => `${level} ${check}`),
    ).toEqual(expect.arrayContaining(['ok schedule', 'ok alarms']));
    expect(found.findings).toContainEqual(
      expect.objectContaining({ check: 'tokens', says: expect.stringContaining('waits for') }),
    );
  });

  it('is upgraded by an app of TypeScript: the functions are new, and nothing is replaced', async () => {
    await new SecretsManagerClient({}).send(
      new PutSecretValueCommand({ SecretId: SECRET, SecretString: TOKEN }),
    );
    await setDesired(FLEET, 2);
    const before = { ids: await keptIds(), members: await members(FLEET), code: await codeOfFunctions() };
    rmSync(join(adopter, 'node_modules', PACKAGE), { recursive: true });
    await unpack(tarball, adopter);
    const compiler = resolve('node_modules/typescript/bin/tsc');
    const options = ['--module', 'nodenext', '--target', 'es2023', '--skipLibCheck', '--types', ''];
    await inAdopter(adopter, process.execPath, [compiler, ...options, 'typescript/app.ts']);
    await deploy(adopter, '--app', 'node typescript/app.js');
    expect(await keptIds()).toEqual(before.ids);
    expect(before.members).toHaveLength(2);
    expect(await members(FLEET)).toEqual(before.members);
    const code = await codeOfFunctions();
    expect([...code.keys()].toSorted()).toEqual([...before.code.keys()].toSorted());
    expect(code.size).toBeGreaterThan(8);
    for (const [name, hash] of code) expect([name, hash]).not.toEqual([name, before.code.get(name)]);
    const { SecretString } = await new SecretsManagerClient({}).send(
      new GetSecretValueCommand({ SecretId: SECRET }),
    );
    expect(SecretString).toBe(TOKEN);
    expect(levelsOf(await command(adopter, 'doctor'), 'fail')).toEqual([]);
  });

  it('is removed by npx cdk destroy', async () => {
    await setDesired(FLEET, 0);
    await inAdopter(adopter, 'npx', [
      '--no-install',
      'cdk',
      'destroy',
      '--all',
      '--force',
      '-c',
      'runner=current',
    ]);
    expect(await stacksOf(SHARED)).toEqual([]);
    expect(await members(FLEET)).toBeUndefined();
  });
});

describe('the example cdk-app', () => {
  const APP = 'example-cdk-app';
  const readme = readFileSync('examples/cdk-app/README.md', 'utf8');
  /** The words of the README's command of that name, behind `npx circleci-runners`. */
  const said = (name: string) =>
    new RegExp(`^npx circleci-runners (${name}( .*)?)$`, 'm').exec(readme)?.[1]?.split(' ') ?? [];

  let adopter: string;

  beforeAll(async () => {
    adopter = join(folder, 'example');
    cpSync('examples/cdk-app', adopter, { recursive: true });
    withoutVpcFunction(join(adopter, 'cdk.json'));
    linkOthers(adopter);
    await unpack(tarball, adopter);
  });

  it('is deployed as it stands, beside the stack that the app has', async () => {
    expect(readme).toContain('\nnpx cdk deploy --all\n');
    const outputs = await deploy(adopter);
    expect(await stacksOf(APP)).toEqual([APP, `${APP}-linux`, `${APP}-platform`]);
    expect(Object.keys(outputs)).toContain(`${APP}-linux`);
  });

  it('is shown by the commands of its README', async () => {
    expect((await command(adopter, ...said('status'))).fleets).toMatchObject([{ fleet: 'linux' }]);
    expect((await command(adopter, ...said('explain'))).now).toMatch(/^Nothing launches now: /);
    const found = await command(adopter, ...said('doctor'));
    expect(found.stack).toBe(APP);
    expect(levelsOf(found, 'fail')).toEqual([]);
  });

  it('is removed by the command of its README', async () => {
    const [, words = ''] = /`npx cdk (destroy [^`]+)`/.exec(readme) ?? [];
    const more = ['--force', '-c', 'runner=current'];
    await inAdopter(adopter, 'npx', ['--no-install', 'cdk', ...words.split(' '), ...more]);
    expect(await stacksOf(APP)).toEqual([]);
  });
});
