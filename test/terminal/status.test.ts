import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { startOnTerminal } from '../support/aws-terminal.ts';
import { deployedSettings } from '../support/inputs.ts';
import { OperatorAws } from '../support/operator-aws.ts';
import { address } from '../support/serve.ts';

const SIZE = { columns: 80, rows: 24 };

let aws: OperatorAws;
/** Where the command keeps in which account it found the stack. */
let folder: string;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'status-terminal-test-'));
  aws = await new OperatorAws().listen();
  const at = Date.now() - 3_000;
  aws.groups = Array.from({ length: 20 }, (_, index) => ({
    fleet: `fleet-${`${index}`.padStart(2, '0')}`,
    desired: index,
    members: [{ id: `i-${index}`, state: 'InService' }],
  }));
  for (const { fleet } of aws.groups)
    aws.parameters.set(`/circleci-runners/fleets/${fleet}`, JSON.stringify(deployedSettings()));
  aws.logs.set(
    '/aws/lambda/circleci-runners-compute-capacity',
    aws.groups.map(({ fleet, desired }) => {
      const decision = { from: desired, desired, change: false, reasons: [`${desired} running`] };
      const members = { pending: 0, inService: desired, leaving: 0, standby: 0 };
      const polled = { execution: 'e-1', poll: 1, unclaimed: 3, running: desired, members, decision };
      return { timestamp: at, message: JSON.stringify({ message: 'Compute Capacity', fleet, ...polled }) };
    }),
  );
});

afterEach(() => {
  aws.close();
  rmSync(folder, { recursive: true });
});

const watching = (size = SIZE) =>
  startOnTerminal(address(aws.server), { ...size, cwd: folder }, 'status', '--watch', '--every', '2s');

it('npm run status -- --watch ends at once by Ctrl-C while AWS does not answer', async () => {
  const pty = watching();
  await pty.shows(/^fleet-19/);
  aws.isSilent = true;
  const before = aws.called.length;
  await vi.waitFor(() => expect(aws.called.length).toBeGreaterThan(before), 5_000);
  const began = performance.now();
  pty.interrupt();
  expect(await pty.end()).toBe(130);
  expect(performance.now() - began).toBeLessThan(3_000);
  expect(pty.screen.emulator.buffer.active.type).toBe('normal');
});

describe.each([SIZE, { columns: 120, rows: 40 }])(
  'npm run status -- --watch on a terminal of $columns x $rows',
  (size) => {
    it.each<{ signal: NodeJS.Signals | 'Ctrl-C'; code: number }>([
      { signal: 'Ctrl-C', code: 130 },
      { signal: 'SIGHUP', code: 129 },
      { signal: 'SIGTERM', code: 143 },
    ])('watches on one screen, and leaves the terminal as it was after $signal', async ({ signal, code }) => {
      const pty = watching(size);
      await pty.shows(/^fleet-19/);
      expect(pty.screen.emulator.buffer.active.type).toBe('alternate');
      expect(pty.screen.visible[0]).toMatch(/UTC, stack circleci-runners\. Ctrl-C ends this\.$/);
      expect(pty.screen.visible).toContainEqual(expect.stringMatching(/^fleet-19/));
      for (const group of aws.groups) group.desired = 77;
      await pty.shows(/^fleet-03 +3 +3 +77/);
      expect(pty.written).not.toContain('\u001B[2J');
      if (signal === 'Ctrl-C') pty.interrupt();
      else pty.signal(signal);
      expect(await pty.end()).toBe(code);
      expect(pty.screen.emulator.buffer.active.type).toBe('normal');
      expect({ cursor: pty.screen.isCursorShown, wraps: pty.screen.wraps }).toEqual({
        cursor: true,
        wraps: true,
      });
      expect(pty.screen.lines[0]).toMatch(
        /^Account 111122223333, region eu-west-1, stack circleci-runners, ?/,
      );
      expect(pty.screen.lines).toContainEqual(expect.stringMatching(/^fleet +queue +run/));
    });
  },
);
