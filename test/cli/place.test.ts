import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { keepPlace, otherLastPlace, type Place } from '../../cli/aws/place.ts';

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
