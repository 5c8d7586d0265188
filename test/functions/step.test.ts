import { describe, expect, it } from 'vitest';
import { handler as countUnclaimed } from '../../functions/count-unclaimed.ts';
import { DescribeGroupInput } from '../../functions/lib/contracts.ts';
import { CircleCiNotFound } from '../../functions/lib/errors.ts';
import { step } from '../../functions/lib/step.ts';
import { handler as updateGroup } from '../../functions/update-group.ts';
import { countInput, firstPoll } from '../support/inputs.ts';
import { failure } from '../support/said.ts';

const input = { fleet: 'linux', execution: 'linux-1', groupName: 'runners', poll: firstPoll() };
const handler = (run: () => unknown) => step('Describe Group', DescribeGroupInput, async () => run());

describe('a step', () => {
  it('answers what it ran to', async () => {
    expect(await handler(() => ({ desired: 3 }))(input)).toEqual({ desired: 3 });
  });

  it('hands the parsed input on, without what is not in the contract', async () => {
    const echo = step('Describe Group', DescribeGroupInput, async (parsed) => parsed);
    expect(await echo({ ...input, surplus: true })).toEqual(input);
  });

  it("takes the execution's start as AWS writes it on a whole second", async () => {
    const poll = firstPoll({ executionStartedAt: '2026-01-05T08:00:00Z' });
    expect(await handler(() => 'taken')({ ...input, poll })).toBe('taken');
  });

  it('lists all faults of its input by name, and does not run', async () => {
    let ran = false;
    const wrong = {
      ...countInput({ fleet: '', circleciUrl: 'runner' }),
      poll: { ...firstPoll(), timeoutSeconds: 0.5 },
    };
    const counting = await failure(countUnclaimed(wrong));
    expect(counting.name).toBe('InputInvalid');
    expect(counting.message).toMatch(/^InputInvalid: Count Unclaimed: /);
    for (const fault of ['fleet', 'circleciUrl', 'poll.timeoutSeconds'])
      expect(counting.message).toContain(fault);

    const describing = await failure(
      handler(() => {
        ran = true;
      })({}),
    );
    for (const fault of ['fleet', 'execution', 'groupName', 'poll'])
      expect(describing.message).toContain(fault);
    expect(ran).toBe(false);
  });

  it.each([
    'runner.circleci.com',
    'runner.circleci.com:443',
    'ftp://runner.circleci.com',
    'file:///etc/passwd',
  ])('does not take %s for the address of a server', async (circleciUrl) => {
    const { name, message } = await failure(countUnclaimed(countInput({ circleciUrl })));
    expect(name).toBe('InputInvalid');
    expect(message).toContain('circleciUrl');
  });

  it.each([undefined, null, 'text', 3, []])('does not take %j for its input', async (event) => {
    expect(await failure(updateGroup(event))).toMatchObject({ name: 'InputInvalid' });
  });

  it('fails with the error that was thrown, whose message now begins with its name', async () => {
    const thrown = new CircleCiNotFound('no such class');
    const error = await failure(
      handler(() => {
        throw thrown;
      })(input),
    );
    expect(error).toBe(thrown);
    expect(error.message).toBe('CircleCiNotFound: no such class');
  });

  it.each([
    {
      case: 'a bug',
      thrown: new TypeError('x is not a function'),
      name: 'TypeError',
      message: 'TypeError: x is not a function',
    },
    {
      case: 'one whose message cannot be set',
      thrown: new DOMException('no answer', 'AbortError'),
      name: 'AbortError',
      message: 'AbortError: no answer',
    },
    { case: 'a text', thrown: 'oops', name: 'Error', message: 'Error: oops' },
    { case: 'nothing', thrown: undefined, name: 'Error', message: 'Error: undefined' },
  ])('fails with an error even if what was thrown is $case', async ({ thrown, name, message }) => {
    const error = await failure(
      handler(() => {
        throw thrown;
      })(input),
    );
    expect(error).toMatchObject({ name, message });
  });
});
