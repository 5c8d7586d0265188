import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { Fleets } from '../../fleets/fleet.ts';
import { configurationReference, guardrailsReference } from '../../fleets/reference.ts';
import { judgeLaunches } from '../../functions/lib/breaker.ts';
import { decideCapacity } from '../../functions/lib/capacity.ts';
import { LIMITS } from '../../functions/lib/pacing.ts';
import { PEERS } from '../../simulator/peers.ts';
import { POLICY_NAMES } from '../../simulator/report/policy-links.ts';
import { alarmsOfFleet } from '../../statemachine/alarms.ts';
import { FAILURES } from '../../statemachine/failures.ts';
import { drawWorkflow } from '../../tools/workflow-picture.ts';
import { SynthesisedTemplate } from '../infra/template.ts';
import { fleetsOf, minimalWith } from '../support/fleets.ts';

const DOCUMENTS = [
  'README.md',
  'CONTRIBUTING.md',
  'docs/architecture.md',
  'docs/how-it-decides.md',
  'docs/operations.md',
  'docs/alarms.md',
  'docs/commands.md',
  'docs/configuration.md',
  'docs/guardrails.md',
  'docs/security.md',
  'docs/instance-life.md',
  'docs/images.md',
  'docs/cost.md',
  'docs/fault-matrix.md',
  'docs/report.md',
  'docs/traces.md',
  'docs/getting-started.md',
  'docs/sizing.md',
  'docs/jobs.md',
  'docs/library.md',
  'docs/api.md',
  'docs/local-aws.md',
  'docs/alternatives.md',
  'docs/upgrading.md',
  'docs/permissions.md',
  'docs/faq.md',
  'docs/benchmark.md',
  'docs/launch-failures.md',
  'docs/limits.md',
  'SECURITY.md',
  ...readdirSync('docs/decisions').map((file) => `docs/decisions/${file}`),
  'examples/README.md',
  ...readdirSync('examples')
    .map((name) => `examples/${name}/README.md`)
    .filter((file) => existsSync(file)),
];

