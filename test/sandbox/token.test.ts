import { describe, expect, it } from 'vitest';
import type { CircleCiFault } from '../../sandbox/circleci.ts';
import { SANDBOX_TOKEN } from '../../sandbox/sandbox.ts';
import { LINUX, oneFleet, polledAt, retriesOf } from '../support/sandbox.ts';

describe('the token', () => {
  it('may be rotated in the middle of an execution', async () => {
    const { sandbox, world, execute } = await oneFleet({ queued: 2, fleet: { name: 'rotating' } });
    const secret = { resource_class: LINUX.resourceClass, circle_token: 'CCIPAT_rotated' };
    sandbox.agenda.plan(22, () => {
      sandbox.circleci.tokens.clear();
      sandbox.circleci.tokens.add('CCIPAT_rotated');
      sandbox.aws.secrets.set(world.settings.scalerSecretName, JSON.stringify(secret));
    });
    const execution = await execute();
    expect(execution.status).toBe('SUCCEEDED');
    expect(polledAt(execution)).toHaveLength(11);
    expect(retriesOf(execution)).toBe(0);
  });

  it.each<{ case: string; fault: CircleCiFault | undefined }>([
    { case: 'when all is well', fault: undefined },
    {
      case: 'when CircleCI refuses it and echoes it',
      fault: { status: 401, body: `{"message":"${SANDBOX_TOKEN}"}` },
    },
    {
      case: 'when a proxy echoes the request',
      fault: { status: 200, body: `Circle-Token: ${SANDBOX_TOKEN}` },
    },
    { case: 'when CircleCI fails and echoes it', fault: { status: 500, body: SANDBOX_TOKEN } },
  ])('is in no state, no cause, no metric and no message $case', async ({ fault }) => {
    const { sandbox, execute } = await oneFleet({
      queued: 2,
      replace: { 'Count Failure': async () => Promise.reject(new Error('down')) },
    });
    sandbox.circleci.fault = () => fault;
    const execution = await execute();
    const { metrics, messages } = sandbox.workflow;
    expect(messages).toHaveLength(fault === undefined ? 0 : 1);
    expect(JSON.stringify([execution, metrics, messages])).not.toContain(SANDBOX_TOKEN);
    expect(JSON.stringify(execution)).toContain('circleci-runner-autoscaler/linux/scaler');
  });
});
