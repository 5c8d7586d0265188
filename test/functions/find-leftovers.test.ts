import { AutoScalingClient } from '@aws-sdk/client-auto-scaling';
import { EC2Client } from '@aws-sdk/client-ec2';
import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { handler as findLeftovers } from '../../functions/find-leftovers.ts';
import { readBoots } from '../../functions/lib/boot-reads.ts';
import { LeftoversUnread, refuseUnread } from '../../functions/lib/leftover-clients.ts';
import { bounded, findLeftovers as findIn } from '../../functions/lib/leftovers.ts';
import { UNITS } from '../../functions/lib/metric-units.ts';
import { costlyOf, type LeftoverKind, MOST_TRIES, repairable } from '../../functions/lib/reconcile.ts';
import { secretsProvider } from '../../functions/lib/secrets.ts';
import { DETACHED_TAG } from '../../functions/lib/tags.ts';
import { handler as repairLeftovers } from '../../functions/repair-leftovers.ts';
import { SILENT } from '../../sandbox/workflow.ts';
import { DAY, HOUR, LIFETIMES, MINUTE, NOW } from '../support/fleet-seen.ts';
import { deployedSettings, readerOf } from '../support/inputs.ts';
import { LeftoverAccount, LISTED, OWN_GROUP } from '../support/leftover-account.ts';
import { OperatorAws } from '../support/operator-aws.ts';
import { address } from '../support/serve.ts';
import { publishedMetrics } from './published.ts';

/** test/local/reconcile.test.ts has the same against an emulator. */

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
  expect(() =>
    refuseUnread(['instances (AccessDenied)', 'runners (CircleCI answered 503)', 'volumes (AccessDenied)']),
  ).toThrow(new LeftoversUnread('AWS did not give: instances (AccessDenied), volumes (AccessDenied)'));
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

it.each(['resource', 'says', 'because'] as const)('cuts a longer text than 300 characters: %s', (field) => {
  const finding = { kind: 'runner' as const, resource: '', since: null, says: '', repair: null, because: '' };
  const shown = (length: number) =>
    bounded([{ ...finding, [field]: 'x'.repeat(length) }]).findings[0]?.[field];
  expect(shown(300)).toBe('x'.repeat(300));
  expect(shown(301)).toBe(`${'x'.repeat(300)}…`);
});

it('names the state whose input is wrong', async () => {
  await expect(repairLeftovers.with(world())({})).rejects.toThrow(/^InputInvalid: Repair Leftovers: /);
});

