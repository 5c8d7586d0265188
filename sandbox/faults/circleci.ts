import { FAILURES } from '../../statemachine/failures.ts';
import type { CircleCiFault, Lie } from '../circleci.ts';
import type { Fault } from './fault.ts';

const both = (count: unknown): CircleCiFault => ({
  status: 200,
  body: JSON.stringify({ unclaimed_task_count: count, running_runner_tasks: count }),
});

export const answer = (status: number, message: string): CircleCiFault => ({
  status,
  body: JSON.stringify({ message }),
});

const PAGE = '<html><body>Service Unavailable</body></html>';

export const circleci =
  (fault: CircleCiFault, hits: (path: string) => boolean = () => true): Fault['begin'] =>
  ({ sandbox }) => {
    sandbox.circleci.fault = ({ path }) => (hits(path) ? fault : undefined);
  };

const lie =
  (how: Lie): Fault['begin'] =>
  ({ sandbox, world }) => {
    sandbox.circleci.lies.set(world.settings.resourceClass, how);
  };

const refuses = (error: string) => ({ state: FAILURES.CircleCiRefuses, error });
export const unavailable = (error: string) => ({ state: FAILURES.CircleCiUnavailable, error });

export const OF_CIRCLECI: Fault[] = [
  {
    name: 'CircleCI answers 401',
    begin: circleci(answer(401, 'Unauthorized')),
    ends: refuses('CircleCiUnauthorized'),
  },
  {
    name: 'CircleCI answers 403',
    begin: circleci(answer(403, 'Forbidden')),
    ends: refuses('CircleCiUnauthorized'),
  },
  {
    name: 'CircleCI answers 404',
    begin: circleci(answer(404, 'Not found')),
    ends: refuses('CircleCiNotFound'),
  },
  {
    name: 'CircleCI answers 400',
    begin: circleci(answer(400, 'Bad request')),
    ends: refuses('CircleCiRejected'),
  },
  {
    name: 'CircleCI redirects to a login',
    begin: circleci({ status: 302, headers: { location: '/login' }, body: '' }),
    ends: refuses('CircleCiRejected'),
  },
  {
    name: 'CircleCI answers 429, Retry-After 2 s, to every request',
    begin: circleci({ status: 429, headers: { 'retry-after': '2' }, body: '' }),
    ends: unavailable('CircleCiRateLimited'),
  },
  {
    name: 'CircleCI answers 429, Retry-After 1 h',
    begin: circleci({ status: 429, headers: { 'retry-after': '3600' }, body: '' }),
    ends: unavailable('CircleCiRateLimited'),
  },
  {
    name: 'CircleCI answers 500',
    begin: circleci(answer(500, 'Internal error')),
    ends: unavailable('CircleCiUnavailable'),
  },
  {
    name: 'CircleCI answers 503 with a page',
    begin: circleci({ status: 503, body: PAGE }),
    ends: unavailable('CircleCiUnavailable'),
  },
  {
    name: 'CircleCI answers 200 with a page',
    begin: circleci({ status: 200, body: PAGE }),
    ends: unavailable('CircleCiNotJson'),
  },
  {
    name: 'CircleCI answers JSON cut short',
    begin: circleci({ status: 200, body: '{"unclaimed_task_count":' }),
    ends: unavailable('CircleCiNotJson'),
  },
  {
    name: 'CircleCI answers JSON without the count',
    begin: circleci({ status: 200, body: '{}' }),
    ends: unavailable('CircleCiInvalidCount'),
  },
  ...[
    { count: 'below 0', value: -1 },
    { count: 'that is a fraction', value: 1.5 },
    { count: 'above a million', value: 1_000_001 },
    { count: 'as text', value: '3' },
    { count: 'of null', value: null },
  ].map(({ count, value }) => ({
    name: `CircleCI answers a count ${count}`,
    begin: circleci(both(value)),
    ends: unavailable('CircleCiInvalidCount'),
  })),
  {
    name: 'CircleCI resets connections',
    begin: circleci('reset'),
    ends: unavailable('CircleCiUnreachable'),
  },
  {
    name: 'CircleCI hangs',
    begin: circleci('hang'),
    ends: unavailable('CircleCiTimeout'),
  },
  {
    name: 'CircleCI answers 500 for unclaimed tasks alone',
    begin: circleci(answer(500, 'Internal error'), (path) => !path.endsWith('/running')),
    ends: unavailable('CircleCiUnavailable'),
  },
  {
    name: 'CircleCI answers 500 for running tasks alone',
    begin: circleci(answer(500, 'Internal error'), (path) => path.endsWith('/running')),
    ends: unavailable('CircleCiUnavailable'),
  },
  {
    name: 'CircleCI answers 500 to every fifth request',
    begin: ({ sandbox }) => {
      sandbox.circleci.fault = () =>
        sandbox.circleci.requests % 5 === 0 ? answer(500, 'Internal error') : undefined;
    },
  },
  {
    name: 'CircleCI answers 429, Retry-After 1 h, to every third request',
    begin: ({ sandbox }) => {
      sandbox.circleci.fault = () =>
        sandbox.circleci.requests % 3 === 0
          ? { status: 429, headers: { 'retry-after': '3600' }, body: '' }
          : undefined;
    },
    ends: unavailable('CircleCiRateLimited'),
    unsteady: 'only where the first poll of an execution meets it',
  },
  {
    name: 'CircleCI knows no such resource class, and counts 0',
    begin: lie('unknown class'),
    rings: 'Counts Doubtful',
  },
  {
    name: 'CircleCI counts 0 because the token may not see the resource class',
    begin: lie('no permission'),
    rings: 'Counts Doubtful',
  },
  {
    name: 'CircleCI counts 0 while its fleet of runners has tasks',
    begin: lie('wrong count'),
    rings: 'Counts Doubtful',
  },
  {
    name: 'CircleCI knows no such resource class, counts 0, and answers 503 for fleets of runners',
    begin: (stage) => {
      lie('unknown class')(stage);
      circleci(answer(503, 'Unavailable'), (path) => path.includes('/fleets'))(stage);
    },
    rings: 'Counts Doubtful',
  },
  {
    name: 'CircleCI answers 503 for the inventory and for fleets of runners',
    begin: circleci(answer(503, 'Unavailable'), (path) => !path.includes('/tasks')),
  },
  {
    name: 'CircleCI takes 3 s for each answer',
    begin: ({ sandbox }) => {
      sandbox.circleci.latency = () => [3, 0];
    },
  },
];
