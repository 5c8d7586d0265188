import { createServer, type Server, type ServerResponse } from 'node:http';
import { Annotations, Match } from 'aws-cdk-lib/assertions';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { FleetsInvalid, loadSettings } from '../../fleets/load.ts';
import { PAUSED_TAG, STACK_TAG } from '../../functions/lib/tags.ts';
import {
  compareWithAccount,
  compareWithDeployed,
  type DeployedGroup,
  deployedGroups,
  deployedParts,
} from '../../infra/deployed-fleets.ts';
import { fleetsWith } from '../support/fleets.ts';
import { address } from '../support/serve.ts';
import { appOf, SynthesisedTemplate } from './template.ts';

const APP = 'circleci-runners';
const groupOf = (fleet: string, more: Partial<DeployedGroup> = {}): DeployedGroup => ({
  app: APP,
  fleet,
  maxSize: 10,
  draining: false,
  ...more,
});

describe('a synthesis that sees the account', () => {
  const { stacks } = appOf(fleetsWith({ linux: {}, 'b-x': {} }));

  it('names the deployed fleets that the file does not have, and how to remove each', () => {
    compareWithDeployed(
      stacks,
      [
        groupOf('linux'),
        groupOf('old_one'),
        groupOf('older'),
        groupOf('oldest'),
        groupOf('other', { app: 'team-b' }),
      ],
      new Map([
        ['old_one', { resourceClass: 'acme/old', mostHourlyCost: 1 }],
        ['older', { resourceClass: 'acme/older' }],
      ]),
    );
    const warnings = Annotations.fromStack(stacks.shared).findWarning('*', Match.stringLikeRegexp('Fleet'));
    expect(warnings.map(({ entry }) => entry.data)).toEqual([
      expect.stringContaining(
        'Fleet old_one is deployed, and the fleets file does not have it. It keeps running. To remove it: npm run drain -- old_one, and when its instances are gone, aws cloudformation delete-stack --stack-name circleci-runners-old-one',
      ),
      expect.stringContaining('An older version deployed it, so its cost is not counted. To remove it'),
      expect.stringMatching(
        /It keeps running, but a deployment of circleci-runners may take rights that only it needs: .*so its resource class and cost are not compared\. To remove it/,
      ),
    ]);
  });

  it('refuses to take the rights of a fleet that runs, and says which a fleet loses that drains', () => {
    const settings = { resourceClass: 'acme/own', scalerSecretName: 'existing/scaler' };
    const compare = (draining: boolean) =>
      compareWithDeployed(stacks, [groupOf('own', { draining })], new Map([['own', settings]]));
    expect(() => compare(false)).toThrow(
      'own: must stay in the file while it runs, because a deployment of circleci-runners would take its rights to its scalerSecretName existing/scaler.',
    );
    compare(true);
    const [warning] = Annotations.fromStack(stacks.shared).findWarning(
      '*',
      Match.stringLikeRegexp('Fleet own '),
    );
    expect(warning?.entry.data).toContain(
      'It keeps running until it is drained, and a deployment of circleci-runners takes its rights to its scalerSecretName existing/scaler.',
    );
  });

  it('refuses a fleet that would launch for the tasks of one that the file no longer has', () => {
    const parts = new Map([['renamed', { resourceClass: 'acme/linux' }]]);
    const compare = (draining: boolean) =>
      compareWithDeployed(stacks, [groupOf('renamed', { draining })], parts);
    expect(() => compare(false)).toThrow(FleetsInvalid);
    expect(() => compare(false)).toThrow(
      'linux.resourceClass: must differ from that of the deployed fleet renamed, which the file does not have',
    );
    expect(() => compare(true)).not.toThrow();
  });

  it.each([
    {
      case: 'the stack of a fleet',
      deployed: groupOf('x', { app: 'circleci-runners-b' }),
      taken: 'circleci-runners-b-x',
    },
    {
      case: 'the shared stack',
      deployed: groupOf('runners', { app: 'circleci' }),
      taken: 'circleci-runners',
    },
    {
      case: 'the stack of a fleet, with what others share',
      deployed: groupOf('y', { app: 'circleci-runners-linux' }),
      taken: 'circleci-runners-linux',
    },
  ])('refuses $case if another app has it', ({ deployed, taken }) => {
    expect(() => compareWithDeployed(stacks, [deployed], new Map())).toThrow(FleetsInvalid);
    expect(() => compareWithDeployed(stacks, [deployed], new Map())).toThrow(
      `The stack ${taken} must not be one of another app, got that of app ${deployed.app} with fleet ${deployed.fleet}.`,
    );
  });
});

