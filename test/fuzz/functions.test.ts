import { inspect } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ownApp } from '../../functions/lib/advice.ts';
import { settingsParameter } from '../../functions/lib/fleet-names.ts';
import { Agenda } from '../../sandbox/agenda.ts';
import { AutoScalingGroup } from '../../sandbox/auto-scaling-group.ts';
import { SANDBOX_STACK } from '../../sandbox/aws.ts';
import { DURATIONS } from '../../sandbox/group/durations.ts';
import { KeptMetrics } from '../../sandbox/kept-metrics.ts';
import { TaskQueue } from '../../sandbox/task-queue.ts';
import { type FunctionsWorld, HANDLERS } from '../../sandbox/workflow.ts';
import { embeddedAws } from '../support/aws.ts';
import { deployedSettings, EXECUTION_START } from '../support/inputs.ts';
import { said } from '../support/said.ts';
import { oneFleet } from '../support/sandbox.ts';
import { anyValue, changed, FUZZED, formsOf } from './runs.ts';

const TOKEN = 'CCIPAT_fuzzed_0123456789abcdef';
const FOREIGN_TOKEN = 'CCIPAT_foreign_0123456789abcdef';
const OWN_GROUP = 'circleci-runner-autoscaler-linux';
const OTHER_GROUPS = ['production-web', 'circleci-runner-autoscaler-other'];
const MAX_SIZE = 10;
/** Each group has this many members in service, which may run jobs, after `UP_AFTER` seconds. */
const MEMBERS = 4;
const UP_AFTER = 200;

/** The fleets that are deployed, by where each asks: CircleCI's cloud, which answers at two addresses, and a server. */
const DEPLOYED = {
  linux: { circleciUrl: 'https://runner.circleci.com', hosts: ['runner.circleci.com', 'circleci.com'] },
  server: { circleciUrl: 'https://circleci.acme.example', hosts: ['circleci.acme.example'] },
};

const { aws, autoScaling, secrets, settings, learned } = await embeddedAws();
for (const [name, { circleciUrl }] of Object.entries(DEPLOYED)) {
  const deployed = deployedSettings({
    circleciUrl,
    scalerSecretName: `${name}/scaler`,
    groupName: OWN_GROUP,
  });
  aws.parameters.set(settingsParameter(SANDBOX_STACK, name), [JSON.stringify(deployed)]);
  aws.secrets.set(
    `${name}/scaler`,
    JSON.stringify({ resource_class: 'acme/linux', circleci_url: circleciUrl, circle_token: TOKEN }),
  );
}
// What is in the account beside them.
aws.secrets.set(
  'core-banking/db-master-password',
  JSON.stringify({ resource_class: 'acme/linux', circle_token: FOREIGN_TOKEN }),
);
const groupOf = (name: string) => {
  const agenda = new Agenda();
  const group = new AutoScalingGroup(
    {
      name,
      minSize: 0,
      maxSize: MAX_SIZE,
      warmPoolSize: 0,
      durations: DURATIONS,
      newInstancesProtectedFromScaleIn: true,
    },
    agenda,
    new TaskQueue(),
  );
  group.setDesiredCapacity(MEMBERS);
  agenda.advance(UP_AFTER);
  return group;
};

/** What is to be seen of a group from outside. */
const stateOf = ({ desired, tags, suspendedProcesses, warmPool }: AutoScalingGroup) =>
  JSON.stringify([desired, [...tags], [...suspendedProcesses], warmPool?.size]);

/** The true inputs of each step, of both fleets. */
const inputs: Record<string, unknown[]> = {};
{
  const kept = (state: string) => async (input: unknown, real: (input: unknown) => Promise<unknown>) => {
    const text = JSON.stringify(input);
    inputs[state] = [
      ...(inputs[state] ?? []),
      ...[text, text.replaceAll('"fleet":"linux"', '"fleet":"server"')].map((json) => JSON.parse(json)),
    ];
    return real(input);
  };
  const states = Object.keys(HANDLERS).map((state) => [state, kept(state)] as const);
  const { execute } = await oneFleet({ queued: 5, replace: Object.fromEntries(states) });
  await execute();
  // A decision that would end members, had the group not been read again.
  const [update] = inputs['Update Group'] ?? [];
  const decision = { from: MEMBERS, desired: 0, change: true, reasons: [] };
  inputs['Update Group']?.push({ ...(update as object), decision });
}

