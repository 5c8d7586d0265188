import { existsSync, mkdtempSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { isShippedExample } from '../../cli/init/files.ts';
import { loadFleets } from '../../fleets/load.ts';
import { SynthesisedTemplate } from '../infra/template.ts';
import { runAgainstAws } from '../support/in-process.ts';
import { builds, InitAws } from '../support/init-aws.ts';
import { address } from '../support/serve.ts';

const TOPIC = 'arn:aws:sns:eu-west-1:111122223333:alarms';

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
  const others = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.part')) : [];
  expect(others).toEqual([]);
  expect(aws.called.filter((call) => !/^(Get|Describe)/.test(call))).toEqual([]);
});

const init = (words: string[], env: NodeJS.ProcessEnv = {}) =>
  runAgainstAws(address(aws.server), 'init', ['--fleets', file, ...words], { env });

const read = () => readFileSync(file, 'utf8');
const fleet = () => loadFleets(file)[0];

const EXAMPLE = readFileSync('fleets.yaml', 'utf8');
const CLASS = ['--class', 'acme/linux'];

describe('the files', () => {
  it('are the shortest that load, with a comment for each line', async () => {
    const { status, stdout } = await init([...CLASS, '--yes']);
    expect({
      status,
      stdout: stdout.replaceAll(folder, 'FOLDER').replace('  npm run pin\n', ''),
    }).toMatchInlineSnapshot(`
      {
        "status": 0,
        "stdout": "FOLDER/fleets.yaml: written
      FOLDER/.circleci/config.yml: written
      Next:
        npm run doctor -- --fleets FOLDER/fleets.yaml linux
        npx cdk deploy --all -c fleets=FOLDER/fleets.yaml
        npm run secrets -- --fleets FOLDER/fleets.yaml linux
      Then push the job in .circleci/config.yml to CircleCI, and see the fleet react:
        npm run execute -- linux
        npm run explain -- linux
      ",
      }
    `);
    expect(read().replace(/schema=.*fleets/, 'schema=fleets')).toMatchInlineSnapshot(`
      "# yaml-language-server: $schema=fleets.schema.json
      # Your editor completes every setting, and docs/configuration.md lists them.
      # After a change: npx cdk deploy --all
      linux:
        # Jobs name this class as resource_class.
        resourceClass: acme/linux
        # In order of preference. EC2 takes the next type if the first has no
        # capacity.
        instanceTypes: [m7i.large, m6i.large]
        # Maximum number of instances at a time. "minReplicas: 1" also keeps an idle
        # runner, so that the first job does not wait for a boot.
        maxReplicas: 20
        # Nobody gets the alarms yet:
        # alarmEmail: you@example.com
        # A script that installs what your jobs need, as root at each boot:
        # install: install.sh
      "
    `);
    expect(Object.keys(parse(read()).linux)).toEqual(['resourceClass', 'instanceTypes', 'maxReplicas']);
    expect(
      read()
        .split('\n')
        .filter((line) => line.length > 80 && !line.includes('$schema')),
    ).toEqual([]);
    const config = parse(readFileSync(join(folder, '.circleci/config.yml'), 'utf8'));
    expect(config.jobs.hello).toMatchObject({ machine: true, resource_class: 'acme/linux' });
    expect(config.workflows.first.jobs).toEqual(['hello']);
  });

  it('stay as they are when the command runs again', async () => {
    await init([...CLASS, '--yes', '--notify', 'ci@example.com']);
    const before = read();
    for (const again of [['--yes'], [...CLASS, '--yes'], []]) {
      const { status, stdout } = await init(again);
      expect(status).toBe(0);
      expect(stdout.match(/has these settings already/g)).toHaveLength(2);
      expect(read()).toBe(before);
    }
  });

  it('keep settings that a person has added', async () => {
    await init([...CLASS, '--yes']);
    writeFileSync(file, `${read()}  minReplicas: 2\n  logs: true # for a while\n`);
    const before = read();
    expect((await init(['--yes'])).status).toBe(0);
    expect(read()).toBe(before);
    expect((await init(['--max', '30', '--force'])).status).toBe(0);
    expect(fleet()).toMatchObject({ maxReplicas: 30, minReplicas: 2, logs: true });
  });

  it('do not keep the resource class of the example', async () => {
    const edited = EXAMPLE.replace(/ {2}install.*\n/, '');
    writeFileSync(file, edited);
    const { status, stderr } = await init(['--yes']);
    expect(status).toBe(2);
    expect(stderr).toContain('Missing: --class.');
  });

  it('replace the example that the repository ships only with --yes or --force', async () => {
    expect(isShippedExample(EXAMPLE)).toBe(true);
    expect(isShippedExample(EXAMPLE.replaceAll('\n', '\r\n'))).toBe(true);
    writeFileSync(file, EXAMPLE);
    const all = [
      ...CLASS,
      '--types',
      'm7g.large',
      '--max',
      '3',
      '--network',
      'new-vpc',
      '--notify',
      'nobody',
    ];
    const refused = await init(all);
    expect(refused.status).toBe(2);
    expect(refused.stderr).toContain('is still the example. Nothing was written. To replace it, add --yes.');
    expect(read()).toBe(EXAMPLE);
    expect((await init([...all, '--yes'])).stdout).toContain(`${file}: replaced\n`);
    expect(fleet()).toMatchObject({ name: 'linux', maxReplicas: 3 });
  });

  it.each([
    { case: 'the example with a change', text: EXAMPLE.replace('20', '21') },
    { case: 'several fleets', text: `${EXAMPLE}other:\n  resourceClass: acme/other\n` },
    { case: 'settings of all fleets', text: `maxHourlyCost: 3\n${EXAMPLE}` },
    { case: 'no YAML', text: '{' },
    { case: 'nothing', text: '' },
  ])('replace $case only with --force, and show the difference', async ({ text }) => {
    writeFileSync(file, text);
    const refused = await init([...CLASS, '--yes']);
    expect(refused.status).toBe(2);
    expect(refused.stderr).toContain('+  resourceClass: acme/linux\n');
    expect(refused.stderr).toContain(
      `${file} has other settings. Nothing was written. To replace it, add --force.`,
    );
    expect(read()).toBe(text);
    expect(existsSync(join(folder, '.circleci'))).toBe(false);
    expect((await init([...CLASS, '--yes', '--force'])).status).toBe(0);
    expect(fleet()?.resourceClass).toBe('acme/linux');
  });

  it('never replace a .circleci/config.yml without a question', async () => {
    await init([...CLASS, '--yes']);
    const config = join(folder, '.circleci/config.yml');
    writeFileSync(config, 'version: 2.1\n');
    const { status, stdout } = await init([...CLASS, '--yes', '--force']);
    expect(status).toBe(0);
    expect(stdout).toContain(`${config}: left as it is\n`);
    expect(readFileSync(config, 'utf8')).toBe('version: 2.1\n');
  });

  it('are fleets.yaml alone with --no-config', async () => {
    await init([...CLASS, '--yes', '--no-config']);
    expect(readdirSync(folder)).toEqual(['fleets.yaml']);
  });

  it('are written where a link points', async () => {
    const target = join(folder, 'target.yaml');
    writeFileSync(target, EXAMPLE);
    symlinkSync(target, file);
    await init([...CLASS, '--yes']);
    expect(readFileSync(target, 'utf8')).toContain('acme/linux');
    expect(read()).toBe(readFileSync(target, 'utf8'));
  });

  it('are not written with --dry-run, and are printed', async () => {
    writeFileSync(file, EXAMPLE);
    const { status, stdout } = await init([...CLASS, '--yes', '--dry-run']);
    expect(status).toBe(0);
    expect(stdout).toContain('  resourceClass: acme/linux\n');
    expect(stdout).toContain('    resource_class: acme/linux\n');
    expect(stdout).toMatch(/^\S*fleets\.yaml: would be replaced$/m);
    expect(stdout).toMatch(/^\S*config\.yml: would be written$/m);
    expect(read()).toBe(EXAMPLE);
    expect(readdirSync(folder)).toEqual(['fleets.yaml']);
  });

  it('are printed with --json, with what was not looked up and what comes next', async () => {
    aws.refused.add('GetServiceQuota');
    const { stdout } = await init([...CLASS, '--yes', '--json', '--stack', 'ci']);
    const shown = JSON.parse(stdout);
    expect(shown).toMatchObject({
      fleet: 'linux',
      dryRun: false,
      files: [
        { file, action: 'new', text: read() },
        { file: join(folder, '.circleci/config.yml'), action: 'new' },
      ],
      notes: [],
      notLookedUp: [
        { what: ['resource classes of acme'], why: 'There is no token in CIRCLECI_TOKEN.' },
        { what: ['vCPU quota'], why: 'You may not.' },
      ],
    });
    expect(shown.next.slice(-2)).toEqual([
      `npx cdk deploy --all -c fleets=${file} -c stack=ci`,
      `npm run secrets -- --fleets ${file} --stack ci linux`,
    ]);
  });
});

