import { Logger } from '@aws-lambda-powertools/logger';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import * as z from 'zod';
import { handler as countUnclaimed } from '../../functions/count-unclaimed.ts';
import { DescribeGroupInput } from '../../functions/lib/contracts.ts';
import { CircleCiNotFound } from '../../functions/lib/errors.ts';
import { step } from '../../functions/lib/step.ts';
import { handler as updateGroup } from '../../functions/update-group.ts';
import { countInput, EXECUTION_START } from '../support/inputs.ts';
import { failure } from '../support/said.ts';

const log = new Logger({ logLevel: 'DEBUG' });

let printed = '';

beforeEach(() => {
  printed = '';
  for (const stream of [process.stdout, process.stderr]) {
    vi.spyOn(stream, 'write').mockImplementation((text) => {
      printed += String(text);
      return true;
    });
  }
});

afterEach(() => {
  vi.restoreAllMocks();
});

const Line = z.looseObject({ level: z.string(), message: z.string(), error: z.optional(z.looseObject({})) });
const lines = () =>
  printed
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => Line.parse(JSON.parse(line)));

const input = countInput();
const handler = (run: () => unknown) =>
  step('Describe Group', DescribeGroupInput, { log }, async () => run());

describe('a step', () => {
  it('answers what it ran to', async () => {
    expect(await handler(() => ({ desired: 3 }))(input)).toEqual({ desired: 3 });
  });

  it('runs with the dependencies that it is given, and keeps its own for other calls', async () => {
    const production = { log, now: () => 1, answer: 'from production' };
    const own = step('Describe Group', DescribeGroupInput, production, async (_, { answer, now }) => [
      answer,
      now(),
    ]);
    const other = own.with({ answer: 'from a test', now: () => 2 });
    expect(await other(input)).toEqual(['from a test', 2]);
    expect(await own.with({ now: () => 3 })(input)).toEqual(['from production', 3]);
    expect(await own(input)).toEqual(['from production', 1]);
  });

  it('hands the parsed input on, without what is not in the contract', async () => {
    const echo = step('Describe Group', DescribeGroupInput, { log }, async (parsed) => parsed);
    const poll = { ...input.poll, executionStartedAt: EXECUTION_START };
    expect(await echo({ ...input, surplus: true })).toEqual({ ...input, poll });
  });

  it("takes the execution's start as AWS writes it on a whole second", async () => {
    const poll = { ...input.poll, executionStartedAt: '2026-01-05T08:00:00Z' };
    expect(await handler(() => 'taken')({ ...input, poll })).toBe('taken');
  });

  it('lists all faults of its input by name, and does not run', async () => {
    let ran = false;
    const wrong = {
      ...countInput({ fleet: '', settings: { version: 0 } }),
      poll: { ...input.poll, timeoutSeconds: 0.5 },
    };
    const counting = await failure(countUnclaimed(wrong));
    expect(counting.name).toBe('InputInvalid');
    expect(counting.message).toMatch(/^InputInvalid: Count Unclaimed: /);
    for (const fault of [
      'fleet must have at least 1 character, got ""',
      'settings.version must be at least 1, got 0',
      'poll.timeoutSeconds must be ',
      '. An execution begins with {"fleet": "NAME"}.',
      'npx cdk deploy',
    ])
      expect(counting.message).toContain(fault);

    const describing = await failure(
      handler(() => {
        ran = true;
      })({}),
    );
    for (const fault of ['fleet', 'execution', 'settings', 'poll'])
      expect(describing.message).toContain(fault);
    expect(ran).toBe(false);
  });

  it.each([undefined, null, 'text', 3, []])('does not take %j for its input', async (event) => {
    expect(await failure(updateGroup(event))).toMatchObject({ name: 'InputInvalid' });
  });

  it('fails, and logs in production, without characters that control a terminal or mislead', async () => {
    const hostile = 'a\u001b[2J\u202egnp\u2028b\u200bc\r\nd';
    // With the log of production.
    const failing = step('Describe Group', DescribeGroupInput, {}, async () => {
      throw new CircleCiNotFound(hostile, { cause: new Error(hostile) });
    });
    const error = await failure(failing({ ...input, execution: hostile }));
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that none is shown is the point
    const misleading = /[\u001b\u200b\u2028\u202e]/u;
    expect(error.message).toBe('CircleCiNotFound: a\ufffd[2J\ufffdgnp\ufffdb\ufffdc\nd.');
    // Lambda's answer has it, too.
    expect(error.stack).toContain('CircleCiNotFound: a\ufffd[2J');
    expect(error.stack).not.toMatch(misleading);
    expect(lines()).toMatchObject([
      { level: 'ERROR', execution: 'a\ufffd[2J\ufffdgnp\ufffdb\ufffdc\ufffdd' },
    ]);
    expect(printed).not.toMatch(misleading);
  });

  it('cuts what an event says before a log or an error has it', async () => {
    const long = 'x'.repeat(100_000);
    const refused = await failure(countUnclaimed({ ...input, poll: { ...input.poll, number: long } }));
    const keys = Object.fromEntries(Array.from({ length: 2_000 }, (_, index) => [`key-${index}`, 1]));
    const strict = step(
      'Strict',
      z.strictObject({ fleet: z.string(), execution: z.string() }),
      { log },
      async () => 1,
    );
    const crowded = await failure(strict({ fleet: 'linux', execution: 'linux-1', ...keys }));
    for (const { message } of [refused, crowded]) expect(message.length).toBeLessThan(2_500);
    await handler(() => 1)({ ...input, fleet: long, execution: long });
    expect(Math.max(...lines().map((line) => JSON.stringify(line).length))).toBeLessThan(10_000);
  });

  it('fails with the error that was thrown, whose message now begins with its name', async () => {
    const thrown = new CircleCiNotFound('no such class');
    const error = await failure(
      handler(() => {
        throw thrown;
      })(input),
    );
    expect(error).toBe(thrown);
    expect(error.message).toBe('CircleCiNotFound: no such class.');
  });

  it.each([
    {
      case: 'a bug',
      thrown: new TypeError('x is not a function'),
      name: 'TypeError',
      message: 'TypeError: x is not a function.',
    },
    {
      case: 'one whose message cannot be set',
      thrown: new DOMException('no answer', 'AbortError'),
      name: 'AbortError',
      message: 'AbortError: no answer.',
    },
    { case: 'a text', thrown: 'oops', name: 'Error', message: 'Error: oops.' },
    { case: 'nothing', thrown: undefined, name: 'Error', message: 'Error: undefined.' },
  ])('fails with an error even if what was thrown is $case', async ({ thrown, name, message }) => {
    const error = await failure(
      handler(() => {
        throw thrown;
      })(input),
    );
    expect(error).toMatchObject({ name, message });
  });
});

