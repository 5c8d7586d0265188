import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { FleetsInvalid, loadFleets, loadSettings } from '../../fleets/load.ts';
import { MINIMAL, minimalWith, placedComplaintsAbout } from '../support/fleets.ts';

/** The lines below the title of the message, without the text of the faults. */
const placesIn = (text: string) =>
  placedComplaintsAbout(text)
    .split('\n')
    .filter((line) => /^ {4}/.test(line))
    .map((line) => line.slice(4));

describe('a fault of fleets.yaml is shown in the file', () => {
  it('below what is said of it', () => {
    expect(
      placedComplaintsAbout(
        'linux:\n  resourceClass: acme/linux\n  instanceTypes: [m7i.large]\n  maxReplicas: 0\n',
      ),
    ).toBe(
      `fleets.yaml has a fault:
  linux.maxReplicas: must be a whole number from 1 to 10000, the maximum number of instances, got 0
    fleets.yaml:4:16
    4 |   maxReplicas: 0
      |                ^`,
    );
  });

  it.each([
    {
      case: 'a value',
      text: minimalWith('idleTimeout: never'),
      shown: ['6:16', '  idleTimeout: never', '               ^^^^^'],
    },
    {
      case: 'a value with a comment',
      text: minimalWith('idleTimeout: never # hunter2'),
      shown: ['6:16', '  idleTimeout: never', '               ^^^^^'],
    },
    {
      case: 'an unknown setting, without its value',
      text: minimalWith('circle_token: hunter2'),
      shown: ['6:3', '  circle_token', '  ^^^^^^^^^^^^'],
    },
    {
      case: 'a list',
      text: MINIMAL.replace('[m7i.large]', '[]'),
      shown: ['4:3', '  instanceTypes', '  ^^^^^^^^^^^^^'],
    },
    {
      case: 'a part of a list',
      text: MINIMAL.replace('m7i.large', 'm7i.large, big'),
      shown: ['4:30', '  instanceTypes: [..., big', '                       ^^^'],
    },
    {
      case: 'a fleet that lacks a setting',
      text: MINIMAL.replace(/ {2}maxReplicas.*/, ''),
      shown: ['2:1', 'linux', '^^^^^'],
    },
    {
      case: 'a fleet of a wrong name',
      text: MINIMAL.replace('linux:', '2fast:'),
      shown: ['2:1', '2fast', '^^^^^'],
    },
    {
      case: 'a tag of a wrong name',
      text: minimalWith('tags: {"aws:x": hunter2}'),
      shown: ['6:10', '  tags: {"aws:x"', '         ^^^^^^^'],
    },
    { case: 'a setting without a value', text: minimalWith('image:'), shown: ['6:3', '  image', '  ^^^^^'] },
    {
      case: 'a setting in a list of maps',
      text: minimalWith('schedules:', '  - name: day', '    start: 0 8 * *'),
      shown: ['8:14', '      start: 0 8 * *', '             ^^^^^^^'],
    },
    {
      case: 'the install script',
      text: minimalWith('install: nowhere.sh'),
      shown: ['6:12', '  install: nowhere.sh', '           ^^^^^^^^^^'],
    },
    {
      case: 'a URL, without its password',
      text: minimalWith('circleciUrl: https://bob:hunter2@acme.example'),
      shown: ['6:16', '  circleciUrl: https://***@acme.example', '               ^^^^^^^^^^^^^^^^^^^^^^^^'],
    },
    {
      case: 'a text of several lines',
      text: minimalWith('idleTimeout: "in the', '  evening"'),
      shown: ['6:16', '  idleTimeout: "in the', '               ^^^^^^^'],
    },
    {
      case: 'a line that ends as on Windows',
      text: minimalWith('idleTimeout: never\r'),
      shown: ['6:16', '  idleTimeout: never', '               ^^^^^'],
    },
    {
      case: 'a whole file that is a list',
      text: '# all\n- linux: hunter2\n',
      shown: ['2:1', '- linux: ...', '^'],
    },
    { case: 'a whole file that is a text', text: '\nlinux\n', shown: ['2:1', 'linux', '^^^^^'] },
    {
      case: 'a file without fleets',
      text: 'concurrency: {limit: 5}\n',
      shown: ['1:1', 'concurrency: {limit: ...}', '^'],
    },
    {
      case: 'a map in a list',
      text: minimalWith('schedules:', '  - name: hunter2'),
      shown: ['7:7', '    - name: ...', '      ^'],
    },
    {
      case: 'a key that JavaScript treats differently',
      text: minimalWith('"__proto__": 1'),
      shown: ['6:3', '  "__proto__"', '  ^^^^^^^^^^^'],
    },
  ])('$case', ({ text, shown }) => {
    const [place = '', excerpt, caret] = shown;
    const number = place.split(':')[0] ?? '';
    expect(placesIn(text).slice(0, 3)).toEqual([
      `fleets.yaml:${place}`,
      `${number} | ${excerpt}`,
      `${' '.repeat(number.length)} | ${caret}`,
    ]);
    expect(placedComplaintsAbout(text)).not.toContain('hunter2');
  });

  it.each(['', '# todo\n'])('except in a file without content, which is named: %j', (text) => {
    expect(placedComplaintsAbout(text)).toBe(
      'fleets.yaml has a fault:\n  fleets.yaml: must be a map of fleet names to their settings, got nothing',
    );
  });

  it('without the values of other settings in its line', () => {
    const text =
      'linux: {token: hunter2, resourceClass: acme/linux, instanceTypes: [m7i.large], maxReplicas: 0}';
    expect(placesIn(text)).toEqual([
      'fleets.yaml:1:93',
      '1 | ......, resourceClass: ..., instanceTypes: [...], maxReplicas: 0',
      expect.stringMatching(/^ {2}\| +\^$/),
      'fleets.yaml:1:9',
      '1 | linux: {token',
      '  |         ^^^^^',
    ]);
  });

  it('cut, if the line is long', () => {
    const [, excerpt = '', caret = ''] = placesIn(minimalWith(`idleTimeout: ${'never'.repeat(100)}`));
    expect(excerpt).toMatch(/^6 | {3}idleTimeout: (never){12}\.\.\.$/);
    expect(excerpt.length).toBeLessThan(100);
    expect(caret.length).toBeLessThan(excerpt.length);
  });

  it('twice, if fleets share the setting: where it is, and where it is used', () => {
    const text = `linux: &shared
  resourceClass: acme/linux
  instanceTypes: [m7i.large]
  maxReplicas: 5
other:
  <<: *shared
  resourceClass: acme/other
  minReplicas: 6
third:
  <<: [{headroom: 1}, *shared]
  resourceClass: acme/third
  minReplicas: 6
`;
    expect(placedComplaintsAbout(text)).toBe(`fleets.yaml has 2 faults:
  other.maxReplicas: must be at least minReplicas (6), got 5
    fleets.yaml:4:16
    4 |   maxReplicas: 5
      |                ^
    used at fleets.yaml:6:7
    6 |   <<: *shared
      |       ^^^^^^^
  third.maxReplicas: must be at least minReplicas (6), got 5
    fleets.yaml:4:16
    4 |   maxReplicas: 5
      |                ^
    used at fleets.yaml:10:23
    10 |   <<: [{headroom: ...}, *shared
       |                         ^^^^^^^`);
  });

  it('twice, if the setting is an alias', () => {
    const text = `${minimalWith('rootVolume: &volume {size: 3}')}other:
  resourceClass: acme/other
  instanceTypes: [m7i.large]
  maxReplicas: 5
  rootVolume: *volume
`;
    expect(placesIn(text).slice(3)).toEqual([
      'fleets.yaml:6:30',
      '6 |   rootVolume: &volume {size: 3',
      '  |                              ^',
      'used at fleets.yaml:11:15',
      '11 |   rootVolume: *volume',
      '   |               ^^^^^^^',
    ]);
  });

  it.each([
    { case: 'a bracket that is open', text: 'linux: [', place: '1:9', excerpt: 'linux: [' },
    { case: 'a fleet that is there twice', text: MINIMAL + MINIMAL, place: '7:1', excerpt: 'linux:' },
    { case: 'a secret', text: 'linux:\n  token: hunter: 2\n', place: '2:10', excerpt: '  token: ...' },
    { case: 'an alias of nothing', text: 'linux: *shared\n', place: '1:8', excerpt: 'linux: *shared' },
  ])('where it is no YAML: $case', ({ text, place, excerpt }) => {
    const said = placedComplaintsAbout(text);
    expect(said).toMatch(/^fleets\.yaml is not YAML: /);
    expect(said.split('\n').slice(1, 3)).toEqual([
      `  fleets.yaml:${place}`,
      `  ${place.split(':')[0]} | ${excerpt}`,
    ]);
  });
});

