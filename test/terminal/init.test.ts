import { existsSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadFleets } from '../../fleets/load.ts';
import { CircleCi } from '../../sandbox/circleci.ts';
import { commandWords } from '../support/bundled-commands.ts';
import { builds, InitAws } from '../support/init-aws.ts';
import { PseudoTerminal } from '../support/pseudo-terminal.ts';
import { address, serve } from '../support/serve.ts';

const SIZE = { columns: 80, rows: 24 };
const TOKEN = 'CCIPAT_init_0123456789abcdef';
const [ENTER, DOWN] = ['\r', '\x1b[B'];

let aws: InitAws;
let folder: string;
let file: string;
let url: string;
let endpoint: string;

beforeEach(async () => {
  const circleci = new CircleCi();
  circleci.tokens.add(TOKEN);
  for (const name of ['acme/arm', 'acme/linux']) circleci.classes.set(name, { unclaimed: 0, running: 0 });
  url = await serve(circleci);
  aws = await new InitAws().listen();
  endpoint = address(aws.server);
  aws.zones['eu-west-1a']?.push('m7i.xlarge', 'm6i.xlarge');
  aws.vpcs.push(builds());
  folder = mkdtempSync(join(tmpdir(), 'init-terminal-'));
  file = join(folder, 'fleets.yaml');
});

afterEach(() => aws.close());

function start(...words: string[]): PseudoTerminal {
  const {
    AWS_PROFILE: _,
    AWS_SESSION_TOKEN: __,
    CIRCLECI_TOKEN: ___,
    CIRCLECI_CLI_TOKEN: ____,
    CIRCLE_TOKEN: _____,
    ...env
  } = process.env;
  const all = commandWords('init', '--fleets', file, '--circleci-url', url, ...words);
  return new PseudoTerminal(all, SIZE, {
    env: {
      ...env,
      AWS_ENDPOINT_URL: endpoint,
      AWS_REGION: 'eu-west-1',
      AWS_ACCESS_KEY_ID: 'test',
      AWS_SECRET_ACCESS_KEY: 'test',
    },
  });
}

/** The screen, with what differs between runs replaced. */
function shown({ screen }: PseudoTerminal): string {
  const text = screen.lines
    .join('\n')
    .replaceAll(folder, 'FOLDER')
    .replaceAll(url, 'https://circleci.acme.com')
    .replace('  npm run pin\n', '')
    // From the folder of the test to this repository, which may fill more than a line.
    .replace(/schema=[\s\S]*?fleets\.schema\.json/, 'schema=SCHEMA');
  return `\n${text}\n`;
}

function expectCleanTerminal({ screen }: PseudoTerminal): void {
  expect({ cursor: screen.isCursorShown, wraps: screen.wraps }).toEqual({ cursor: true, wraps: true });
}