it('a deployment writes down what the fleet may cost, which the file may no longer say later', () => {
  const [linux] = loadSettings(
    { linux: { resourceClass: 'acme/linux', instanceTypes: ['m7i.large'], maxReplicas: 10 } },
    'fleets.yaml',
    { stack: APP },
  );
  if (linux === undefined) throw new Error('There is no fleet');
  const { Value } = SynthesisedTemplate.of([linux]).the('AWS::SSM::Parameter', 'Linux').properties;
  expect(JSON.parse(String(Value))).toMatchObject({ resourceClass: 'acme/linux', mostHourlyCost: 1.008 });
});

describe('the groups in the account', () => {
  const TARGET = { CDK_DEFAULT_ACCOUNT: '111122223333', CDK_DEFAULT_REGION: 'eu-west-1' };
  let server: Server;
  let asked: URLSearchParams[];
  let respond: (response: ServerResponse) => void;

  const groupXml = (name: string, app: string, account = '111122223333', more = '') =>
    `<member><AutoScalingGroupName>${name}</AutoScalingGroupName><MaxSize>7</MaxSize><AutoScalingGroupARN>arn:aws:autoscaling:eu-west-1:${account}:autoScalingGroup:0:autoScalingGroupName/${name}</AutoScalingGroupARN><Tags><member><Key>${STACK_TAG}</Key><Value>${app}</Value></member>${more}</Tags></member>`;
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
    const draining = `<member><Key>${PAUSED_TAG}</Key><Value>drain</Value></member>`;
    respond = answer(
      groupXml('a-linux', 'a'),
      groupXml('a-b-x', 'a-b', '111122223333', draining),
      groupXml('c-x', 'a'),
    );
    expect(await deployedGroups(TARGET)).toEqual([
      { app: 'a', fleet: 'linux', maxSize: 7, draining: false },
      { app: 'a-b', fleet: 'x', maxSize: 7, draining: true },
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

  it('cannot be compared without an answer, and a warning says so', async () => {
    const { stacks } = appOf(fleetsWith({ linux: {} }));
    respond = (response) => response.writeHead(403).end('<Error/>');
    await compareWithAccount(stacks, TARGET, 300);
    Annotations.fromStack(stacks.shared).hasWarning(
      '/circleci-runners',
      Match.stringLikeRegexp('could not be read within 0.3 s, .* Compare them first: npm run doctor'),
    );
  });

  it('lead to no warning if the CDK has no credentials', async () => {
    const { stacks } = appOf(fleetsWith({ linux: {} }));
    await compareWithAccount(stacks, {});
    expect(Annotations.fromStack(stacks.shared).findWarning('*', Match.anyValue())).toEqual([]);
  });

  const settings = (values: Record<string, string>) => (response: ServerResponse) =>
    response
      .writeHead(200, { 'content-type': 'application/x-amz-json-1.1' })
      .end(JSON.stringify({ Parameters: Object.entries(values).map(([Name, Value]) => ({ Name, Value })) }));

  it('have settings, and parameters that are none are left out', async () => {
    const linux = { resourceClass: 'acme/linux', mostHourlyCost: 3, concurrency: { groups: ['a-linux'] } };
    respond = settings({ '/a/fleets/linux': JSON.stringify(linux), '/a/fleets/x': '{', '/a/fleets/y': '{}' });
    expect(await deployedParts(TARGET, 'a', ['linux', 'x', 'y'])).toEqual(new Map([['linux', linux]]));
    expect(asked).toHaveLength(1);
  });

  it.each([
    { case: 'a refusal', with: (response: ServerResponse) => response.writeHead(400).end('{}') },
    { case: 'no answer', with: () => undefined },
  ])('have none after $case, and the synthesis goes on', async ({ with: given }) => {
    respond = given;
    expect(await deployedParts(TARGET, 'a', ['linux'], 300)).toEqual(new Map());
  });

  it('are compared with the stacks before a deployment', async () => {
    const { stacks } = appOf(fleetsWith({ linux: {} }));
    respond = (response) =>
      asked.length === 1
        ? answer(groupXml('circleci-runners-renamed', APP))(response)
        : settings({ '/circleci-runners/fleets/renamed': '{"resourceClass":"acme/linux"}' })(response);
    await expect(compareWithAccount(stacks, TARGET)).rejects.toThrow(
      'linux.resourceClass: must differ from that of the deployed fleet renamed',
    );
  });
});