/** Every command that the documents show, and the file that runs it. */
const RUN_BY: Record<string, { file: string; as: string }> = {
  'npm ci': { file: '.ci/run', as: 'npm ci' },
  'npm start': { file: '.ci/run', as: 'npm start' },
  'npm start -- --hours 2 --boot 40 --max 50': {
    file: '.ci/run',
    as: 'npm start -- --hours 2 --boot 40 --max 50',
  },
  'npm start -- --warm 20 --reuse 120': { file: '.ci/run', as: 'npm start -- --warm 20 --reuse 120' },
  'npm start -- --fleets examples/schedules/fleets.yaml': {
    file: '.ci/run',
    as: 'npm start -- --fleets examples/schedules/fleets.yaml',
  },
  'npm start -- --json': { file: '.ci/run', as: 'npm start -- --json' },
  'npm start -- --help': { file: '.ci/run', as: 'npm start -- --help' },
  'npm run init': { file: 'test/cli/init.test.ts', as: "'init', ['--fleets'" },
  'npm run pin': { file: 'test/cli/pin.test.ts', as: "runInProcess('pin'" },
  'npx cdk bootstrap': { file: 'cli/local-aws/local-aws.ts', as: "'bootstrap'" },
  'npx cdk deploy --all': { file: 'cli/local-aws/local-aws.ts', as: "'deploy'" },
  'npm run secrets -- example': { file: 'test/local/deployed.test.ts', as: "command('secrets'" },
  'npm run recycle -- example': { file: 'test/cli/recycle.test.ts', as: "command('example'" },
  'npm run execute -- example': { file: 'test/local/deployed.test.ts', as: "command('execute'" },
  'npm run doctor': { file: 'test/local/operator.test.ts', as: "'doctor'," },
  'npm run explain -- example': { file: 'test/local/operator.test.ts', as: "command('explain', 'linux')" },
  'npm run pause -- example': { file: 'test/local/deployed.test.ts', as: "command('pause'" },
  'npm run drain -- example': { file: 'test/local/deployed.test.ts', as: "command('drain'" },
  'npm run resume -- example': { file: 'test/local/deployed.test.ts', as: "command('resume'" },
  'npm run reconcile': { file: 'test/cli/reconcile.test.ts', as: "'reconcile'" },
  'npm run local': { file: 'test/local/watch.test.ts', as: "'cli/main.ts', 'local'" },
  'npm run simulate': { file: '.ci/run', as: 'npm run simulate' },
  'npm run simulate -- --set warmPool.size=auto reuse=continuous idleTimeout=120s': {
    file: '.ci/run',
    as: 'npm run simulate -- --set warmPool.size=auto reuse=continuous idleTimeout=120s',
  },
  'npm run simulate -- --optimise --max-wait-p95 30': {
    file: '.ci/run',
    as: 'npm run simulate -- --optimise --max-wait-p95 30',
  },
  'npm run trace -- --project gh/acme/app --days 30': {
    file: 'test/cli/trace.test.ts',
    as: 'runInProcess(name',
  },
  'npm run simulate -- --report report.html': {
    file: '.ci/run',
    as: 'npm run simulate -- --report report.html',
  },
  'npm run simulate -- --optimise --max-wait-p95 60 --report report.html': {
    file: 'test/cli/report.test.ts',
    as: "'--optimise', '--max-wait-p95', '60'",
  },
  'npm run --silent simulate -- --json > before.json': {
    file: 'test/cli/compare.test.ts',
    as: "simulate(...JOBS, '--json')",
  },
  'npm run simulate -- --set warmPool.size=5 --compare before.json --report report.html': {
    file: 'test/cli/compare.test.ts',
    as: "'--set', 'warmPool.size=5', '--boot', '60s', '--compare'",
  },
  'npm run schedules': { file: 'test/cli/schedules.test.ts', as: "runInProcess('schedules'" },
  'npm test': { file: '.ci/run', as: 'npm test' },
  'npm run test:hours': { file: '.ci/run', as: 'npm run test:hours' },
  'npm run test:terminal': { file: '.ci/run', as: 'npm run test:terminal' },
  'npm run test:userdata': { file: '.ci/run', as: 'npm run test:userdata' },
  'npm run test:matrix': { file: '.ci/run', as: 'npm run test:matrix' },
  'npm run test:site': { file: '.ci/run', as: 'npm run test:site' },
  'npm run docs': { file: 'test/docs/site.test.ts', as: "'docs', 'docs:build'" },
  'npm run test:package': { file: '.ci/run', as: 'npm run test:package' },
  'npm run test:report': { file: '.ci/run', as: 'npm run test:report' },
  'npm run test:local': { file: '.ci/run', as: 'npm run test:local' },
  'npm run test:instance': { file: '.ci/run', as: 'npm run test:instance' },
  'npm run generate': { file: '.ci/run', as: 'npm run generate' },
};

const read = (file: string) => readFileSync(file, 'utf8');

/** A document's text, wherever its lines are wrapped. */
const unwrapped = (file: string) => read(file).replaceAll(/\s+/g, ' ');

function commands(document: string): string[] {
  const blocks = [...read(document).matchAll(/^ *```sh\n([\s\S]*?)^ *```/gm)].map(([, block = '']) => block);
  return blocks.flatMap((block) => block.trim().split('\n')).map((line) => line.trim());
}

/** All that a pattern's group finds. */
const found = (text: string, pattern: RegExp) => [...text.matchAll(pattern)].map(([, match = '']) => match);

/** The files that a document links to, and where in them. */
function linksOf(document: string): { file: string; anchor: string | undefined }[] {
  return found(read(document), /\]\((?!https?:)([^)\s]+)\)/g).map((link) => {
    const [file = '', anchor] = link.split('#');
    return { file: file === '' ? document : posix.join(posix.dirname(document), file), anchor };
  });
}

/** A heading as links name it. */
const anchorOf = (heading: string) =>
  heading
    .toLowerCase()
    .replaceAll(/[^\w -]/g, '')
    .replaceAll(' ', '-');

/** The cells of a document's table that has these columns first. */
function tableOf(document: string, ...columns: string[]): string[][] {
  const cells = (line: string) =>
    line
      .slice(1, -1)
      .split('|')
      .map((cell) => cell.trim());
  const lines = read(document).split('\n');
  const start = lines.indexOf(lines.find((line) => line.startsWith(`| ${columns.join(' | ')} |`)) ?? '');
  const body = lines.slice(start + 2);
  return body
    .slice(
      0,
      body.findIndex((line) => !line.startsWith('|')),
    )
    .map(cells);
}