/** What a person sees and types, question by question, until the maximum. */
const UNTIL_MAXIMUM: { shows: RegExp; types: string }[] = [
  { shows: /Personal API token \(empty/, types: `${TOKEN}${ENTER}` },
  { shows: /Resource class, or only its namespace/, types: `acme${ENTER}` },
  { shows: /acme\/arm/, types: `${DOWN}${ENTER}` },
  { shows: /Size of each instance/, types: `${DOWN}${ENTER}` },
];

const UNTIL_NETWORK = [...UNTIL_MAXIMUM, { shows: /Maximum number of instances/, types: ENTER }];

const UNTIL_RECIPIENT = [
  ...UNTIL_NETWORK,
  { shows: /Network of the instances/, types: `${DOWN}${DOWN}${ENTER}` },
  { shows: /Subnets, from which/, types: ENTER },
];

async function answer(pty: PseudoTerminal, steps: { shows: RegExp; types: string }[]): Promise<void> {
  for (const { shows, types } of steps) {
    await pty.shows(shows);
    // A question reads keys from when it is shown whole.
    await new Promise((resolve) => setTimeout(resolve, 150));
    pty.type(types);
  }
}

describe('npm run init on a terminal of 80 x 24', () => {
  it('asks, and writes what the answers say', async () => {
    const pty = start();
    await answer(pty, [
      ...UNTIL_RECIPIENT,
      { shows: /E-mail address or SNS topic/, types: `ci@example.com${ENTER}` },
    ]);
    expect(await pty.end()).toBe(0);
    expect(shown(pty)).toMatchInlineSnapshot(`
      "
      Account 111122223333, region eu-west-1
      Each fleet runs the jobs of one resource class of CircleCI. With a personal
      API token (app.circleci.com, User Settings), this command lists your classes.
      It does not store the token.
      ✔ Personal API token (empty: no list): ****************************
      ✔ Resource class, or only its namespace to choose: acme
      ✔ Resource class of the runners: acme/linux
      ✔ Size of each instance: m7i.xlarge, m6i.xlarge
      ✔ Maximum number of instances (your CircleCI plan may allow fewer): 20
      ✔ Network of the instances: vpc-0000000a  builds  10.0.0.0/16
      ✔ Subnets, from which instances reach the internet: subnet-0000000a
      ✔ E-mail address or SNS topic for alarms (empty: nobody): ci@example.com
      FOLDER/fleets.yaml: written
      FOLDER/.circleci/config.yml: written
      Next:
        npm run doctor -- --fleets FOLDER/fleets.yaml linux
        npx cdk deploy --all -c fleets=FOLDER/fleets.yaml
        npm run secrets -- --fleets FOLDER/fleets.yaml linux
      Then push the job in .circleci/config.yml to CircleCI, and see the fleet react:
        npm run execute -- linux
        npm run explain -- linux
      "
    `);
    expect(pty.written).not.toContain(TOKEN);
    expectCleanTerminal(pty);
    expect(loadFleets(file)[0]).toMatchObject({
      name: 'linux',
      resourceClass: 'acme/linux',
      instanceTypes: ['m7i.xlarge', 'm6i.xlarge'],
      maxReplicas: 20,
      network: { vpcId: 'vpc-0000000a', subnetIds: ['subnet-0000000a'] },
      alarmEmail: 'ci@example.com',
    });
    expect(existsSync(join(folder, '.circleci/config.yml'))).toBe(true);
  });

  it('says before the questions what it cannot look up', async () => {
    endpoint = 'http://127.0.0.1:1';
    const pty = start();
    await pty.shows(/Personal API token/);
    expect(pty.screen.lines.join(' ')).toMatch(
      /^Not looked up: account, VPCs, zones that offer the types, .* The endpoint .* does not answer/,
    );
    pty.interrupt();
    expect(await pty.end()).toBe(130);
  });

  it('says before the next question why a namespace gives no choice', async () => {
    const pty = start('--types', 'm7i.large', '--network', 'new-vpc');
    await answer(pty, [
      { shows: /Personal API token \(empty/, types: `CCIPAT_another${ENTER}` },
      { shows: /Resource class, or only its namespace/, types: `acme${ENTER}` },
    ]);
    await pty.shows(/Resource class of the runners: acme\//);
    expect(pty.screen.lines.join(' ')).toMatch(/Not looked up: resource classes of acme\./);
    pty.interrupt();
    expect(await pty.end()).toBe(130);
  });

  it('says what an answer must be, and asks again', async () => {
    const pty = start('--types', 'm7i.large', '--network', 'new-vpc');
    await answer(pty, [
      { shows: /Personal API token \(empty/, types: ENTER },
      { shows: /Resource class of the runners/, types: `linux${ENTER}` },
      { shows: /It must be a resource class, namespace\/class, such as acme\/linux\./, types: '\x15' },
      { shows: /Resource class of the runners/, types: `acme/linux${ENTER}` },
      { shows: /Maximum number of instances/, types: `0${ENTER}` },
      { shows: /It must be a whole number from 1 to 10000/, types: `\x155${ENTER}` },
      { shows: /E-mail address or SNS topic/, types: `me${ENTER}` },
      { shows: /It must be an e-mail address such as ops@example\.com, or/, types: `\x15${ENTER}` },
    ]);
    expect(await pty.end()).toBe(0);
    expect(loadFleets(file)[0]).toMatchObject({ resourceClass: 'acme/linux', maxReplicas: 5 });
  });

  it('takes what is typed in place of the default, and says so of far more instances', async () => {
    writeFileSync(
      file,
      'linux: { resourceClass: acme/linux, instanceTypes: [c7i.metal-24xl], maxReplicas: 3, alarmEmail: a@acme.example }\n',
    );
    const pty = start('--network', 'new-vpc', '--force');
    await answer(pty, [
      { shows: /Personal API token \(empty/, types: ENTER },
      { shows: /Resource class of the runners: \(acme\/linux\)/, types: `acme/arm${ENTER}` },
      { shows: /Size of each instance/, types: ENTER },
      { shows: /Instance types, in order.* \(c7i\.metal-24xl\)/, types: `m7i.large${ENTER}` },
      { shows: /Maximum number of instances[^?]*\(3\)/, types: `15${ENTER}` },
      { shows: /SNS topic for alarms \("nobody": nobody\): \(a@acme\.example\)/, types: `nobody${ENTER}` },
    ]);
    expect(await pty.end()).toBe(0);
    expect(pty.screen.lines.join(' ')).toMatch(
      /Up to 15 instances can run at a time, where the default was 3\. If you mean fewer, set maxReplicas in/,
    );
    const [fleet] = loadFleets(file);
    expect(fleet).toMatchObject({
      resourceClass: 'acme/arm',
      instanceTypes: ['m7i.large'],
      maxReplicas: 15,
    });
    expect(fleet?.alarmEmail).toBeUndefined();
  });

  it('shows what would change, and leaves the file if the answer is no', async () => {
    writeFileSync(file, 'linux: { resourceClass: acme/linux, instanceTypes: [m7i.large], maxReplicas: 3 }\n');
    const before = readFileSync(file, 'utf8');
    const words = ['--class', 'acme/linux', '--types', 'm7i.large', '--max', '4', '--network', 'new-vpc'];
    const pty = start(...words, '--notify', 'nobody');
    await pty.shows(/Replace .*fleets\.yaml\? \(y\/N\)/);
    pty.type(ENTER);
    expect(await pty.end()).toBe(1);
    expect(shown(pty)).toMatchInlineSnapshot(`
      "
      Account 111122223333, region eu-west-1
      -linux: { resourceClass: acme/linux, instanceTypes: [m7i.large], maxReplicas: 3 }
      +# yaml-language-server: $schema=SCHEMA
      +# Your editor completes every setting, and docs/configuration.md lists them.
      +# After a change: npx cdk deploy --all
      +linux:
      +  # Jobs name this class as resource_class.
      +  resourceClass: acme/linux
      +  circleciUrl: https://circleci.acme.com
      +  # In order of preference. EC2 takes the next type if the first has no
      +  # capacity.
      +  instanceTypes: [m7i.large]
      +  # Maximum number of instances at a time. "minReplicas: 1" also keeps an idle
      +  # runner, so that the first job does not wait for a boot.
      +  maxReplicas: 4
      +  # Where instances run. They only need a way out to the internet.
      +  network: new-vpc
      +  # Nobody gets the alarms yet:
      +  # alarmEmail: you@example.com
      +  # A script that installs what your jobs need, as root at each boot:
      +  # install: install.sh
      ✔ Replace FOLDER/fleets.yaml? No
      Nothing was written.
      "
    `);
    expect(readFileSync(file, 'utf8')).toBe(before);
    expect(readdirSync(folder)).toEqual(['fleets.yaml']);
    expectCleanTerminal(pty);

    const again = start(...words, '--notify', 'nobody');
    await again.shows(/Replace .*fleets\.yaml\? \(y\/N\)/);
    again.type(`y${ENTER}`);
    expect(await again.end()).toBe(0);
    expect(loadFleets(file)[0]).toMatchObject({ maxReplicas: 4 });
  });

  it('replaces the example unless the answer is no', async () => {
    writeFileSync(file, readFileSync('fleets.yaml'));
    const pty = start(
      '--class',
      'acme/linux',
      '--types',
      'm7i.large',
      '--max',
      '4',
      '--network',
      'new-vpc',
      '--notify',
      'nobody',
    );
    await pty.shows(/Replace it\? \(Y\/n\)/);
    pty.type(ENTER);
    expect(await pty.end()).toBe(0);
    expect(loadFleets(file)[0]).toMatchObject({ maxReplicas: 4 });
  });

  it.each([
    { question: 'the token', after: UNTIL_MAXIMUM.slice(0, 0), shows: /Personal API token/ },
    { question: 'the class', after: UNTIL_MAXIMUM.slice(0, 1), shows: /Resource class, or/ },
    { question: 'the classes', after: UNTIL_MAXIMUM.slice(0, 2), shows: /acme\/arm/ },
    { question: 'the size', after: UNTIL_MAXIMUM.slice(0, 3), shows: /Size of each instance/ },
    { question: 'the maximum', after: UNTIL_MAXIMUM, shows: /Maximum number of instances/ },
    { question: 'the network', after: UNTIL_NETWORK, shows: /Network of the instances/ },
    { question: 'the subnets', after: UNTIL_RECIPIENT.slice(0, -1), shows: /Subnets, from which/ },
    { question: 'the alarms', after: UNTIL_RECIPIENT, shows: /E-mail address or SNS topic/ },
  ])('writes nothing after Ctrl-C at $question', async ({ after, shows }) => {
    const pty = start();
    await answer(pty, after);
    await pty.shows(shows);
    pty.interrupt();
    expect(await pty.end()).toBe(130);
    expect(pty.screen.lines.at(-1)).toBe('Nothing was written.');
    expect(readdirSync(folder)).toEqual([]);
    expectCleanTerminal(pty);
  });

  it.each<{ signal: NodeJS.Signals; code: number }>([
    { signal: 'SIGHUP', code: 129 },
    { signal: 'SIGQUIT', code: 131 },
    { signal: 'SIGTERM', code: 143 },
  ])('leaves the terminal as it was after $signal in a list', async ({ signal, code }) => {
    const pty = start('--class', 'acme/linux');
    await pty.shows(/Size of each instance/);
    await pty.shows(/Other types/);
    expect(pty.screen.isCursorShown).toBe(false);
    pty.signal(signal);
    expect(await pty.end()).toBe(code);
    expect(readdirSync(folder)).toEqual([]);
    expectCleanTerminal(pty);
  });
});
