import { AutoScalingClient } from '@aws-sdk/client-auto-scaling';
import { SSMClient } from '@aws-sdk/client-ssm';
import { Command } from 'commander';
import { FleetsInvalid, loadFleets } from '../fleets/load.ts';
import { type AdvisedApp, forApp } from '../functions/lib/advice.ts';
import { wrapped } from '../functions/lib/fold.ts';
import { sentence } from '../functions/lib/sentence.ts';
import { AWS_CLIENT } from './aws/client.ts';
import { readSetup } from './aws/place.ts';
import { setupFault } from './aws/setup-fault.ts';
import { unknownCall } from './aws/unknown-call.ts';
import { NotDeployed, stackOption, UsageError } from './command-line/arguments.ts';
import { hasNoFile, otherFleet } from './command-line/fleets.ts';
import { type CliCommand, nameAndMessage, type Shell } from './command-line/run.ts';
import { fleetGroups } from './deployed/groups.ts';
import { readParameters, settingsIn } from './deployed/settings.ts';
import type { Check, CheckContext, Finding } from './doctor/check.ts';
import { CHECKS } from './doctor/checks.ts';

/** How long one check may take, in milliseconds. */
const DEADLINE = 30_000;

const define = (shell: Shell) =>
  new Command('npm run doctor --')
    .description(
      'Checks the account, the network, the tokens and what is deployed, one line for each check, with what to do. It works before a deployment and after, and changes nothing.',
    )
    .argument('[fleet]', 'a fleet (default: all fleets)')
    .option('--deployed-only', 'check only what is deployed, without fleets.yaml: for a pipeline')
    .option('--json', 'print only one JSON object')
    .option('--fleets <file>', 'the fleets file', 'fleets.yaml')
    .addOption(stackOption())
    .action(async (fleet: string | undefined, options: Options, command: Command) => {
      const isFileChosen = command.getOptionValueSource('fleets') === 'cli';
      if (options.deployedOnly && isFileChosen)
        throw new UsageError('--deployed-only reads no fleets file: leave out --fleets, or --deployed-only.');
      if (options.deployedOnly || isFileChosen) return examine(fleet, options, shell);
      const without = hasNoFile(command)
        ? `There is no ${options.fleets} here`
        : await ofAnotherApp(fleet, options);
      if (without === undefined) return examine(fleet, options, shell);
      shell.terminal.note(`${without}, so only what is deployed is checked.`);
      return examine(fleet, { ...options, deployedOnly: true }, shell);
    });

interface Options {
  deployedOnly?: boolean;
  json?: boolean;
  fleets: string;
  stack: string;
}

/**
 * Why the file in this folder says nothing about what is deployed: the app is on an endpoint that may be an emulator of AWS, and
 * has no fleet of the file, as after `npm run local`.
 */
async function ofAnotherApp(
  fleet: string | undefined,
  { stack, fleets }: Options,
): Promise<string | undefined> {
  const { endpoint } = readSetup(process.env);
  if (endpoint === undefined) return undefined;
  const inFile = loadFleets(fleets, { stack }).map(({ name }) => name);
  if (fleet !== undefined && inFile.includes(fleet)) return undefined;
  const deployed = (await fleetGroups(stack, new AutoScalingClient(AWS_CLIENT))).map((group) => group.fleet);
  if (deployed.length === 0 || deployed.some((name) => inFile.includes(name))) return undefined;
  return `The AWS at ${endpoint} has no fleet of ${fleets} (it has ${deployed.join(', ')})`;
}

/** A finding with the check that found it. */
type Found = Finding & { check: string };

async function examine(fleet: string | undefined, options: Options, shell: Shell): Promise<void> {
  const { terminal } = shell;
  const surroundings = await readSurroundings(fleet, options);
  const advised = {
    app: options.stack,
    fleetsFile: options.deployedOnly ? undefined : options.fleets,
  };
  const found = (await Promise.all(CHECKS.map((check) => runCheck(check, surroundings))))
    .flat()
    .map((finding) => adviceOf(finding, advised));
  if (found.some(({ level }) => level === 'fail')) shell.exitCode = 1;
  if (options.json) {
    terminal.print(JSON.stringify({ stack: options.stack, findings: found }));
    return;
  }
  for (const line of findingLines(found, terminal.columns, terminal.colours)) terminal.print(line);
}

/** A finding whose commands are about the app. */
const adviceOf = (finding: Found, advised: AdvisedApp): Found => ({
  ...finding,
  says: forApp(advised, finding.says),
  ...(finding.remedy !== undefined && { remedy: forApp(advised, finding.remedy) }),
});