describe('the documents', () => {
  it('show only commands that a test runs', () => {
    const shown = new Set(DOCUMENTS.flatMap(commands));
    expect([...shown].sort()).toEqual(Object.keys(RUN_BY).sort());
    for (const { file, as } of Object.values(RUN_BY)) expect(read(file)).toContain(as);
  });

  it('name only existing scripts', () => {
    const { scripts } = JSON.parse(read('package.json'));
    const named = DOCUMENTS.flatMap((document) => found(read(document), /npm run ([a-z]+(?:[:-][a-z]+)*)/g));
    expect(named.filter((name) => !(name in scripts))).toEqual([]);
  });

  it('name only existing files of the project', () => {
    const named = DOCUMENTS.flatMap((document) =>
      found(read(document), /`((?:[a-z-]+\/)+[\w-]+\.(?:ts|sh|json|yaml|md|svg))`/g),
    );
    expect(named.filter((file) => existsSync(file.split('/')[0] ?? '') && !existsSync(file))).toEqual([]);
    expect(named.length).toBeGreaterThan(30);
  });

  it('link only to existing files and headings', () => {
    const links = DOCUMENTS.flatMap(linksOf);
    expect(links.filter(({ file }) => !existsSync(file))).toEqual([]);
    const lost = links.filter(
      ({ file, anchor }) =>
        anchor !== undefined &&
        !found(read(file), /^#+ (.+)$/gm)
          .map(anchorOf)
          .includes(anchor),
    );
    expect(lost).toEqual([]);
    expect(links.length).toBeGreaterThan(50);
  });

  it('have an up-to-date picture of the workflow', () => {
    expect(readFileSync('statemachine/autoscale.md', 'utf8')).toBe(drawWorkflow());
  });

  it('have an up-to-date reference of fleets.yaml and of guardrails.yaml', () => {
    expect(readFileSync('docs/configuration.md', 'utf8')).toBe(configurationReference());
    expect(readFileSync('docs/guardrails.md', 'utf8')).toBe(guardrailsReference());
    const example = /```yaml\n([\s\S]*?)```/
      .exec(configurationReference())?.[1]
      ?.replace(/ *install: .*\n/, '');
    expect(Fleets.safeParse(parse(example ?? '')).error).toBeUndefined();
  });

  it('show the decision that the code makes', () => {
    const [shown = ''] = found(read('docs/how-it-decides.md'), /```json\n([\s\S]*?)```/g);
    const members = { pending: 0, inService: 2, leaving: 0, standby: 0 };
    expect(JSON.parse(shown)).toEqual(
      decideCapacity({ unclaimed: 3, running: 2, desired: 2, members, minReplicas: 0, maxReplicas: 10 }),
    );
  });

  it('have the time limits of an execution', () => {
    const said = unwrapped('docs/how-it-decides.md');
    expect(said).toContain(`none starts after ${LIMITS.lastPollSeconds} s`);
    expect(said).toContain(`ends by itself within ${LIMITS.executionSeconds} s`);
  });

  it.each([
    { kind: 'boot', document: 'docs/how-it-decides.md', row: 'minutes from the last failure' },
    { kind: 'boot', document: 'docs/operations.md', row: 'next one after the last failure, other kinds' },
    { kind: 'shortage', document: 'docs/operations.md', row: 'next one after the last failure, `shortage`' },
  ] as const)('have the pauses between canaries after $kind, in $document', ({ kind, document, row }) => {
    const MINUTE = 60_000;
    const failedAt = (at: number) => ({
      outcome: 'failed' as const,
      kind,
      reason: '',
      startedAt: at,
      endedAt: at,
    });
    const [, ...said] =
      tableOf(document, 'failed canaries since it opened').find(([first]) => first?.startsWith(row)) ?? [];
    // Three failures, a minute apart, open the breaker. Then each canary launches when it is due.
    const launches = [0, 1, 2].map((minute) => failedAt(minute * MINUTE));
    const after = said.map(() => {
      const judged = judgeLaunches(launches, { failures: 3, windowSeconds: 900 });
      if (!judged.open) return undefined;
      launches.push(failedAt(judged.canaryAt));
      return (judged.canaryAt - judged.lastFailureAt) / MINUTE;
    });
    expect(after).toHaveLength(5);
    expect(said.map((cell) => Number.parseInt(cell, 10))).toEqual(after);
  });
});

describe('the README', () => {
  const readme = unwrapped('README.md');

  it('has the app of docs/library.md, which the tests of the package synthesise and deploy', () => {
    const [, app = ''] = /```ts\n([\s\S]*?)```/.exec(readFileSync('docs/library.md', 'utf8')) ?? [];
    expect(app).toContain('addFleet');
    expect(readFileSync('README.md', 'utf8')).toContain(`\`\`\`ts\n${app}\`\`\`\n`);
  });

  it('has the figures of the fault matrix', () => {
    const faults = tableOf('docs/fault-matrix.md', 'fault');
    const harmed = faults.filter(([, , , , , lost]) => lost !== 'nothing').map(([fault]) => fault);
    expect(harmed).toEqual(['EC2 takes Spot Instances back, after 10 minutes on average']);
    expect(readme).toContain('none is killed unless EC2 takes its Spot Instance back');
    expect(readme).toContain(`${faults.length - 1} tried in the sandbox`);
    expect(readme).toContain(`[${faults.length - 1} faults](docs/fault-matrix.md)`);
    const [, , stopped = ''] = faults.find(([fault]) => fault === 'the workflow is not started') ?? [];
    expect(readme).toContain(`an alarm after ${found(stopped, /Scaler Not Running (\d+) min/g)[0]} minutes`);
  });

  it('shows a picture of every policy that is replayed', () => {
    const texts = [...read('docs/policies.svg').matchAll(/<text[^>]*>([^<]*)/g)].flatMap(([, text = '']) =>
      text.split(', '),
    );
    const names = ['ours', ...PEERS.map(({ name }) => name)].map((name) => POLICY_NAMES[name]?.label);
    expect(texts).toEqual(expect.arrayContaining(names));
  });

  it('has the costs, in whole dollars', () => {
    const [noJob, officeHours, halfTheTime, alwaysBusy] = (
      tableOf('docs/cost.md', 'US dollars a month').at(-1) ?? []
    )
      .slice(1)
      .map((amount) => Math.round(Number(amount)));
    expect(readme).toContain(`about ${officeHours} dollars a month for a fleet that works in office hours`);
    expect(readme).toContain(`${alwaysBusy} for one that is always busy`);
    expect(readme).toContain(`${noJob} for one without jobs`);
    expect(readme).toContain(
      `Only the row \`ours\` includes the price of its scaler: ${halfTheTime} dollars a month`,
    );
    expect(unwrapped('docs/getting-started.md')).toContain(`about ${noJob} dollars a month: [an idle fleet]`);
    expect(unwrapped('docs/faq.md')).toContain(`About ${noJob} dollars a month for each fleet`);
    const [seen] =
      tableOf('docs/cost.md', '`pollInterval`')
        .find(([poll]) => poll === '5 s')
        ?.slice(1) ?? [];
    expect(readme).toContain(`${seen?.replace(' s', '')} on average`);
  });

  it('has the number of kinds of failure', () => {
    // All that the Choice leads to, also the kind that has no metric because it may be of no fleet. A kind is a heading of
    // the runbook: two states lead to Settings Unreadable.
    const { States } = JSON.parse(read('statemachine/autoscale.asl.json'));
    const { Choices, Default } = States['Which Failure?'];
    const leadsTo: string[] = [...Choices.map(({ Next }: { Next: string }) => Next), Default];
    const headings = leadsTo.map((name) => /#[a-z-]+/.exec(States[name].Parameters['cause.$'])?.[0]);
    const kinds = new Set(headings).size;
    expect(kinds).toBe(Object.keys(FAILURES).length + 1);
    expect(readme).toContain(`which of ${kinds} kinds of failure`);
    expect(readme).toContain(`one of ${kinds} named failures`);
    expect(unwrapped('docs/how-it-decides.md')).toContain(`one of ${kinds} named failures`);
  });
});

describe('the runbook', () => {
  const FILE = 'docs/operations.md';
  const runbook = read(FILE);
  /** Headings that do not belong to an alarm. */
  const OTHERS = [
    'How to read this',
    'Who is notified',
    'Where to look',
    'Metrics',
    // Messages of a function, which are no alarms; test/infra/images.test.ts.
    'Image Build Failed',
    'Image Rolled Back',
    'Pause a fleet',
    'Find what is left behind',
    'Roll a change out',
    'Update the runner',
    'Move from the tutorial',
    'Have more than one app',
    'Deploy one fleet',
    'Remove a fleet, or everything',
  ];
  /** The one kind of failure without an alarm of its own: it may be of a fleet that does not exist. */
  const UNCOUNTED = 'Settings Unreadable';
  const [, ...parts] = runbook.split(/^## /m);
  const headings = parts.map((part) => ({ heading: part.slice(0, part.indexOf('\n')), text: part }));
  const ofAlarms = headings.filter(({ heading }) => !OTHERS.includes(heading));

  /** A fleet that has every alarm. */
  const FLEET = minimalWith('maxHourlyCost: 1');
  const template = SynthesisedTemplate.of(fleetsOf(FLEET));
  const composites = template.all('AWS::CloudWatch::CompositeAlarm').map(({ properties }) => properties);
  const alarms = [
    ...template.all('AWS::CloudWatch::Alarm').map(({ properties }) => properties),
    ...composites,
  ];

  it('has a heading for each alarm, and an alarm for each of those headings', () => {
    const named = alarms.flatMap(({ AlarmDescription }) =>
      found(String(AlarmDescription), /\nSee docs\/operations\.md, "(.+)"\.$/g),
    );
    expect(named).toHaveLength(alarms.length);
    expect(ofAlarms.map(({ heading }) => heading).sort()).toEqual([...named, UNCOUNTED].sort());
    expect(headings).toHaveLength(ofAlarms.length + OTHERS.length);
  });

  it.each(ofAlarms)('has the meaning, the places and the actions of $heading', ({ text }) => {
    expect(found(text, /^\*\*(.+?)\.\*\*/gm)).toEqual(['Meaning', 'Look here', 'Do this']);
    expect(text.slice(text.indexOf('**Do this.**'))).toMatch(/^(1\. |\| )/m);
  });

  it.each(ofAlarms)('leads from $heading to the console, a saved query and a command', ({ text }) => {
    const look = text.slice(text.indexOf('**Look here.**'), text.indexOf('**Do this.**'));
    expect(look).toContain('](#where-to-look)');
    expect(look).toMatch(/`circleci-runners\/[A-Z]/);
    expect(look).toMatch(/^aws \w|`npm run \w/m);
  });

  it('names only places that the stack has', () => {
    const names = [
      ['CloudWatch::Dashboard', 'DashboardName'],
      ['StepFunctions::StateMachine', 'StateMachineName'],
      ['CloudWatch::Alarm', 'AlarmName'],
      ['AutoScaling::AutoScalingGroup', 'AutoScalingGroupName'],
      ['Scheduler::Schedule', 'Name'],
      ['Scheduler::ScheduleGroup', 'Name'],
      ['SQS::Queue', 'QueueName'],
    ].flatMap(([type, key = '']) => template.all(`AWS::${type}`).map(({ properties }) => properties[key]));
    const led = tableOf(FILE, 'place', 'address').flatMap(([, address = '']) =>
      found(decodeURIComponent(address), /[:/=](circleci-runners[\w-]*)/g),
    );
    const asDeployed = led.map((name) => name.replace('FLEET', 'linux').replace('NAME', 'Starving'));
    expect(led.length).toBeGreaterThan(5);
    expect(asDeployed.filter((name) => !names.includes(name))).toEqual([]);
  });

  it('lists all alarms with their names, their minutes, and the alarm that notifies', () => {
    const rules = new Map(composites.map((alarm) => [alarm.AlarmName, String(alarm.AlarmRule)]));
    const needsYou = rules.get('circleci-runners-linux-NeedsYou') ?? '';
    const outage = rules.get('circleci-runners-Outage') ?? '';
    const [fleet] = fleetsOf(FLEET);
    const routes = Object.fromEntries(
      Object.entries(fleet === undefined ? {} : alarmsOfFleet(fleet)).map(([kind, { route }]) => [
        `circleci-runners-linux-${kind}`,
        route,
      ]),
    );
    const notifier = ({ AlarmName, AlarmActions }: Record<string, unknown>) => {
      if (AlarmActions !== undefined) return 'itself';
      const rings = `ALARM("${AlarmName}")`;
      if (needsYou.includes(`${rings} AND (NOT`)) return 'Fleet Needs You, unless Outage';
      if (needsYou.includes(rings)) return 'Fleet Needs You';
      // The failures that ring it also ring Executions Failed.
      if (outage.includes(rings) || routes[String(AlarmName)] === 'Outage') return 'Outage';
      return 'nobody';
    };
    const listed = tableOf(FILE, 'alarm', 'name').map(([alarm = '', name = '', minutes = '', by = '']) => ({
      alarm: alarm.replace(/\]\(.*?\)/, '').slice(1),
      name: name.replaceAll('`', ''),
      minutes: minutes.replace(/, or .*$/, ''),
      by,
    }));
    const as = alarms.map((alarm) => {
      const [, fleet, name] = /^circleci-runners-(linux-)?(.+)$/.exec(String(alarm.AlarmName)) ?? [];
      const [heading] = found(String(alarm.AlarmDescription), /"(.+)"\.$/g);
      const { DatapointsToAlarm: bad, EvaluationPeriods: of, Period } = alarm;
      const period = Number(Period ?? 60) / 60;
      const minutes = `${Number(bad) * period} of ${Number(of) * period}`;
      return {
        alarm: `${heading}${fleet === undefined ? ', of all fleets' : ''}`,
        name,
        minutes: of === undefined ? '' : `${minutes}${period > 1 ? `, by periods of ${period}` : ''}`,
        by: notifier(alarm),
      };
    });
    const inOrder = (rows: { name?: string | undefined }[]) =>
      rows.toSorted((a, b) => String(a.name).localeCompare(String(b.name)));
    expect(inOrder(listed)).toEqual(inOrder(as));
  });

  it('has the headings that failed executions name', () => {
    const named = found(read('statemachine/autoscale.asl.json'), /docs\/operations\.md#([\w-]+)/g);
    expect(named.length).toBeGreaterThan(Object.keys(FAILURES).length);
    const anchors = ofAlarms.map(({ heading }) => anchorOf(heading));
    expect(named.filter((anchor) => !anchors.includes(anchor))).toEqual([]);
  });

  it('lists every metric with its unit, and no other', () => {
    const measured = [...read('functions/lib/metric-units.ts').matchAll(/^ {2}(\w+): '(\w+)',$/gm)].map(
      ([, metric, unit]) => ({
        metric,
        unit,
        dimensions: metric === 'BootSeconds' ? 'Fleet, Phase' : 'Fleet',
      }),
    );
    const counted = Object.keys(FAILURES).map((metric) => ({
      metric,
      unit: 'Count',
      dimensions: 'Fleet; Fleet, Step',
    }));
    const listed = tableOf(FILE, 'metric', 'unit').map(([metric = '', unit, dimensions]) => ({
      metric: metric.replaceAll('`', ''),
      unit,
      dimensions,
    }));
    expect(measured.length).toBeGreaterThan(5);
    const ofAll = { metric: 'OutageFailures', unit: 'Count', dimensions: 'Stack' };
    expect(listed).toEqual([...measured, ...counted, ofAll]);
  });

  it('names all saved queries, and no other', () => {
    const saved = template.all('AWS::Logs::QueryDefinition').map(({ properties }) => String(properties.Name));
    expect(tableOf(FILE, 'query').map(([query]) => query)).toEqual(saved.map((name) => `\`${name}\``));
    const named = found(unwrapped(FILE), /`(circleci-runners\/[^`]+)`/g);
    expect(named.filter((query) => !saved.includes(query))).toEqual([]);
  });

  it('has an action for each error that a step can throw', async () => {
    const errors = Object.keys(await import('../../functions/lib/errors.ts'));
    expect(errors.filter((error) => !runbook.includes(`\`${error}\``))).toEqual([]);
  });
});
