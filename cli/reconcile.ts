import { AutoScalingClient } from '@aws-sdk/client-auto-scaling';
import { EC2Client } from '@aws-sdk/client-ec2';
import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { SSMClient } from '@aws-sdk/client-ssm';
import confirm from '@inquirer/confirm';
import { Command } from 'commander';
import { circleciAccess } from '../functions/lib/circleci.ts';
import type { DeployedSettings } from '../functions/lib/contracts.ts';
import { findLeftovers } from '../functions/lib/leftovers.ts';
import { keyOf, MOST_REPAIRS, repairsOf } from '../functions/lib/reconcile.ts';
import type { ReconcileClients } from '../functions/lib/reconcile-reads.ts';
import { repairAll } from '../functions/lib/repair.ts';
import { secretsProvider } from '../functions/lib/secrets.ts';
import { AWS_CLIENT } from './aws/client.ts';
import { readSetup } from './aws/place.ts';
import { setupFault } from './aws/setup-fault.ts';
import { refuseVain, stackOption, UsageError } from './command-line/arguments.ts';
import { refuseUnknown } from './command-line/fleets.ts';
import { type CliCommand, nameAndMessage, type Shell } from './command-line/run.ts';
import { fleetGroups } from './deployed/groups.ts';
import { readSettings } from './deployed/settings.ts';
import { describeAction, findingLines, type Reconciled } from './reconcile/screen.ts';

interface Options {
  apply?: boolean;
  yes?: boolean;
  json?: boolean;
  stack: string;
}

/** @param now The time, in milliseconds since the epoch. */
const defineWith = (now: () => number) => (shell: Shell) =>
  new Command('npm run reconcile --')
    .description(
      'Finds what fleets leave behind: instances in no group, runners that never connected, instances that are too old or stuck, volumes, and more. It compares the group, EC2 and the runners that CircleCI lists, and changes nothing. With --apply, it repairs what cannot be running a job.',
    )
    .argument('[fleet]', 'a deployed fleet (default: all fleets)')
    .option('--apply', `repair up to ${MOST_REPAIRS} findings of each fleet; asks first`)
    .option('--yes', 'with --apply: do not ask')
    .option('--json', 'print only one JSON object; with --apply, --yes is needed')
    .addOption(stackOption())
    .action((fleet: string | undefined, options: Options, command: Command) => {
      refuseVain(command, { yes: { isThere: options.apply === true, needs: '--apply' } });
      return reconcileFleets(fleet, options, shell, now);
    });

/** A fleet, and what its functions know of it. */
interface Fleet {
  fleet: string;
  group: string;
  /** `undefined` if they could not be read, or are of another version. */
  settings: DeployedSettings | undefined;
}

async function reconcileFleets(
  named: string | undefined,
  options: Options,
  shell: Shell,
  now: () => number,
): Promise<void> {
  const { terminal } = shell;
  refuseContradictions(options, shell);
  const clients: ReconcileClients = {
    autoScaling: new AutoScalingClient(AWS_CLIENT),
    ec2: new EC2Client(AWS_CLIENT),
    secrets: new SecretsManagerClient(AWS_CLIENT),
  };
  const fleets = await chosenFleets(named, options.stack, clients);
  let found = await Promise.all(fleets.map((fleet) => examine(fleet, clients, now)));
  if (!options.json)
    for (const line of findingLines(found, now(), terminal.columns, terminal.colours)) terminal.print(line);
  if (options.apply && (await isWanted(found, options))) {
    // The question may have waited, and a job may have begun since then.
    const again = await Promise.all(fleets.map((fleet) => examine(fleet, clients, now)));
    found = await Promise.all(again.map((one, index) => repairFleet(one, found[index], clients)));
    if (!options.json)
      for (const { fleet, repaired } of found)
        for (const { resource, says } of repaired) terminal.printProse(`${fleet}: ${resource} ${says}`);
  }
  if (options.json)
    terminal.print(
      JSON.stringify({ stack: options.stack, fleets: found.map(({ group, ...fleet }) => fleet) }),
    );
  if (found.some(isLeft)) shell.exitCode = 1;
}

/** @throws UsageError */
function refuseContradictions({ apply, yes, json }: Options, { stdin, terminal }: Shell): void {
  if (apply && !yes && (json || stdin.isTTY !== true || !terminal.isWatched))
    throw new UsageError(
      `--apply asks first, and ${json ? '--json prints once' : 'this is no terminal'}: add --yes, or look at the findings without --apply.`,
    );
}

/** @throws NotDeployed, UsageError */
async function chosenFleets(
  named: string | undefined,
  app: string,
  { autoScaling }: ReconcileClients,
): Promise<Fleet[]> {
  const [groups, settings] = await Promise.all([
    fleetGroups(app, autoScaling),
    readSettings(app, new SSMClient(AWS_CLIENT)).catch((error) => {
      if (setupFault(error, readSetup(process.env)) !== undefined) throw error;
      return new Map<string, DeployedSettings>();
    }),
  ]);
  refuseUnknown(
    app,
    groups.map(({ fleet }) => fleet),
    named,
  );
  const chosen = groups.filter(({ fleet }) => named === undefined || fleet === named);
  return chosen.map(({ fleet, group }) => ({ fleet, group, settings: settings.get(fleet) }));
}

async function examine(
  { fleet, group, settings }: Fleet,
  clients: ReconcileClients,
  now: () => number,
): Promise<Reconciled> {
  const access = { ...circleciAccess(), secrets: secretsProvider(clients.secrets), clients, now };
  const { findings, missing } = await findLeftovers(access, group, settings);
  return { fleet, group, findings, missing, repaired: [] };
}

async function isWanted(found: Reconciled[], { yes }: Options): Promise<boolean> {
  const repairs = found.flatMap(({ findings }) => repairsOf(findings));
  if (repairs.length === 0) return false;
  if (yes) return true;
  const what = repairs.map(({ repair, resource }) => `${describeAction(repair)} ${resource}`).join(', ');
  return confirm({ message: `Repair these: ${what}?`, default: false });
}

/** Repairs what was found both times. */
async function repairFleet(
  now: Reconciled,
  before: Reconciled | undefined,
  clients: ReconcileClients,
): Promise<Reconciled> {
  const asked = repairsOf(before?.findings ?? []).map(keyOf);
  return { ...now, repaired: await repairAll(clients, now.group, now.findings, asked) };
}

/** Whether something is found and not repaired, or could not be read. */
function isLeft({ findings, missing, repaired }: Reconciled): boolean {
  const done = repaired.flatMap((each) => (each.done ? [each.resource] : []));
  return missing.length > 0 || findings.some(({ resource }) => !done.includes(resource));
}

/** The command with another clock. */
export const reconcileAt = (now: () => number): CliCommand => ({
  define: defineWith(now),
  failsIf: 'something is found and not repaired, or could not be read',
  promptClosed: 'Nothing was repaired.',
  describeError: nameAndMessage,
  aws: 'stack',
});

export const reconcile = reconcileAt(() => Date.now());