describe('every combination of options', () => {
  const networks = {
    'default-vpc': ['--network', 'default-vpc'],
    'new-vpc': ['--network', 'new-vpc'],
    'a VPC': ['--network', 'vpc-0000000a'],
    'a VPC and subnets': ['--network', 'vpc-0000000a', '--subnets', 'subnet-0000000a,subnet-0000000b'],
  };
  const recipients = {
    nobody: ['--notify', 'nobody'],
    'an address': ['--notify', 'ci@example.com'],
    'a topic': ['--notify', TOPIC],
  };
  const sizes = {
    'the default': ['--yes'],
    Graviton: ['--types', 'm7g.xlarge', '--max', '500'],
    'several types': ['--types', 'm7i.large, m6i.large', '--max', '1', '--name', 'a_b-2'],
  };
  const servers = { cloud: [], server: ['--circleci-url', 'http://localhost:8080'] };

  const combinations = Object.entries(networks).flatMap(([network, a]) =>
    Object.entries(recipients).flatMap(([recipient, b]) =>
      Object.entries(sizes).flatMap(([size, c]) =>
        Object.entries(servers).map(([server, d]) => ({
          network,
          recipient,
          size,
          server,
          words: [...a, ...b, ...c, ...d],
        })),
      ),
    ),
  );

  it.each(combinations)(
    'loads: $network, $recipient, $size, $server',
    async ({ words, network, recipient }) => {
      const ended = await init([...CLASS, ...words]);
      expect(ended).toMatchObject({ status: 0 });
      expect(fleet()).toMatchObject({
        resourceClass: 'acme/linux',
        network: network.startsWith('a VPC') ? { vpcId: 'vpc-0000000a' } : network,
        ...(recipient === 'an address' && { alarmEmail: 'ci@example.com' }),
        ...(recipient === 'a topic' && { alarmTopicArn: TOPIC }),
      });
      const before = read();
      expect((await init([])).status).toBe(0);
      expect(read()).toBe(before);
    },
  );

  it.each([
    networks['new-vpc'].concat(recipients['a topic'], sizes.Graviton),
    networks['a VPC'].concat(recipients['an address'], sizes['several types']),
  ])('makes a stack: %s', async (...words) => {
    await init([...CLASS, ...words]);
    const template = SynthesisedTemplate.of(loadFleets(file));
    expect(template.all('AWS::AutoScaling::AutoScalingGroup')).toHaveLength(1);
  });

  it.each([
    'acme/Linux-Large',
    'acme/9:x+y',
    'acme/concurrency',
    'acme/null',
    'acme/true',
    'a-b_c/very-long-name-of-a-class-with-more-than-32-characters',
    'acme/+',
  ])('names a fleet of %s', async (name) => {
    expect(await init(['--class', name, '--yes'])).toMatchObject({ status: 0 });
    expect(fleet()?.resourceClass).toBe(name);
    expect(parse(readFileSync(join(folder, '.circleci/config.yml'), 'utf8')).jobs.hello.resource_class).toBe(
      name,
    );
  });
});

