import { AutoScalingClient } from '@aws-sdk/client-auto-scaling';
import { EC2Client } from '@aws-sdk/client-ec2';
import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { handler as findLeftovers } from '../../functions/find-leftovers.ts';
import { readBoots } from '../../functions/lib/boot-reads.ts';
import { LeftoversUnread, refuseUnread } from '../../functions/lib/leftover-clients.ts';
import { bounded } from '../../functions/lib/leftovers.ts';
import { UNITS } from '../../functions/lib/metric-units.ts';
import { costlyOf, type FindingKind } from '../../functions/lib/reconcile.ts';
import { secretsProvider } from '../../functions/lib/secrets.ts';
import { handler as repairLeftovers } from '../../functions/repair-leftovers.ts';
import { SILENT } from '../../sandbox/workflow.ts';
import { deployedSettings, readerOf } from '../support/inputs.ts';
import { OperatorAws } from '../support/operator-aws.ts';
import { address } from '../support/serve.ts';

/** What both functions do with what they read is in test/local/reconcile.test.ts, against an emulator. */

let aws: OperatorAws;

beforeEach(async () => {
  aws = await new OperatorAws().listen();
  aws.groups = [{ fleet: 'linux', desired: 0 }];
});
afterEach(() => aws.close());

function world() {
  const settings = {
    endpoint: address(aws.server),
    region: 'eu-west-1',
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
    maxAttempts: 1,
  };
  const secrets = new SecretsManagerClient(settings);
  return {
    clients: { autoScaling: new AutoScalingClient(settings), ec2: new EC2Client(settings), secrets },
    secrets: secretsProvider(secrets),
    settings: readerOf(() => deployedSettings({ groupName: 'circleci-runners-linux', reconcile: 'repair' })),
    log: SILENT,
  };
}

const input = { fleet: 'linux', execution: 'linux-1' };
const started = { execution: 'linux-1', input: { fleet: 'linux' } };

it.each([
  { case: 'another group', input: { fleet: 'linux', groupName: 'production-web' } },
  { case: 'another address', input: { fleet: 'linux', circleciUrl: 'https://attacker.example' } },
  { case: 'what to repair', input: { fleet: 'linux', found: ['in no group i-0123456789abcdef0'] } },
  { case: 'the polls of npm run execute', input: { fleet: 'linux', once: true } },
  { case: 'no fleet', input: {} },
])('an execution that names $case is refused before anything is read', async ({ input: given }) => {
  await expect(findLeftovers.with(world())({ execution: 'attack', input: given })).rejects.toThrow(
    /^InputInvalid: Find Leftovers: input/,
  );
  expect(aws.called).toEqual([]);
});

it('fails if AWS refuses a read: what nobody looks at must not pass for nothing', async () => {
  await expect(findLeftovers.with(world())(started)).rejects.toThrow(
    /^LeftoversUnread: AWS did not give: .*volumes \(/,
  );
  await expect(repairLeftovers.with(world())({ ...input, found: [] })).rejects.toThrow(/^LeftoversUnread: /);
  expect(aws.called.filter((name) => !/^(Describe|Get|List)/.test(name))).toEqual([]);
});

it('reads the consoles of instances', async () => {
  const launchedAt = Date.UTC(2026, 0, 5, 8);
  aws.consoles.set('i-0123456789abcdef0', 'boot: times: false 1767600005 100 20 300 40\n');
  const seen = { id: 'i-0123456789abcdef0', state: 'running', launchedAt };
  const instance = { ...seen, fromTemplate: true, templateVersion: '1', kept: false };
  const now = launchedAt + 20 * 60_000;
  const { clients } = world();
  expect(await readBoots(clients.ec2, [instance], now, AbortSignal.timeout(5_000))).toEqual([
    { Launched: 5, Network: 1, UserData: 0.2, Install: 3, RunnerUp: 0.4 },
  ]);
});

it('does not fail without the runners of CircleCI, for which the polls have an alarm', () => {
  expect(() => refuseUnread(['runners (CircleCI answered 503)'])).not.toThrow();
  expect(() => refuseUnread(['runners (CircleCI answered 503)', 'volumes (AccessDenied)'])).toThrow(
    LeftoversUnread,
  );
});

it('tells a bounded number of findings, however many runners are strangers', async () => {
  const strangers = Array.from({ length: 5_000 }, (_, index) => ({
    kind: 'runner' as const,
    resource: `${index}${'x'.repeat(2_000)}`,
    since: null,
    says: 'it takes jobs of the resource class',
    repair: null,
    because: 'it is no instance of the fleet. If it is yours, set otherRunners',
  }));
  const answer = bounded(strangers);
  expect(answer).toMatchObject({ leftOut: 4_900, findings: { length: 100 } });
  // https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
  expect(Buffer.byteLength(JSON.stringify(answer))).toBeLessThan(2 ** 18 / 4);
  expect(bounded(strangers.slice(0, 3)).leftOut).toBe(0);
});

it.each<{ kind: FindingKind; rings: boolean }>([
  { kind: 'in no group', rings: true },
  { kind: 'never connected', rings: true },
  { kind: 'too old', rings: true },
  { kind: 'leaving', rings: true },
  { kind: 'volume', rings: true },
  { kind: 'in standby', rings: false },
  { kind: 'interface', rings: false },
  { kind: 'versions', rings: false },
  { kind: 'runner', rings: false },
])('an alarm rings for "$kind": $rings', ({ kind, rings }) => {
  const finding = { kind, resource: 'x', since: null, says: '', repair: null, because: '' };
  expect(costlyOf([finding])).toHaveLength(Number(rings));
  expect(UNITS.LeftBehind).toBe('Count');
});
