import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { FleetsInvalid, loadFleets, loadSettings } from '../../fleets/load.ts';
import { complaintsAbout, fleetsOf, MINIMAL, minimalNamed, minimalWith } from '../support/fleets.ts';

describe('a fleet with the required settings only', () => {
  it('has the defaults that the settings describe', () => {
    expect(fleetsOf(MINIMAL)).toEqual([
      {
        name: 'linux',
        resourceClass: 'acme/linux',
        instanceTypes: ['m7i.large'],
        minReplicas: 0,
        maxReplicas: 20,
        headroom: 0,
        schedules: [],
        otherRunners: 0,
        pollInterval: 5,
        idleTimeout: 300,
        maxRunTime: 18_000,
        reuse: 'single-task',
        bootTimeout: 600,
        breaker: { failures: 3, window: 900 },
        circleciUrl: 'https://runner.circleci.com',
        image: 'ubuntu',
        workingDirectory: 'root-volume',
        docker: false,
        unsafeRetries: false,
        network: 'default-vpc',
        sessionManager: false,
        allowInstanceMetadata: false,
        logs: false,
        reconcile: 'report',
        starvingAfter: 900,
        tags: {},
        installFile: undefined,
      },
    ]);
  });
});

describe('settings', () => {
  it.each([{ resourceClass: 'acme/linux' }, { resourceClass: 'my-org_1/Linux:x64+gpu-1' }])(
    'resource class $resourceClass is accepted',
    ({ resourceClass }) => {
      const [fleet] = fleetsOf(MINIMAL.replace('acme/linux', resourceClass));
      expect(fleet?.resourceClass).toBe(resourceClass);
    },
  );

  it.each([
    {
      missing: 'resourceClass: acme/linux',
      said: 'resourceClass: must be a resource class, namespace/class, got nothing',
    },
    {
      missing: 'instanceTypes: [m7i.large]',
      said: 'instanceTypes: must be a list of EC2 instance types such as [m7g.large], or set instanceRequirements, got nothing',
    },
    {
      missing: 'maxReplicas: 20',
      said: 'maxReplicas: must be a whole number from 1 to 10000, the maximum number of instances, got nothing',
    },
  ])('$missing cannot be left out', ({ missing, said }) => {
    expect(complaintsAbout(MINIMAL.replace(`  ${missing}\n`, ''))).toContain(`\n  linux.${said}`);
  });

  it('a long value is cut', () => {
    const long = `https://a.example/?${'b'.repeat(500)}`;
    expect(complaintsAbout(minimalWith(`circleciUrl: ${long}`))).toMatch(
      /got "https:\/\/a\.example\/\?b{60}\.\.\.$/,
    );
  });

  it('a map in the wrong place is not shown, because it may hold anything', () => {
    expect(
      complaintsAbout(minimalWith('sshCidr: {password: hunter2}', 'tags: [{password: hunter2}]')),
    ).not.toContain('hunter2');
  });
});