describe('the log line of a step', () => {
  const about = { fleet: 'linux', execution: 'linux-1', poll: 1 };
  const recording = (
    record: (answer: { desired: number }, input: z.infer<typeof DescribeGroupInput>) => object | undefined,
  ) => step('Describe Group', DescribeGroupInput, { log }, async () => ({ desired: 3 }), record);

  it('is its answer, at level DEBUG, if nothing of it is to be recorded', async () => {
    await handler(() => ({ desired: 3 }))(input);
    expect(lines()).toMatchObject([{ level: 'DEBUG', message: 'Describe Group', desired: 3, ...about }]);
  });

  it('is what is to be recorded, at level INFO, and not the answer', async () => {
    await recording(({ desired }, { settings }) => ({ became: desired, settings }))(input);
    expect(lines()).toMatchObject([
      { level: 'INFO', message: 'Describe Group', became: 3, settings: { version: 1 }, ...about },
    ]);
    expect(lines()[0]).not.toHaveProperty('desired');
  });

  it('is its answer, at level DEBUG, if this time there is nothing to record', async () => {
    await recording(() => undefined)(input);
    expect(lines()).toMatchObject([{ level: 'DEBUG', desired: 3, ...about }]);
  });

  it('says how long the step took', async () => {
    await handler(() => new Promise((resolve) => setTimeout(resolve, 20)))(input);
    expect(lines()[0]?.durationMs).toBeGreaterThanOrEqual(19);
  });

  it('belongs to no poll if the step does not', async () => {
    const input_ = z.object({ fleet: z.string(), execution: z.string() });
    await step('Update Group', input_, { log }, async () => ({}))(input);
    expect(lines()).toHaveLength(1);
    for (const line of lines()) expect(line).not.toHaveProperty('poll');
  });

  it.each<{ case: string; run: () => Promise<unknown>; name: string; message: string }>([
    {
      case: 'a failure that has a name',
      run: () =>
        handler(() => {
          throw new CircleCiNotFound('no such class');
        })(input),
      name: 'CircleCiNotFound',
      message: 'no such class',
    },
    {
      case: 'a bug',
      run: () =>
        handler(() => {
          throw new TypeError('x is not a function');
        })(input),
      name: 'TypeError',
      message: 'x is not a function',
    },
    {
      case: 'a record that cannot be made',
      run: () =>
        recording(() => {
          throw new TypeError('x is not a function');
        })(input),
      name: 'TypeError',
      message: 'x is not a function',
    },
  ])('is the failure, at level ERROR, of $case', async ({ run, name, message }) => {
    await failure(run());
    expect(lines()).toMatchObject([
      { level: 'ERROR', message: 'Describe Group', ...about, error: { name, message } },
    ]);
  });

  it('is the fault, at level ERROR, of input that breaks the contract', async () => {
    await failure(handler(() => undefined)({ ...input, settings: {} }));
    expect(lines()).toMatchObject([
      { level: 'ERROR', message: 'Describe Group', error: { name: 'InputInvalid' } },
    ]);
  });
});
