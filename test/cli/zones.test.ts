import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { minimalNamed } from '../support/fleets.ts';
import { runAgainstAws } from '../support/in-process.ts';
import { address } from '../support/serve.ts';

const OFFERINGS = [
  ['eu-west-1a', 'm7i.large'],
  ['eu-west-1b', 'm7i.large'],
  ['eu-west-1b', 'm7g.large'],
] as const;
const SUBNETS: Record<string, string> = {
  'subnet-0000000a': 'eu-west-1a',
  'subnet-0000000b': 'eu-west-1b',
  'subnet-0000000c': 'eu-west-1c',
};

let server: Server;
let actions: string[];
let lacking: string | undefined;
let folders: string[];

const itemsOf = (items: string[]) => items.map((item) => `<item>${item}</item>`).join('');

/** What EC2 answers: three zones, and offerings in two pages. */
function answer(parameters: URLSearchParams): string {
  switch (parameters.get('Action')) {
    case 'DescribeAvailabilityZones': {
      const zones = ['eu-west-1c', 'eu-west-1a', 'eu-west-1b'].map((zone) => `<zoneName>${zone}</zoneName>`);
      return `<availabilityZoneInfo>${itemsOf(zones)}</availabilityZoneInfo>`;
    }
    case 'DescribeSubnets': {
      const ids = [...parameters].filter(([key]) => key.startsWith('SubnetId.')).map(([, id]) => id);
      const subnets = ids.map(
        (id) => `<subnetId>${id}</subnetId><availabilityZone>${SUBNETS[id]}</availabilityZone>`,
      );
      return `<subnetSet>${itemsOf(subnets)}</subnetSet>`;
    }
    default: {
      const types = [...parameters]
        .filter(([key]) => key.startsWith('Filter.1.Value'))
        .map(([, type]) => type);
      const second = parameters.get('NextToken') !== null;
      const page = OFFERINGS.filter(([, type], index) => types.includes(type) && index > 0 === second).map(
        ([zone, type]) => `<instanceType>${type}</instanceType><location>${zone}</location>`,
      );
      return `<instanceTypeOfferingSet>${itemsOf(page)}</instanceTypeOfferingSet>${second ? '' : '<nextToken>2</nextToken>'}`;
    }
  }
}

beforeEach(async () => {
  actions = [];
  lacking = undefined;
  folders = [];
  server = createServer(async (request, response) => {
    const parameters = new URLSearchParams(await text(request));
    const action = parameters.get('Action') ?? '';
    actions.push(action);
    if (action === lacking) {
      const error = `<Code>InvalidAction</Code><Message>Unknown EC2 action: ${action}</Message>`;
      response
        .writeHead(400, { 'content-type': 'text/xml' })
        .end(`<Response><Errors><Error>${error}</Error></Errors></Response>`);
      return;
    }
    response
      .writeHead(200, { 'content-type': 'text/xml' })
      .end(
        `<${action}Response xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">${answer(parameters)}</${action}Response>`,
      );
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
});

afterEach(() => {
  server.close();
  server.closeAllConnections();
  for (const folder of folders) rmSync(folder, { recursive: true });
});

/** A file with these fleets, each with these lines. */
function zonesOf(fleets: Record<string, string[]>, ...words: string[]) {
  const folder = mkdtempSync(join(tmpdir(), 'zones-'));
  folders.push(folder);
  const file = join(folder, 'fleets.yaml');
  const texts = Object.entries(fleets).map(
    ([name, lines]) =>
      minimalNamed(name).replace('acme/linux', `acme/${name}`) + lines.map((line) => `  ${line}\n`).join(''),
  );
  writeFileSync(file, texts.join(''));
  return runAgainstAws(address(server), 'zones', ['--fleets', file, ...words]);
}

const OWN = (...letters: string[]) =>
  `network: {vpcId: vpc-01234567, subnetIds: [${letters.map((letter) => `subnet-0000000${letter}`).join(', ')}]}`;

describe('npm run zones', () => {
  it('names the zones that offer none of the types, and what to set', async () => {
    const { status, stdout, stderr } = await zonesOf({ linux: [] });
    expect(stdout).toContain(
      '  eu-west-1a  m7i.large\n  eu-west-1b  m7i.large\n  eu-west-1c  none of the types\n',
    );
    expect(stdout).toContain('  Leave out eu-west-1c: zones: [eu-west-1a, eu-west-1b]\n');
    expect(stderr).toContain('linux would launch in zones that offer none of the instance types');
    expect(status).not.toBe(0);
    expect(new Set(actions)).toEqual(new Set(['DescribeAvailabilityZones', 'DescribeInstanceTypeOfferings']));
  });

  it.each([
    { case: 'zones leave it out', lines: ['zones: [eu-west-1a, eu-west-1b]'] },
    { case: 'the subnets leave it out', lines: [OWN('a', 'b')] },
  ])('ends well if $case', async ({ lines }) => {
    const { status, stdout } = await zonesOf({ linux: lines });
    expect(stdout).not.toContain('eu-west-1c');
    expect(status).toBe(0);
  });

  it('reads the zones of the subnets of a VPC', async () => {
    const { stdout, status } = await zonesOf({ linux: [OWN('c', 'a')] }, '--json');
    expect(JSON.parse(stdout)).toEqual([
      {
        fleet: 'linux',
        zones: [
          { zone: 'eu-west-1a', offers: ['m7i.large'] },
          { zone: 'eu-west-1c', offers: [] },
        ],
        leaveOut: ['eu-west-1c'],
      },
    ]);
    expect(status).not.toBe(0);
  });

  it('says of a call that an emulator of AWS does not have that nothing is wrong', async () => {
    lacking = 'DescribeInstanceTypeOfferings';
    const { status, stderr } = await zonesOf({ linux: [] });
    expect(status).toBe(1);
    expect(stderr).toContain(
      `InvalidAction: Unknown EC2 action: DescribeInstanceTypeOfferings. Nothing is wrong if ${address(server)} is an emulator of AWS: it does not have this call.`,
    );
  });

  it('judges only the fleet that is named', async () => {
    const fleets = { bad: [], good: ['zones: [eu-west-1b]'] };
    expect((await zonesOf(fleets, 'good')).status).toBe(0);
    expect((await zonesOf(fleets)).stderr).toContain('bad would launch');
    expect((await zonesOf(fleets, 'other')).stderr).toContain('The fleet must be one of');
  });
});
