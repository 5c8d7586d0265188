import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';

/** Its own, because other tests begin and end meanwhile. */
const TMPDIR = mkdtempSync(join(tmpdir(), 'watch-test-'));

afterAll(() => rmSync(TMPDIR, { recursive: true }));

const leftovers = () => readdirSync(TMPDIR).filter((name) => name.startsWith('circleci-runners-'));

it('npm run local prints executions as they happen, and Ctrl-C leaves nothing behind', {
  timeout: 240_000,
}, async () => {
  const { AWS_ENDPOINT_URL: _, ...environment } = process.env;
  const local = spawn(process.execPath, ['--import', 'tsx', 'cli/main.ts', 'local'], {
    env: { ...environment, TMPDIR },
  });
  let said = '';
  await new Promise<void>((ended) => {
    local.once('exit', () => ended());
    local.stdout.on('data', (chunk) => {
      said += chunk;
      if (said.includes('polls,')) ended();
    });
  });
  expect(said).toContain('2 AWS::CloudWatch::CompositeAlarm, 4 AWS::Logs::QueryDefinition');
  expect(said).toContain('SUCCEEDED');
  expect(said).toContain('desired capacity rises from 0 to 4');
  expect(leftovers()).toHaveLength(1);
  local.kill('SIGINT');
  const [code] = await once(local, 'exit');
  expect(code).toBe(130);
  expect(leftovers()).toEqual([]);
  const emulator = /127\.0\.0\.1:(\d+)/.exec(said)?.[1];
  await expect(fetch(`http://127.0.0.1:${emulator}/_ministack/health`)).rejects.toThrow('fetch failed');
});