describe('wrong options', () => {
  it.each([
    { words: [], says: 'Missing: --class, --types, --max, --network, --notify.' },
    { words: ['--yes'], says: 'There is no default. Missing: --class. Nothing was written.' },
    { words: [...CLASS, '--max', '3'], says: 'Missing: --types, --network, --notify.' },
    {
      words: ['--class', 'linux', '--yes'],
      says: 'It must be a resource class, namespace/class, such as acme/linux.',
    },
    { words: [...CLASS, '--yes', '--max', '0'], says: 'It must be a whole number from 1 to 10000' },
    { words: [...CLASS, '--yes', '--max', 'many'], says: 'It must be a whole number from 1 to 10000' },
    {
      words: [...CLASS, '--yes', '--max', '501'],
      says: 'maxReplicas: must be at most 500, got 501 (maxInstances)',
    },
    {
      words: [...CLASS, '--yes', '--types', 'large'],
      says: 'It must be an EC2 instance type such as m7g.large.',
    },
    {
      words: [...CLASS, '--yes', '--types', 'm7i.larg'],
      says: `argument 'm7i.larg' is invalid. It must be types that EC2 has, got "m7i.larg"; the nearest one is m7i.large.`,
    },
    { words: [...CLASS, '--yes', '--types', ''], says: 'It must name at least one EC2 instance type' },
    {
      words: [...CLASS, '--yes', '--types', 'm7i.large,m7g.xlarge'],
      says: "option '--types <list>' argument 'm7i.large,m7g.xlarge' is invalid. It must all be of one architecture, because they share one image: m7i.large is x86_64, m7g.xlarge is arm64. Make a fleet for each architecture.",
    },
    { words: [...CLASS, '--yes', '--types', 'p5.48xlarge'], says: 'GPU' },
    {
      words: [...CLASS, '--yes', '--network', 'vpc'],
      says: 'It must be default-vpc, new-vpc, or the id of a VPC',
    },
    { words: [...CLASS, '--yes', '--subnets', 'subnet-0000000a'], says: '--subnets needs --network' },
    {
      words: [...CLASS, '--yes', '--network', 'vpc-0000000a', '--subnets', 'x'],
      says: 'must be the id of a subnet',
    },
    { words: [...CLASS, '--yes', '--subnets', 'x'], says: 'must be the id of a subnet' },
    {
      words: [...CLASS, '--yes', '--network', 'vpc-0000000f'],
      says: 'No subnet of vpc-0000000f has a route',
    },
    {
      words: [...CLASS, '--yes', '--notify', 'me'],
      says: 'It must be an e-mail address such as ops@example.com, or the ARN of an SNS topic such as arn:aws:sns:eu-west-1:111122223333:alarms. For nobody: nobody.',
    },
    { words: [...CLASS, '--yes', '--notify', 'bob'], says: "argument 'bob' is invalid" },
    {
      words: [...CLASS, '--yes', '--notify', 'arn:aws:sns:x'],
      says: 'It must be the ARN of a standard SNS topic',
    },
    { words: [...CLASS, '--yes', '--name', '1st'], says: "argument '1st' is invalid. It must have a letter" },
    { words: [...CLASS, '--yes', '--name', 'concurrency'], says: 'concurrency is a setting of all fleets' },
    { words: [...CLASS, '--yes', '--circleci-url', 'ftp://x'], says: 'It must be a URL such as' },
    { words: [...CLASS, '--yes', '--circleci-url', 'https://ci.acme.com'], says: '(circleciUrls)' },
    { words: [...CLASS, '--yes', 'more'], says: 'too many arguments' },
  ])('$words: $says', async ({ words, says }) => {
    const { status, stdout, stderr } = await init(words);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toContain(says);
    // No file has been written, so no complaint names a line of it.
    expect(stderr).not.toMatch(/:\d+:\d+$/m);
    expect(readdirSync(folder)).toEqual([]);
  });
});
