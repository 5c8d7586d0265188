import { createServer, type Server, type ServerResponse } from 'node:http';
import { Annotations, Match } from 'aws-cdk-lib/assertions';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { FleetsInvalid } from '../../fleets/load.ts';
import { STACK_TAG } from '../../functions/lib/tags.ts';
import { compareWithDeployed, deployedGroups } from '../../infra/deployed-fleets.ts';
import { fleetsWith } from '../support/fleets.ts';
import { address } from '../support/serve.ts';
import { appOf } from './template.ts';

describe('a synthesis that sees the account', () => {
  const { stacks } = appOf(fleetsWith({ linux: {}, 'b-x': {} }));

  it('names the deployed fleets that the file does not have, and how to remove each', () => {
    const app = 'circleci-runners';
    compareWithDeployed(stacks, [
      { app, fleet: 'linux' },
      { app, fleet: 'old_one' },
      { app: 'team-b', fleet: 'other' },
    ]);
    const warnings = Annotations.fromStack(stacks.shared).findWarning('*', Match.stringLikeRegexp('Fleet'));
    expect(warnings.map(({ entry }) => entry.data)).toEqual([
      expect.stringContaining(
        'Fleet old_one is deployed, and the fleets file does not have it. It keeps running. To remove it: npm run drain -- old_one, and when its instances are gone, aws cloudformation delete-stack --stack-name circleci-runners-old-one',
      ),
    ]);
  });

  it.each([
    {
      case: 'the stack of a fleet',
      deployed: { app: 'circleci-runners-b', fleet: 'x' },
      taken: 'circleci-runners-b-x',
    },
    { case: 'the shared stack', deployed: { app: 'circleci', fleet: 'runners' }, taken: 'circleci-runners' },
    {
      case: 'the stack of a fleet, with what others share',
      deployed: { app: 'circleci-runners-linux', fleet: 'y' },
      taken: 'circleci-runners-linux',
    },
  ])('refuses $case if another app has it', ({ deployed, taken }) => {
    expect(() => compareWithDeployed(stacks, [deployed])).toThrow(FleetsInvalid);
    expect(() => compareWithDeployed(stacks, [deployed])).toThrow(
      `The stack ${taken} must not be one of another app, got that of app ${deployed.app} with fleet ${deployed.fleet}.`,
    );
  });
});

describe('the groups in the account', () => {
  const TARGET = { CDK_DEFAULT_ACCOUNT: '111122223333', CDK_DEFAULT_REGION: 'eu-west-1' };
  let server: Server;
  let asked: URLSearchParams[];
  let respond: (response: ServerResponse) => void;

  const groupXml = (name: string, app: string, account = '111122223333') =>
    `<member><AutoScalingGroupName>${name}</AutoScalingGroupName><AutoScalingGroupARN>arn:aws:autoscaling:eu-west-1:${account}:autoScalingGroup:0:autoScalingGroupName/${name}</AutoScalingGroupARN><Tags><member><Key>${STACK_TAG}</Key><Value>${app}</Value></member></Tags></member>`;
  const answer =
    (...groups: string[]) =>
    (response: ServerResponse) =>
      response.end(
        `<DescribeAutoScalingGroupsResponse><DescribeAutoScalingGroupsResult><AutoScalingGroups>${groups.join('')}</AutoScalingGroups></DescribeAutoScalingGroupsResult></DescribeAutoScalingGroupsResponse>`,
      );

  beforeEach(async () => {
    asked = [];
    server = createServer(async (request, response) => {
      let body = '';
      for await (const chunk of request) body += chunk;
      asked.push(new URLSearchParams(body));
      respond(response);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    vi.stubEnv('AWS_ENDPOINT_URL', address(server));
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'test');
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'test');
  });
  afterEach(() => {
    vi.unstubAllEnvs();
    server.close();
    server.closeAllConnections();
  });

  it('are those of all apps, by their tag', async () => {
    respond = answer(groupXml('a-linux', 'a'), groupXml('a-b-x', 'a-b'), groupXml('c-x', 'a'));
    expect(await deployedGroups(TARGET)).toEqual([
      { app: 'a', fleet: 'linux' },
      { app: 'a-b', fleet: 'x' },
    ]);
    expect(asked.map((body) => [body.get('Action'), body.get('Filters.member.1.Values.member.1')])).toEqual([
      ['DescribeAutoScalingGroups', STACK_TAG],
    ]);
  });

  it('are not those of another account than the one that the CDK deploys to', async () => {
    respond = answer(groupXml('a-linux', 'a', '444455556666'));
    expect(await deployedGroups(TARGET)).toEqual([]);
  });

  it.each([{}, { CDK_DEFAULT_REGION: 'eu-west-1' }])(
    'are none, and nobody is asked, if the CDK says %o',
    async (env) => {
      expect(await deployedGroups(env)).toEqual([]);
      expect(asked).toEqual([]);
    },
  );

  it.each([
    { case: 'a refusal', with: (response: ServerResponse) => response.writeHead(403).end('<Error/>') },
    { case: 'no answer', with: () => undefined },
  ])('are none after $case, and the synthesis goes on', async ({ with: given }) => {
    respond = given;
    const start = performance.now();
    expect(await deployedGroups(TARGET, 300)).toEqual([]);
    expect(performance.now() - start).toBeLessThan(5_000);
    expect(asked).toHaveLength(1);
  });
});
