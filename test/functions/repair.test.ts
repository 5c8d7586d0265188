import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { text } from 'node:stream/consumers';
import { AutoScalingClient } from '@aws-sdk/client-auto-scaling';
import { EC2Client } from '@aws-sdk/client-ec2';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Repair } from '../../functions/lib/reconcile.ts';
import { repairOne } from '../../functions/lib/repair.ts';
import { address } from '../support/serve.ts';

const INSTANCE = 'i-0123456789abcdef0';
const GROUP = 'circleci-runners-linux';

let server: Server;
let clients: { autoScaling: AutoScalingClient; ec2: EC2Client };
/** Where the instance is when it is looked at again. */
let place: { group: string; state: string } | undefined;
/** The versions that EC2 does not delete. */
let undeleted: string[];
/** The calls that change something. */
let writes: Record<string, string>[];

beforeAll(async () => {
  server = createServer(async (request, response) => {
    const asked = new URLSearchParams(await text(request));
    const action = asked.get('Action') ?? '';
    if (!action.startsWith('Describe')) writes.push(Object.fromEntries(asked));
    response.writeHead(200, { 'content-type': 'text/xml' }).end(answer(action));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const settings = {
    endpoint: address(server),
    region: 'eu-west-1',
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
  };
  clients = { autoScaling: new AutoScalingClient(settings), ec2: new EC2Client(settings) };
});

afterAll(() => {
  server.close();
  server.closeAllConnections();
});

beforeEach(() => {
  place = undefined;
  undeleted = [];
  writes = [];
});

function answer(action: string): string {
  if (action === 'DescribeAutoScalingInstances') {
    const found =
      place === undefined
        ? ''
        : `<member><InstanceId>${INSTANCE}</InstanceId><AutoScalingGroupName>${place.group}</AutoScalingGroupName><LifecycleState>${place.state}</LifecycleState></member>`;
    return `<${action}Response><${action}Result><AutoScalingInstances>${found}</AutoScalingInstances></${action}Result></${action}Response>`;
  }
  const left = undeleted.map(
    (version) =>
      `<item><versionNumber>${version}</versionNumber><responseError><message>it is the default</message></responseError></item>`,
  );
  return `<${action}Response><${action}Result/><unsuccessfullyDeletedLaunchTemplateVersionSet>${left.join('')}</unsuccessfullyDeletedLaunchTemplateVersionSet></${action}Response>`;
}

const member: Repair = { action: 'terminate-member', instance: INSTANCE };
const stray: Repair = { action: 'terminate-instance', instance: INSTANCE };
const versions: Repair = { action: 'delete-versions', template: 'lt-1', versions: [2, 3, 4] };

describe('a repair', () => {
  it.each([
    {
      case: 'leaves',
      place: { group: GROUP, state: 'Terminating' },
      says: 'left alone: it is Terminating now',
    },
    { case: 'has left', place: undefined, says: 'left alone: it is in no group now' },
    {
      case: 'is in standby',
      place: { group: GROUP, state: 'Standby' },
      says: 'left alone: it is Standby now',
    },
    {
      case: 'is in another group',
      place: { group: 'another', state: 'InService' },
      says: 'left alone: it is InService now',
    },
  ])('does nothing to a member that $case meanwhile: the capacity must not fall twice', async (now) => {
    place = now.place;
    expect(await repairOne(clients, GROUP, member)).toEqual({ done: false, says: now.says });
    expect(writes).toEqual([]);
  });

  it('terminates a member in its group, with a decrement', async () => {
    place = { group: GROUP, state: 'InService' };
    expect(await repairOne(clients, GROUP, member)).toMatchObject({ done: true });
    expect(writes).toMatchObject([
      {
        Action: 'TerminateInstanceInAutoScalingGroup',
        InstanceId: INSTANCE,
        ShouldDecrementDesiredCapacity: 'true',
      },
    ]);
  });

  it('does nothing to an instance that a person attached meanwhile', async () => {
    place = { group: 'another', state: 'InService' };
    expect(await repairOne(clients, GROUP, stray)).toEqual({
      done: false,
      says: 'left alone: it is in group another now',
    });
    expect(writes).toEqual([]);
  });

  it('terminates an instance in no group', async () => {
    expect(await repairOne(clients, GROUP, stray)).toEqual({ done: true, says: 'terminated' });
    expect(writes).toMatchObject([{ Action: 'TerminateInstances', 'InstanceId.1': INSTANCE }]);
  });

  it('deletes a volume', async () => {
    await repairOne(clients, GROUP, { action: 'delete-volume', volume: 'vol-1' });
    expect(writes).toMatchObject([{ Action: 'DeleteVolume', VolumeId: 'vol-1' }]);
  });

  it.each([
    { left: [], says: 'deleted 3 versions', done: true },
    { left: ['3'], says: 'deleted 2 versions, not version 3: it is the default', done: true },
    { left: ['2', '3', '4'], says: 'deleted 0 versions, not version 2: it is the default', done: false },
  ])('says that it $says', async ({ left, says, done }) => {
    undeleted = left;
    expect(await repairOne(clients, GROUP, versions)).toEqual({ done, says });
    expect(writes).toMatchObject([
      { Action: 'DeleteLaunchTemplateVersions', LaunchTemplateId: 'lt-1', 'LaunchTemplateVersion.3': '4' },
    ]);
  });
});
