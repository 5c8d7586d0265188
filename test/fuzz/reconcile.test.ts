import { inspect } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { handler as findLeftovers } from '../../functions/find-leftovers.ts';
import { settingsParameter } from '../../functions/lib/fleet-names.ts';
import { MOST_REPAIRS } from '../../functions/lib/reconcile.ts';
import { DETACHED_TAG } from '../../functions/lib/tags.ts';
import { handler as repairLeftovers } from '../../functions/repair-leftovers.ts';
import { SANDBOX_STACK } from '../../sandbox/aws.ts';
import { KeptMetrics } from '../../sandbox/kept-metrics.ts';
import { embeddedAws } from '../support/aws.ts';
import { LIFETIMES, NOW } from '../support/fleet-seen.ts';
import { deployedSettings } from '../support/inputs.ts';
import { CONNECTED, LeftoverAccount, LISTED, OWN, OWN_GROUP } from '../support/leftover-account.ts';
import { said } from '../support/said.ts';
import { anyValue, changed, FUZZED, formsOf } from './runs.ts';

const TOKEN = 'CCIPAT_reconciled_0123456789abcdef';

/** The fleets that are deployed: one that wants repairs, and one that only wants reports. */
const DEPLOYED = {
  linux: { circleciUrl: 'https://runner.circleci.com', reconcile: 'repair' as const },
  server: { circleciUrl: 'https://circleci.acme.example' },
};

const { aws, secrets, settings } = await embeddedAws();
for (const [name, own] of Object.entries(DEPLOYED)) {
  const deployed = deployedSettings({
    ...own,
    scalerSecretName: `${name}/scaler`,
    runnerSecretName: `${name}/runner`,
    groupName: OWN_GROUP,
    lifetimes: LIFETIMES,
  });
  aws.parameters.set(settingsParameter(SANDBOX_STACK, name), [JSON.stringify(deployed)]);
  aws.secrets.set(
    `${name}/scaler`,
    JSON.stringify({
      resource_class: 'acme/linux',
      circleci_url: own.circleciUrl,
      circle_token: TOKEN,
    }),
  );
}

interface Answer {
  status: number;
  body: string;
}
const HEALTHY: Answer = { status: 200, body: JSON.stringify(LISTED) };

/** What one call of a function did, and all that it said. */
async function called(
  handler: typeof findLeftovers | typeof repairLeftovers,
  event: unknown,
  { status, body }: Answer,
) {
  const account = new LeftoverAccount();
  const asked: URL[] = [];
  const out: string[] = [];
  const keep = (...words: unknown[]) => void out.push(JSON.stringify(words), ...words.map(said));
  const world = {
    now: () => NOW,
    log: { debug: keep, error: keep, info: keep },
    settings,
    secrets,
    clients: account.clients(),
    timeout: () => new AbortController().signal,
    metrics: new KeptMetrics(
      () => NOW,
      (line) => out.push(JSON.stringify(line)),
    ),
    fetch: async (url: string | URL | Request, init?: RequestInit) => {
      asked.push(new URL(String(url)));
      expect(init?.redirect).toBe('manual');
      const location = { location: 'https://attacker.example/' };
      return new Response(body, { status, ...(status >= 300 && status < 400 && { headers: location }) });
    },
  };
  const result = await handler
    .with(world)(event)
    .then(
      (answer) => ({ answer, text: JSON.stringify(answer) }),
      (error: unknown) => ({ answer: undefined, text: said(error) + JSON.stringify(error) }),
    );
  return { ...result, asked, shown: [result.text, ...out].join('\n'), writes: account.writes };
}

const findEvents = Object.keys(DEPLOYED).map((fleet) => ({ execution: `${fleet}-1`, input: { fleet } }));
/** What Find Leftovers hands on in the healthy account, and everything that belongs to somebody else. */
const FOUND = [
  'never connected i-0000000d',
  'in no group i-0000000e',
  'in no group i-0000000f',
  'volume vol-0000000a',
  'versions lt-0000000000000000a',
  'volume vol-0000000b',
  ...CONNECTED.map((id) => `never connected ${id}`),
  'in no group i-0000001b',
  'in no group i-0000001c',
  'in no group i-0000001d',
  'in no group i-0000001f',
  'never connected i-0000001a',
  'never connected i-0000001e',
  'volume vol-0000001a',
  'versions lt-0000000000000000b',
];
const repairEvents = Object.keys(DEPLOYED).flatMap((fleet) => [
  { fleet, execution: `${fleet}-1`, found: FOUND.slice(0, 6) },
  { fleet, execution: `${fleet}-1`, found: FOUND },
]);