async function readSurroundings(fleet: string | undefined, options: Options): Promise<CheckContext> {
  const { stack: app } = options;
  const isChosen = (name: string) => fleet === undefined || name === fleet;
  const file = options.deployedOnly ? [] : loadFleets(options.fleets, { stack: app });
  const [groups, parameters] = await Promise.all([
    fleetGroups(app, new AutoScalingClient(AWS_CLIENT)),
    readParameters(app, new SSMClient(AWS_CLIENT)),
  ]);
  const settings = settingsIn(parameters);
  if (options.deployedOnly && groups.length === 0 && settings.size === 0)
    throw new NotDeployed(`Stack ${app} has no fleets. Deploy it first: npx cdk deploy --all`);
  const names = [
    ...new Set([...file.map(({ name }) => name), ...groups.map((group) => group.fleet), ...settings.keys()]),
  ];
  if (!names.some(isChosen))
    throw new UsageError(
      otherFleet(
        'The fleet',
        options.deployedOnly ? 'a deployed one' : `one of ${options.fleets}, or a deployed one`,
        names,
        [fleet ?? ''],
      ),
    );
  return {
    app,
    inFile: options.deployedOnly ? undefined : file.map(({ name }) => name),
    fleets: file.filter(({ name }) => isChosen(name)),
    groups: groups.filter((group) => isChosen(group.fleet)),
    settings: new Map([...settings].filter(([name]) => isChosen(name))),
    deployedAt: new Map(
      parameters.flatMap((each) =>
        each.deployedAt === undefined ? [] : [[each.fleet, each.deployedAt] as const],
      ),
    ),
    now: Date.now(),
  };
}

/** A check took longer than it may. */
class TooLate extends Error {
  override readonly name = 'TooLate';
}

/** The names of errors about a right that is missing, as AWS's APIs have them. */
const NOT_ALLOWED = ['AccessDenied', 'AccessDeniedException', 'UnauthorizedOperation'];

/** A check that cannot be made is a warning: it says which right is missing, or what else went wrong. */
export async function runCheck({ name, run }: Check, surroundings: CheckContext): Promise<Found[]> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new TooLate(`no answer within ${DEADLINE / 1_000} s`)), DEADLINE);
  });
  try {
    const findings = await Promise.race([run(surroundings), late]);
    return findings.map((finding) => ({ check: name, ...finding }));
  } catch (error) {
    const setup = readSetup(process.env);
    if (setupFault(error, setup) !== undefined) throw error;
    const fault = error as Error;
    return [
      {
        check: name,
        level: 'warn',
        says: `not checked: ${fault.name}: ${fault.message}`,
        remedy: remedyOf(fault, setup.endpoint),
      },
    ];
  } finally {
    clearTimeout(timer);
  }
}

/** What to do about a check that could not be made. */
function remedyOf(fault: Error, endpoint: string | undefined): string {
  const unknown = unknownCall(fault, endpoint);
  if (unknown !== undefined) return `nothing, ${unknown}`;
  return NOT_ALLOWED.includes(fault.name)
    ? 'allow this call, or use a profile that may make it'
    : 'run npm run doctor again';
}

/** The checks that an emulator of AWS cannot answer as one finding: they would bury the others. */
function withLackingAsOne(found: Found[]): Found[] {
  const isLacking = ({ says, remedy = '' }: Found) =>
    says.startsWith('not checked: ') && remedy.startsWith('nothing, ');
  const lacking = found.filter(isLacking);
  const [first] = lacking;
  if (first === undefined || lacking.length === 1) return found;
  const checks = [...new Set(lacking.map(({ check }) => check))];
  const one: Found = {
    check: 'not checked',
    level: 'warn',
    says: checks.join(', '),
    ...(first.remedy !== undefined && { remedy: first.remedy.replace(/this call$/, 'their calls') }),
  };
  return [...found.filter((finding) => !isLacking(finding)), one];
}

/** One line for each finding, as far as it fits: the level, the fleet, what was found, and what to do. */
export function findingLines(
  found: Found[],
  columns: number,
  { green, yellow, red, bold }: Shell['terminal']['colours'],
): string[] {
  const mark = { ok: green('ok  '), warn: yellow('warn'), fail: red('fail') };
  const shown = withLackingAsOne(found);
  const lines = shown.flatMap(({ level, check, fleet, says, remedy }) => {
    const about = fleet === undefined ? check : `${fleet}, ${check}`;
    const [first = '', ...rest] = wrapped(
      `     ${about}: ${remedy === undefined ? says : `${sentence(says)} To do: ${remedy}`}`,
      columns,
      5,
    );
    return [`${mark[level]} ${first.slice(5)}`, ...rest];
  });
  const count = (level: Finding['level']) => shown.filter((finding) => finding.level === level).length;
  const warnings = count('warn');
  return [
    ...lines,
    bold(
      `${count('ok')} ok, ${warnings} ${warnings === 1 ? 'warning' : 'warnings'}, ${count('fail')} failed`,
    ),
  ];
}

export const doctor: CliCommand = {
  define,
  usageErrors: [FleetsInvalid],
  failsIf: 'a check fails',
  describeError: nameAndMessage,
  aws: 'account',
  // A check that has no answer in time may still wait for one.
  endsProcess: true,
};