describe('a fault of guardrails.yaml', () => {
  const other = (name: string, maxReplicas: number) =>
    `${name}:\n  resourceClass: acme/${name}\n  instanceTypes: [m7i.large]\n  maxReplicas: ${maxReplicas}\n`;

  function load(guardrails: string, fleets = MINIMAL): string {
    const folder = mkdtempSync(join(tmpdir(), 'places-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    writeFileSync(join(folder, 'fleets.yaml'), fleets);
    writeFileSync(join(folder, 'guardrails.yaml'), guardrails);
    try {
      loadFleets(join(folder, 'fleets.yaml'), { guardrails: join(folder, 'guardrails.yaml') });
    } catch (error) {
      if (error instanceof FleetsInvalid) return error.message.replaceAll(`${folder}/`, '');
      throw error;
    }
    throw new Error('Nothing is wrong.');
  }

  it('is shown in that file', () => {
    expect(load('networks: [subnet-x]\n')).toContain(
      '\n    guardrails.yaml:1:12\n    1 | networks: [subnet-x\n      |            ^^^^^^^^',
    );
  });

  it('is shown in fleets.yaml, if that asks for too much', () => {
    expect(load('maxInstances: 1\n')).toContain(
      '\n    fleets.yaml:5:16\n    5 |   maxReplicas: 20\n      |                ^^',
    );
  });

  it.each(['maxInstancesOfAllFleets: 21', 'maxHourlyCostOfAllFleets: 2'])(
    'of all fleets together is shown at the one with the largest share: %s',
    (ceiling) => {
      const said = load(
        `${ceiling}\n`,
        `${MINIMAL.replace('20', '2')}${other('big', 20)}${other('small', 3)}`,
      );
      expect(said).toMatch(/\(all fleets\): .*: lower maxReplicas, first that of big \(max\w+\)/);
      expect(said).toContain('\n    fleets.yaml:9:16\n    9 |   maxReplicas: 20\n      |                ^^');
    },
  );

  it('of the whole file is shown where it begins', () => {
    expect(load('# none\n- networks: hunter2\n')).toBe(
      'guardrails.yaml has a fault:\n  guardrails.yaml: must be a map of ceilings, got [a map]\n    guardrails.yaml:2:1\n    2 | - networks: ...\n      | ^',
    );
  });
});

it('settings that are no text have no places', () => {
  expect(() => loadSettings({ linux: { maxReplicas: 0 } }, 'the settings')).toThrow(
    /^the settings has 3 faults:(\n {2}linux\.\w+: .*){3}$/,
  );
});
