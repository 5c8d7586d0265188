import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { keepPlace, otherLastPlace, type Place } from '../../cli/aws/place.ts';
import { withEndpoint } from '../../cli/aws/session.ts';

it('keeps where a stack was found, for its owner alone, and says if that was elsewhere', () => {
  const folder = mkdtempSync(join(tmpdir(), 'place-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const file = join(folder, '.local', 'places.json');
  const there: Place = { account: '111122223333', region: 'eu-west-1' };
  const here: Place = { ...there, region: 'us-east-1' };
  expect(otherLastPlace('runners', here, file)).toBeUndefined();
  keepPlace('runners', there, file);
  expect([join(file, '..'), file].map((path) => (statSync(path).mode & 0o777).toString(8))).toEqual([
    '700',
    '600',
  ]);
  expect(otherLastPlace('runners', there, file)).toBeUndefined();
  expect(otherLastPlace('runners', here, file)).toEqual(there);
});

it.each([
  { endpoint: undefined, columns: 80, lines: ['Account 1, stack runners'] },
  { endpoint: 'http://a:1', columns: 80, lines: ['Account 1, stack runners, endpoint http://a:1'] },
  { endpoint: 'http://a:1', columns: 30, lines: ['Account 1, stack runners,', '  endpoint http://a:1'] },
  {
    endpoint: 'https://vpce-1.amazonaws.com',
    columns: 30,
    lines: ['Account 1, stack runners,', '  endpoint https://vpce-1.a...'],
  },
])(
  'shows the endpoint $endpoint in $columns columns, and breaks no address',
  ({ endpoint, columns, lines }) => {
    expect(withEndpoint('Account 1, stack runners', endpoint, columns)).toEqual(lines);
  },
);
