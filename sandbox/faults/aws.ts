import { FAILURES } from '../../statemachine/failures.ts';
import type { AwsFault } from '../aws.ts';
import { SANDBOX_TOKEN } from '../sandbox.ts';
import type { Fault } from './fault.ts';

const aws =
  (action: string, fault: AwsFault): Fault['begin'] =>
  ({ sandbox }) => {
    sandbox.aws.fault = (asked) => (asked === action ? fault : undefined);
  };

const secretIs =
  (value: string | undefined): Fault['begin'] =>
  ({ sandbox, world }) => {
    sandbox.aws.secrets.set(world.settings.scalerSecretName, value);
  };

const unreadable = (error: string) => ({ state: FAILURES.SecretsUnreadable, error });

export const OF_SECRETS: Fault[] = [
  {
    name: 'Secrets Manager throttles',
    begin: aws('GetSecretValue', { status: 400, code: 'ThrottlingException', message: 'Rate exceeded' }),
    ends: unreadable('SecretsManagerUnavailable'),
  },
  {
    name: 'Secrets Manager denies access',
    begin: aws('GetSecretValue', { status: 400, code: 'AccessDeniedException', message: 'not authorized' }),
    ends: unreadable('SecretDenied'),
  },
  {
    name: 'Secrets Manager calls the request invalid',
    begin: aws('GetSecretValue', { status: 400, code: 'InvalidParameterException', message: 'Invalid name' }),
    ends: unreadable('SecretNotFound'),
  },
  {
    name: 'Secrets Manager answers 500',
    begin: aws('GetSecretValue', { status: 500, code: 'InternalServiceError', message: 'Internal error' }),
    ends: unreadable('SecretsManagerUnavailable'),
  },
  {
    name: 'Secrets Manager resets connections',
    begin: aws('GetSecretValue', 'reset'),
    ends: unreadable('SecretsManagerUnavailable'),
  },
  {
    name: 'the secret is deleted',
    begin: ({ sandbox, world }) => sandbox.aws.secrets.delete(world.settings.scalerSecretName),
    ends: unreadable('SecretNotFound'),
  },
  {
    name: 'the secret is marked for deletion',
    begin: aws('GetSecretValue', {
      status: 400,
      code: 'InvalidRequestException',
      message: "You can't perform this operation on the secret because it was marked for deletion.",
    }),
    ends: unreadable('SecretNotFound'),
  },
  { name: 'the secret has no value', begin: secretIs(undefined), ends: unreadable('SecretUnset') },
  {
    name: 'nobody has stored the tokens in the secret of the stack',
    begin: (stage) => {
      stage.sandbox.deploy(stage.world, { awaitsTokens: true });
      secretIs(undefined)(stage);
    },
    waits: 'waits for its tokens',
  },
  { name: 'the secret is malformed', begin: secretIs('a token'), ends: unreadable('SecretMalformed') },
  {
    name: 'the secret is of another resource class',
    begin: secretIs(JSON.stringify({ resource_class: 'acme/macos', circle_token: SANDBOX_TOKEN })),
    ends: unreadable('SecretMismatch'),
  },
];

export const THROTTLED: AwsFault = { status: 400, code: 'Throttling', message: 'Rate exceeded' };

/** Each call of the group, the state in which its failure ends, and the error of a request that is invalid. */
export const OF_GROUP: Fault[] = [
  { action: 'DescribeScalingActivities', state: FAILURES.GroupUnreadable, invalid: 'GroupNotFound' },
  { action: 'DescribeAutoScalingGroups', state: FAILURES.GroupUnreadable, invalid: 'GroupNotFound' },
  { action: 'SetDesiredCapacity', state: FAILURES.GroupUpdateRefused, invalid: 'GroupUpdateRefused' },
].flatMap(({ action, state, invalid }) => [
  {
    name: `${action} is throttled`,
    begin: aws(action, THROTTLED),
    ends: { state, error: 'AutoScalingUnavailable' },
  },
  {
    name: `${action} is denied`,
    begin: aws(action, { status: 403, code: 'AccessDenied', message: 'not authorized' }),
    ends: { state, error: 'AutoScalingDenied' },
  },
  {
    name: `${action} finds no group`,
    begin: aws(action, 'no group'),
    ends: { state, error: invalid },
  },
  {
    name: `${action} is invalid`,
    begin: aws(action, { status: 400, code: 'ValidationError', message: 'invalid' }),
    ends: { state, error: invalid },
  },
  {
    name: `${action} answers 500`,
    begin: aws(action, { status: 500, code: 'InternalFailure', message: 'Internal error' }),
    ends: { state, error: 'AutoScalingUnavailable' },
  },
  {
    name: `${action} resets connections`,
    begin: aws(action, 'reset'),
    ends: { state, error: 'AutoScalingUnavailable' },
  },
]);