/** What a write names that is not of the fleet. Versions are numbers, and a tag says since when a volume is detached. */
const othersIn = (operation: string, names: string[]) => {
  const tag = operation === 'CreateTags' ? [DETACHED_TAG, new Date(NOW).toISOString()] : [];
  return names.filter((each) => ![...OWN, ...tag].includes(each) && !/^\d+$/.test(each));
};

const FUNCTIONS = [
  { name: 'Find Leftovers', handler: findLeftovers, events: findEvents },
  { name: 'Repair Leftovers', handler: repairLeftovers, events: repairEvents },
] as const;

/** An answer of CircleCI, or of what stands between: also one that quotes the request. */
const anyAnswer: fc.Arbitrary<Answer> = fc.record({
  status: fc.constantFrom(200, 200, 200, 200, 302, 401, 404, 429, 503),
  body: fc.oneof(
    changed([LISTED]).map((json) => JSON.stringify(json) ?? ''),
    anyValue.map((value) => inspect(value)),
    fc.constantFrom(TOKEN, encodeURIComponent(TOKEN), Buffer.from(`x${TOKEN}`).toString('base64')),
    fc.constant(
      JSON.stringify({ items: LISTED.items.map((item) => ({ ...item, name: `${item.name}${TOKEN}` })) }),
    ),
  ),
});

/** Only with a whole list of runners is anything repaired. */
const answer = fc.oneof(fc.constant(HEALTHY), anyAnswer);

describe('whatever the event, and whatever CircleCI answers', () => {
  it.each(FUNCTIONS)(
    '$name asks only the deployed address, tells no token, and changes nothing that is not of the fleet',
    async ({ name, handler, events }) => {
      let wrote = 0;
      const property = fc.asyncProperty(changed<unknown>(events), answer, async (event, given) => {
        const { asked, shown, text, writes } = await called(handler, event, given);
        const { fleet = Object(Object(event).input).fleet } = Object(event);
        const deployed = Object.hasOwn(DEPLOYED, String(fleet))
          ? DEPLOYED[String(fleet) as keyof typeof DEPLOYED].circleciUrl
          : undefined;
        expect(asked.filter(({ origin }) => origin !== deployed)).toEqual([]);
        expect(formsOf(TOKEN).filter((form) => shown.includes(form))).toEqual([]);
        // The answer or the error. test/functions/step.test.ts has the log of production.
        // biome-ignore lint/suspicious/noControlCharactersInRegex: that no name has one is the point
        expect(text).not.toMatch(/[\u001b\u009b\u202a-\u202e]/);
        if (name === 'Find Leftovers' || fleet !== 'linux') expect(writes).toEqual([]);
        wrote += writes.length;
        expect(writes.length).toBeLessThanOrEqual(MOST_REPAIRS);
        for (const { operation, names } of writes) {
          expect([
            'TerminateInstanceInAutoScalingGroup',
            'TerminateInstances',
            'DeleteVolume',
            'CreateTags',
            'DeleteLaunchTemplateVersions',
          ]).toContain(operation);
          expect(othersIn(operation, names)).toEqual([]);
        }
      });
      await fc.assert(property, FUZZED);
      if (name === 'Repair Leftovers') expect(wrote).toBeGreaterThan(0);
    },
  );
});

describe('without changes', () => {
  it('Find Leftovers finds what the fleet has left behind', async () => {
    const { answer: found, writes } = await called(findLeftovers, findEvents[0], HEALTHY);
    expect(found).toMatchObject({ repair: true, found: expect.arrayContaining(FOUND.slice(0, 6)) });
    expect(writes).toEqual([]);
  });

  it('Repair Leftovers repairs it, and no runner in contact, whatever the event names', async () => {
    const { writes } = await called(repairLeftovers, repairEvents[1], HEALTHY);
    expect(writes).toHaveLength(MOST_REPAIRS);
    for (const { operation, names } of writes) {
      expect(othersIn(operation, names)).toEqual([]);
      expect(names.filter((each) => CONNECTED.includes(each))).toEqual([]);
    }
  });
});