describe('faults of every kind in one file', () => {
  it('are reported together, each with its key path, what is allowed and what was given', () => {
    const text = `
linux:
  resourceClass: linux
  instanceTypes: [m7i.large, m7g.large]
  minReplicas: 3
  maxReplicas: 2
  pollInterval: 10s
  idleTimeout: 30s
  rootVolumeSize: 30.5
  circle_token: hunter2
  install: nowhere.sh
mac:
  resourceClass: acme/mac
  instanceTypes: []
  network: {vpcId: vpc-01234567, subnetIds: subnet-01234567}
MAC:
  resourceClass: acme/mac
  instanceTypes: m7g.large
  maxReplicas: 1
windows: 5
2fast:
`;
    expect(complaintsAbout(text).split('\n  ')).toEqual([
      'fleets.yaml has 16 faults:',
      'linux.resourceClass: must be a resource class, namespace/class, got "linux"',
      'linux.rootVolumeSize: must be a whole number from 8 to 65536, the size of the root volume in GiB, got 30.5',
      'linux.circle_token: is not a setting; docs/configuration.md lists all of them',
      'linux.maxReplicas: must be at least minReplicas (3), got 2',
      'linux.idleTimeout: must be longer than three times pollInterval (10s), or runners leave before they are needed, got "30s"',
      'linux.instanceTypes: must all be of one architecture, arm64 (Graviton) or x86_64, because they share one image, got ["m7i.large", "m7g.large"]',
      'mac.instanceTypes: must name at least one EC2 instance type, such as [m7g.large], got []',
      'mac.maxReplicas: must be a whole number from 1 to 10000, the maximum number of instances, got nothing',
      'mac.network.subnetIds: must be a list of subnets of the VPC, got "subnet-01234567"',
      'MAC.instanceTypes: must be a list of EC2 instance types such as [m7g.large], got "m7g.large"',
      'windows: must be a map of settings, got 5',
      '2fast: must be a map of settings, got nothing',
      'MAC: must differ from mac in more than hyphens, underscores and case',
      'MAC.resourceClass: must differ from the resource class of mac: two fleets of one resource class would both launch an instance for each task, got "acme/mac"',
      '2fast: must have a name of a letter and at most 31 more letters, digits, hyphens and underscores, and not begin with x-',
      expect.stringMatching(
        /^linux\.install: must be the path of a script, relative to this file, got "nowhere\.sh" \(ENOENT: /,
      ),
    ]);
  });
});

describe("a fleet's setting at the top of the file", () => {
  const says = (key: string, fleet: string, more = '') =>
    `${key}: is a setting of a fleet: put it below the name of one, such as ${fleet}.${more}`;
  const SHARE = ' Fleets share settings by YAML merge keys: see docs/configuration.md';

  it('is one fault each that says where it belongs, whatever its value', () => {
    const text = `maxReplicas: 5
schedules: []
spot: {}
concurrency: {limit: 5}
arm:
  resourceClass: acme/arm
  instanceTypes: [m7g.large]
  maxReplicas: 5
  nosuch: 1
`;
    expect(complaintsAbout(text).split('\n  ')).toEqual([
      'fleets.yaml has 4 faults:',
      says('maxReplicas', 'arm', SHARE),
      says('schedules', 'arm', SHARE),
      says('spot', 'arm', SHARE),
      'arm.nosuch: is not a setting; docs/configuration.md lists all of them',
    ]);
  });

  it('is the same in a file without a fleet', () => {
    const text = 'resourceClass: acme/linux\ninstanceTypes: [m7i.large]\n';
    expect(complaintsAbout(text)).toContain(
      `${says('resourceClass', 'linux')}\n  ${says('instanceTypes', 'linux')}`,
    );
  });

  it('is a fleet if it has a resource class', () => {
    expect(fleetsOf(minimalNamed('spot'))).toMatchObject([{ name: 'spot' }]);
  });
});

describe('a file that holds many fleets', () => {
  it('may have a thousand', () => {
    const fleets = Array.from({ length: 1_000 }, (_, index) =>
      minimalNamed(`fleet-${index}`).replace('acme/linux', `acme/class-${index}`),
    );
    expect(fleetsOf(fleets.join(''))).toHaveLength(1_000);
  });
});

describe('a file that holds no fleets', () => {
  const MAP = 'must be a map of fleet names to their settings';
  it.each([
    { file: 'an empty file', text: '', said: `${MAP}, got nothing` },
    {
      file: 'only comments',
      text: '# todo\n',
      said: `${MAP}, got nothing`,
    },
    {
      file: 'a list',
      text: '- linux\n',
      said: `${MAP}, got ["linux"]`,
    },
    { file: 'a text', text: 'linux\n', said: `${MAP}, got "linux"` },
    { file: 'an empty map', text: '{}\n', said: 'must have at least one fleet' },
  ])('$file is refused', ({ text, said }) => {
    expect(complaintsAbout(text)).toBe(`fleets.yaml has a fault:\n  fleets.yaml: ${said}`);
  });

  it.each([
    { case: 'of a fleet', text: `${MINIMAL}\n__proto__: {resourceClass: acme/b}`, at: '__proto__' },
    { case: 'of a setting', text: minimalWith('__proto__: 1'), at: 'linux.__proto__' },
    { case: 'of a tag', text: minimalWith('tags: {__proto__: x}'), at: 'linux.tags.__proto__' },
  ])('may not have the name __proto__ $case, which a parser would leave out', ({ text, at }) => {
    expect(complaintsAbout(text)).toContain(`${at}: must have another name`);
  });

  it('may share settings by merge keys, whose faults are those of the fleet that takes them', () => {
    const shared = (settings: string) =>
      `linux: &shared\n  resourceClass: acme/linux\n  instanceTypes: [m7i.large]\n  maxReplicas: 5\nother:\n  <<: *shared\n  resourceClass: acme/other\n${settings}`;
    expect(fleetsOf(shared(''))[1]).toMatchObject({
      name: 'other',
      resourceClass: 'acme/other',
      instanceTypes: ['m7i.large'],
      maxReplicas: 5,
    });
    expect(complaintsAbout(shared('  minReplicas: 6\n'))).toBe(
      'fleets.yaml has a fault:\n  other.maxReplicas: must be at least minReplicas (6), got 5',
    );
  });

  it('may keep settings of no fleet under keys that begin with x-', () => {
    const text = (settings: string) =>
      `x-common: &common\n  instanceTypes: [m7i.large]\n  maxReplicas: 5\nx-note: any value\nlinux:\n  <<: *common\n  resourceClass: acme/linux\n${settings}`;
    expect(fleetsOf(text(''))).toMatchObject([
      { name: 'linux', resourceClass: 'acme/linux', instanceTypes: ['m7i.large'], maxReplicas: 5 },
    ]);
    expect(complaintsAbout(text('  minReplicas: 6\n'))).toBe(
      'fleets.yaml has a fault:\n  linux.maxReplicas: must be at least minReplicas (6), got 5',
    );
    expect(complaintsAbout('x-common: {maxReplicas: 5}')).toContain('must have at least one fleet');
  });

  it('has no fleet with such a name, which an app could add', () => {
    const { linux } = parse(MINIMAL);
    expect(() => loadSettings({ 'x-linux': linux }, 'the app')).toThrow(
      'x-linux: must have a name of a letter and at most 31 more letters, digits, hyphens and underscores, and not begin with x-',
    );
    expect(loadSettings({ 'X-linux': linux }, 'the app')).toHaveLength(1);
  });

  it.each([
    { file: 'not YAML at all', text: 'linux: [', where: ':1:9' },
    { file: 'a fleet twice', text: MINIMAL + MINIMAL, where: ':7:1' },
    { file: 'a setting twice', text: minimalWith('maxReplicas: 3'), where: ':6:3' },
  ])('$file is refused as no YAML, with the place', ({ text, where }) => {
    expect(complaintsAbout(text)).toMatch(/^fleets\.yaml is not YAML: /);
    expect(complaintsAbout(text)).toContain(where);
  });

  it('without an end is reported, and fills no memory', () => {
    expect(() => loadFleets('/dev/zero')).toThrow(
      new FleetsInvalid('/dev/zero cannot be read: it has more than 10 MB, so it is no file of settings'),
    );
  });

  it('that cannot be read is reported with the reason', () => {
    expect(() => loadFleets('/nowhere/fleets.yaml')).toThrow(
      new FleetsInvalid(
        "/nowhere/fleets.yaml cannot be read: ENOENT: no such file or directory, open '/nowhere/fleets.yaml'",
      ),
    );
  });
});

describe('the fleets.yaml of the repository', () => {
  it('has no faults', () => {
    expect(loadFleets('fleets.yaml')).toHaveLength(1);
  });
});
