import { spawnSync } from 'node:child_process';
import { expect, it } from 'vitest';

/** An account that owns nothing: even if the script ran to its end, it could delete nothing. */
const NOBODY = 65_534;

it.each([['--help'], ['now']])('examples/clean-image.sh %s says what it does, and does not do it', (word) => {
  const isRoot = process.getuid?.() === 0;
  const { status, stderr } = spawnSync('bash', ['examples/clean-image.sh', word], {
    encoding: 'utf8',
    ...(isRoot && { uid: NOBODY, gid: NOBODY }),
  });
  expect({ status, stderr }).toEqual({
    status: 2,
    stderr: expect.stringMatching(/^Usage: sudo .*deletes tokens/),
  });
});
