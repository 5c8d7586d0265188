import { expect, it } from 'vitest';
import { keyPath } from '../../functions/lib/key-path.ts';

it.each<{ path: PropertyKey[]; says: string }>([
  { path: [], says: '' },
  { path: ['linux'], says: 'linux' },
  { path: ['linux', 'rootVolume', 'size'], says: 'linux.rootVolume.size' },
  { path: ['linux', 'schedules', 0, 'timezone'], says: 'linux.schedule 1.timezone' },
  { path: ['concurrency', 1, 'fleets', 1], says: 'concurrency 2.fleet 2' },
  { path: ['secretPrefixes', 0], says: 'secretPrefix 1' },
  { path: ['scalerProxies', 0], says: 'scalerProxy 1' },
  { path: ['linux', 'tags', '0'], says: 'linux.tags.0' },
])('$path is $says', ({ path, says }) => {
  expect(keyPath(path)).toBe(says);
});
