import { expect, it } from 'vitest';
import { runAgainstAws } from '../support/in-process.ts';

it('says at once that nothing answers at the local AWS that AWS_ENDPOINT_URL names', async () => {
  const { status, stderr } = await runAgainstAws('http://127.0.0.1:1', 'local', []);
  expect(stderr).toContain(
    'Nothing answers at http://127.0.0.1:1, which AWS_ENDPOINT_URL names. Start your local AWS there, or unset AWS_ENDPOINT_URL: then this command starts one.',
  );
  expect(status).toBe(2);
});