it.each<{ kind: LeftoverKind; rings: boolean }>([
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

describe('in an account in which the fleet has left something behind', () => {
  const published = publishedMetrics(() => NOW);
  interface Given {
    reconcile?: 'repair';
    otherRunners?: number;
    listed?: object;
    status?: number;
    /** Whether AWS has only the group of the fleet. */
    empty?: boolean;
    /** What AWS answers to an operation in place of what the account has. */
    answers?: Record<string, object>;
    /** In milliseconds since the epoch. */
    at?: number;
  }
  function leftBehind({
    reconcile,
    otherRunners = 0,
    listed = LISTED,
    status = 200,
    empty = false,
    answers = {},
    at = NOW,
  }: Given = {}) {
    const given: Record<string, object> = {
      GetSecretValue: {
        SecretString: JSON.stringify({ resource_class: 'acme/linux', circle_token: 'CCIPAT_left_behind' }),
      },
      ...answers,
    };
    const account = new LeftoverAccount(
      (operation, answer) =>
        given[operation] ?? (empty && operation !== 'DescribeAutoScalingGroups' ? {} : answer),
    );
    const clients = account.clients();
    const recorded: unknown[] = [];
    const around = {
      clients,
      fetch: async () => new Response(JSON.stringify(listed), { status }),
      secrets: secretsProvider(clients.secrets),
      settings: readerOf(() =>
        deployedSettings({
          groupName: OWN_GROUP,
          runnerSecretName: 'linux/runner',
          lifetimes: LIFETIMES,
          capacity: { minReplicas: 0, maxReplicas: 10, otherRunners },
          ...(reconcile !== undefined && { reconcile }),
        }),
      ),
      now: () => at,
      log: { ...SILENT, info: (...words: unknown[]) => void recorded.push(words[1]) },
    };
    return {
      find: () => findLeftovers.with({ ...around, metrics: published.metrics })(started),
      repair: (found: string[]) => repairLeftovers.with(around)({ ...input, found }),
      withoutSettings: () => findIn({ ...around, timeout: AbortSignal.timeout }, OWN_GROUP, undefined),
      recorded,
      writes: account.writes,
    };
  }

  it.each<{ reconcile?: 'repair' }>([{}, { reconcile: 'repair' }])(
    'the findings are reported, and named for the repair only if the fleet wants it: $reconcile',
    async (given) => {
      const { find, recorded, writes } = leftBehind(given);
      const answer = await find();
      const found = ['in no group i-0000000e', 'in no group i-0000000f', 'never connected i-0000000d'];
      expect(answer.findings.map(({ kind, resource }) => `${kind} ${resource}`)).toEqual(
        expect.arrayContaining(found),
      );
      expect(answer).toMatchObject({ missing: [], leftOut: 0, repair: given.reconcile === 'repair' });
      if (given.reconcile === 'repair') expect(answer.found).toEqual(expect.arrayContaining(found));
      else expect(answer.found).toEqual([]);
      expect(published.values()).toEqual({ LeftBehind: [costlyOf(answer.findings).length] });
      expect(recorded).toMatchObject([{ fleet: 'linux', findings: answer.findings }]);
      expect(writes).toEqual([]);
    },
  );

  it('a fleet that left nothing is silent', async () => {
    const { find, recorded } = leftBehind({ reconcile: 'repair', empty: true, listed: { items: [] } });
    expect(await find()).toEqual({ findings: [], leftOut: 0, missing: [], repair: false, found: [] });
    expect(published.values()).toEqual({});
    expect(recorded).toEqual([]);
  });

  it('runners that CircleCI does not give are recorded, and without their evidence nothing is repaired', async () => {
    const { find, recorded } = leftBehind({ reconcile: 'repair', empty: true, status: 503 });
    const answer = await find();
    expect(answer).toMatchObject({ findings: [], repair: false, found: [] });
    expect(answer.missing).toEqual([expect.stringMatching(/^runners \(/)]);
    expect(recorded).toMatchObject([{ missing: answer.missing }]);
  });

  it.each([
    { hour: 12, boots: [5, 1, 0.2, 3, 0.4] },
    { hour: 13, boots: undefined },
  ])('at $hour:00 UTC the boots of its instances are published: $boots', async ({ hour, boots }) => {
    const at = NOW + (hour - 12) * HOUR;
    const LaunchTime = new Date(at - 20 * MINUTE);
    const { find } = leftBehind({
      at,
      empty: true,
      listed: { items: [] },
      answers: {
        DescribeInstances: {
          Reservations: [
            { Instances: [{ InstanceId: 'i-0000000a', State: { Name: 'running' }, LaunchTime }] },
          ],
        },
        GetConsoleOutput: {
          Output: btoa(`boot: times: false ${LaunchTime.getTime() / 1_000 + 5} 100 20 300 40\n`),
        },
      },
    });
    await find();
    expect(published.values().BootSeconds).toEqual(boots);
    expect(published.lines().every(({ Fleet }) => Fleet === 'linux')).toBe(true);
  });

  it.each([
    { otherRunners: 0, found: 1 },
    { otherRunners: 1, found: 0 },
  ])('a runner elsewhere is found unless the fleet allows $otherRunners', async ({ otherRunners, found }) => {
    const elsewhere = { ...LISTED.items[0], name: 'laptop' };
    const { find } = leftBehind({ otherRunners, listed: { items: [...LISTED.items, elsewhere] } });
    const { findings } = await find();
    expect(findings.filter(({ kind }) => kind === 'runner')).toHaveLength(found);
  });

  it('no instance is ended if the settings of the fleet could not be read', async () => {
    const { findings, missing, instances } = await leftBehind().withoutSettings();
    expect(missing).toEqual(['runners (the deployed settings could not be read)']);
    expect(findings.map(({ resource }) => resource)).toContain('i-0000000e');
    expect(repairable(findings).filter(({ repair: { action } }) => action.startsWith('terminate'))).toEqual(
      [],
    );
    expect(instances).not.toEqual([]);
  });

  it('no more is named for the repair than it tries', async () => {
    const Volumes = Array.from({ length: MOST_TRIES + 5 }, (_, index) => ({
      VolumeId: `vol-${index}`,
      CreateTime: new Date(NOW - 30 * DAY),
      Tags: [{ Key: DETACHED_TAG, Value: new Date(NOW - 20 * DAY).toISOString() }],
    }));
    const { find } = leftBehind({ reconcile: 'repair', answers: { DescribeVolumes: { Volumes } } });
    const { findings, found } = await find();
    expect(repairable(findings).length).toBeGreaterThan(MOST_TRIES);
    expect(found).toHaveLength(MOST_TRIES);
  });

  it('a fleet that wants only reports has nothing repaired', async () => {
    const { repair, writes } = leftBehind();
    expect(await repair(['in no group i-0000000e'])).toEqual({ repaired: [] });
    expect(writes).toEqual([]);
  });

  it('what both looks found is repaired, and the log has it', async () => {
    const { repair, recorded, writes } = leftBehind({ reconcile: 'repair' });
    const answer = await repair(['in no group i-0000000e', 'in no group i-0000001d']);
    expect(answer).toEqual({ repaired: [{ resource: 'i-0000000e', done: true, says: 'terminated' }] });
    expect(recorded).toMatchObject([{ repaired: answer.repaired }]);
    expect(writes).toEqual([{ operation: 'TerminateInstances', names: ['i-0000000e'] }]);
  });
});