/** An answer of CircleCI, or of what stands between. */
const answer = fc.record({
  status: fc.constantFrom(200, 200, 200, 301, 302, 307, 400, 401, 403, 404, 418, 429, 500, 502, 503),
  location: fc.constantFrom('https://attacker.example/', '/elsewhere', ''),
  retryAfter: fc.option(
    fc.constantFrom('0', '1', '30', '999999999999', '-1', 'Mon, 05 Jan 2026 09:00:00 GMT', TOKEN),
  ),
  body: fc.oneof(
    changed([{ unclaimed_task_count: 3 }, { running_runner_tasks: 2 }, { items: [] }, { data: [] }]).map(
      (json) => JSON.stringify(json) ?? '',
    ),
    anyValue.map((value) => inspect(value)),
    // It quotes the request, as it is or encoded.
    fc
      .tuple(
        fc.string({ maxLength: 9 }),
        fc.constantFrom(
          TOKEN,
          encodeURIComponent(TOKEN),
          ...['', 'a', 'ab'].map((before) => Buffer.from(`${before}${TOKEN}xy`).toString('base64')),
        ),
        fc.string({ maxLength: 9 }),
      )
      .map((parts) => parts.join('')),
  ),
});

const FORMS = [TOKEN, FOREIGN_TOKEN].flatMap(formsOf);

describe('whatever the event, and whatever CircleCI answers', () => {
  it.each(Object.keys(HANDLERS))(
    '%s asks only the deployed address, tells no token, changes no other group, and launches nothing above the maximum',
    async (state) => {
      const seeds = inputs[state] ?? [];
      expect(seeds.length).toBeGreaterThan(0);
      const property = fc.asyncProperty(
        changed(seeds),
        fc.array(answer, { minLength: 1, maxLength: 3 }),
        async (event, answers) => {
          const own = groupOf(OWN_GROUP);
          const others = OTHER_GROUPS.map(groupOf);
          aws.groups.set(OWN_GROUP, own);
          for (const [index, group] of others.entries()) aws.groups.set(OTHER_GROUPS[index] ?? '', group);
          const before = others.map(stateOf);
          const asked: URL[] = [];
          const out: string[] = [];
          const keep = (...words: unknown[]) => void out.push(JSON.stringify(words), ...words.map(said));
          const world: FunctionsWorld = {
            now: () => EXECUTION_START + 1_000,
            log: { debug: keep, error: keep, info: keep },
            settings,
            advised: ownApp({}),
            autoScaling,
            secrets,
            memory: new Map(),
            learned,
            metrics: new KeptMetrics(
              () => EXECUTION_START,
              (line) => out.push(JSON.stringify(line)),
            ),
            timeout: () => new AbortController().signal,
            fetch: async (url, init) => {
              asked.push(new URL(String(url)));
              const { status, body, retryAfter, location } =
                answers[asked.length % answers.length] ?? answers[0] ?? expect.fail();
              expect(init?.redirect).toBe('manual');
              return new Response(body, {
                status,
                headers: {
                  ...(retryAfter !== null && { 'retry-after': retryAfter }),
                  ...(status >= 300 && status < 400 && { location }),
                },
              });
            },
          };
          const result = await (HANDLERS[state] ?? expect.fail())
            .with(world)(event)
            .then(JSON.stringify, (error: unknown) => said(error) + JSON.stringify(error));
          const hosts = DEPLOYED[Object(event).fleet as keyof typeof DEPLOYED]?.hosts ?? [];
          expect(
            asked.filter(({ protocol, host }) => protocol !== 'https:' || !hosts.includes(host)),
          ).toEqual([]);
          const shown = [result ?? '', ...out].join('\n');
          expect(FORMS.filter((form) => shown.includes(form))).toEqual([]);
          expect(others.map(stateOf)).toEqual(before);
          expect(own.desired).toBeLessThanOrEqual(MAX_SIZE);
          // Whatever is below the members ends some of them.
          expect(own.desired).toBeGreaterThanOrEqual(MEMBERS);
          expect(own.warmPool?.size).toBeLessThanOrEqual(MAX_SIZE);
        },
      );
      await fc.assert(property, FUZZED);
    },
  );
});

it('has members in service that a lower capacity would end', () => {
  const { desired, instances } = groupOf(OWN_GROUP).viewed(0);
  expect(desired).toBe(MEMBERS);
  expect(instances.map(({ state }) => state)).toEqual(Array(MEMBERS).fill('InService'));
});

it('fuzzes the inputs of every step', () => {
  expect(Object.keys(inputs).toSorted()).toEqual(Object.keys(HANDLERS).toSorted());
});
