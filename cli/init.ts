import { existsSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Command } from 'commander';
import { FleetsInvalid } from '../fleets/load.ts';
import { RELEASE_FILE } from '../fleets/runner-release.ts';
import { forApp } from '../functions/lib/advice.ts';
import { stackOption, UsageError } from './command-line/arguments.ts';
import { TOKEN_VARIABLES } from './command-line/circleci-token.ts';
import { wrappedHelp } from './command-line/help.ts';
import { type CliCommand, nameAndMessage, type Shell } from './command-line/run.ts';
import { writeWhole } from './command-line/whole-file.ts';
import { answered, type InitOptions } from './init/answers.ts';
import {
  changedLines,
  onlyFleet,
  type PlannedFile,
  planFile,
  readIfPresent,
  refuseInvalid,
} from './init/files.ts';
import { carriedOver } from './init/from-group.ts';
import { readGroup } from './init/group-reads.ts';
import { Lookups } from './init/lookups.ts';
import {
  DEFAULTS,
  list,
  nameOption,
  networkOption,
  recipientOption,
  settingOption,
  subnetsOption,
} from './init/options.ts';
import { cdkInstallation, cdkJson, otherApp } from './init/project.ts';
import { askToReplace } from './init/questions.ts';
import { configText, fleetsText, schemaPath } from './init/written.ts';

const define = (shell: Shell) =>
  new Command('npm run init --')
    .description(
      'Writes the fleets file and a first job for it, and says which commands come next. It asks for what you do not give as an option, and looks up what it can in AWS and CircleCI. It changes only files.',
    )
    .option(
      '--class <namespace/class>',
      'resource class of the runners',
      settingOption('resourceClass', String),
    )
    .option('--name <name>', 'name of the fleet (default: the end of the resource class)', nameOption)
    .option(
      '--types <list>',
      'instance types, such as m7i.large,m6i.large',
      settingOption('instanceTypes', list),
    )
    .option('--max <n>', 'maximum number of instances', settingOption('maxReplicas', Number))
    .option('--network <network>', 'default-vpc, new-vpc, or the id of a VPC', networkOption)
    .option(
      '--subnets <list>',
      'subnets of that VPC (default: those from which instances reach the internet)',
      subnetsOption,
    )
    .option(
      '--notify <who>',
      'who gets the alarms: an e-mail address, the ARN of an SNS topic, or nobody',
      recipientOption,
    )
    .option(
      '--from-group <name>',
      'take the settings of an existing Auto Scaling group and of what it launches',
    )
    .option('--circleci-url <url>', 'the runner API of CircleCI Server', settingOption('circleciUrl', String))
    .option('--no-config', 'write no .circleci/config.yml')
    .option(
      '-y, --yes',
      `ask nothing: take the defaults, and replace ${'fleets.yaml'} if it is still the example`,
    )
    .option('--force', 'replace the fleets file whatever it has')
    .option('--dry-run', 'write nothing; print what would be written')
    .option('--json', 'print only one JSON object')
    .option('--fleets <file>', 'the file to write; the job is written beside it', 'fleets.yaml')
    .addOption(stackOption())
    .addHelpText(
      'after',
      wrappedHelp(() => [
        `Defaults: ${DEFAULTS.instanceTypes.join(', ')}, at most ${DEFAULTS.maxReplicas} instances, the default VPC if the region has one, alarms for nobody. If the fleets file has one fleet already, its settings are the defaults. --class has none.`,
        'A file that has these settings already stays as it is, so a second run changes nothing. The example that the repository ships is replaced after a question, or with --yes. Any other fleets file is replaced after a question, or with --force, and an existing .circleci/config.yml only after a question.',
        `If ${TOKEN_VARIABLES.join(', ')} or your answer is a personal API token, the command looks up the resource classes that it sees. It stores no token.`,
        'In a project that has installed the package and has no cdk.json, the command also writes one, so that npx cdk finds the app.',
        'With --from-group, the command reads the group, its launch template or launch configuration, and the image. It says what the fleet does not get, and why. It changes nothing in AWS. docs/operations.md says how to move without killing jobs.',
        'Without a terminal, the command asks nothing. If an answer is missing then, it says which options are missing.',
      ]),
    )
    .allowExcessArguments(false)
    .action((options: InitOptions) => initialise(options, shell));

async function initialise(options: InitOptions, shell: Shell): Promise<void> {
  const { terminal } = shell;
  if (/[/\\]$/.test(options.fleets) || statSync(options.fleets, { throwIfNoEntry: false })?.isDirectory())
    throw new UsageError(
      `--fleets must be a file such as fleets.yaml, got the folder ${JSON.stringify(options.fleets)}`,
    );
  const isAsking = shell.stdin.isTTY === true && terminal.isWatched && options.yes !== true;
  const old = options.fromGroup === undefined ? undefined : carriedOver(await readGroup(options.fromGroup));
  const lookups = new Lookups();
  const present = onlyFleet(options.fleets, readIfPresent(options.fleets));
  const { name, fleet, notes, isBootstrapped } = await answered(options, {
    isAsking,
    lookups,
    present,
    carried: old?.fleet,
    shell,
  });
  for (const each of notes) terminal.note(each);
  for (const { what, why } of old?.leftOut ?? []) terminal.note(`Not carried over: ${what}, because ${why}.`);
  for (const each of lookups.lines()) terminal.note(each);

  const folder = dirname(options.fleets);
  const text = fleetsText(name, fleet, schemaPath(folder));
  refuseInvalid(text, options);
  const files = [planFile(options.fleets, text)];
  if (options.config)
    files.push(planFile(join(folder, '.circleci', 'config.yml'), configText(name, fleet.resourceClass)));
  const cdk = cdkJson();
  if (cdk !== undefined) files.push(planFile('cdk.json', cdk));
  const other = otherApp();
  if (other !== undefined) terminal.note(other);

  const written: { file: string; text: string; action: Action }[] = [];
  for (const planned of files) {
    const isFleets = planned.file === options.fleets;
    const action = await decide(planned, isFleets, options, isAsking, shell);
    if (action === 'declined' && isFleets) {
      shell.exitCode = 1;
      terminal.note('Nothing was written.');
      return;
    }
    written.push({ file: planned.file, text: planned.text, action });
  }
  for (const { file, text: content, action } of written)
    if (isWritten(action) && !options.dryRun) writeWhole(file, content);

  const next = nextCommands(name, options, isBootstrapped);
  const watching = watchingCommands(name, options);
  if (options.json) {
    const notLookedUp = [...lookups.missing].map(([why, what]) => ({ what, why }));
    terminal.print(
      JSON.stringify({
        fleet: name,
        dryRun: options.dryRun === true,
        files: written,
        notes,
        ...(old !== undefined && { notCarriedOver: old.leftOut }),
        notLookedUp,
        next,
        watching,
      }),
    );
    return;
  }
  for (const { file, text: content, action } of written) {
    terminal.print(`${terminal.colours.bold(file)}: ${(options.dryRun ? WOULD_SAY : SAYS)[action]}`);
    if (options.dryRun && isWritten(action)) terminal.print(content);
  }
  terminal.print('Next:');
  for (const command of next) terminal.print(`  ${command}`);
  const job = options.config
    ? 'the job in .circleci/config.yml'
    : `a job with resource_class: ${fleet.resourceClass}`;
  terminal.printProse(`Then push ${job} to CircleCI, and see the fleet react:`);
  for (const command of watching) terminal.print(`  ${command}`);
}

type Action = 'new' | 'replaced' | 'unchanged' | 'declined';

const isWritten = (action: Action) => action === 'new' || action === 'replaced';

const SAYS: Record<Action, string> = {
  new: 'written',
  replaced: 'replaced',
  unchanged: 'has these settings already',
  declined: 'left as it is',
};

/** The same with `--dry-run`, which writes nothing. */
const WOULD_SAY: Record<Action, string> = {
  ...SAYS,
  new: 'would be written',
  replaced: 'would be replaced',
  declined: 'would be left as it is',
};

/** What happens to a file. It asks before it replaces one, and shows the difference. */
async function decide(
  planned: PlannedFile,
  isFleets: boolean,
  { yes = false, force = false, dryRun = false }: InitOptions,
  isAsking: boolean,
  { terminal }: Shell,
): Promise<Action> {
  const { file, before } = planned;
  if (before === 'missing') return 'new';
  if (before === 'same') return 'unchanged';
  if (isFleets && (force || (before === 'example' && yes))) return 'replaced';
  if (!isFleets && !isAsking) return 'declined';
  if (dryRun && before === 'example') return 'replaced';
  for (const line of changedLines(planned)) terminal.quote(coloured(line, terminal));
  if (isAsking) {
    const what = before === 'example' ? `${file} is still the example. Replace it?` : `Replace ${file}?`;
    return (await askToReplace(what, before === 'example')) ? 'replaced' : 'declined';
  }
  if (before === 'example')
    throw new UsageError(`${file} is still the example. Nothing was written. To replace it, add --yes.`);
  throw new UsageError(
    `${file} has other settings. Nothing was written. To replace it, add --force. To write another file, add --fleets FILE.`,
  );
}

function coloured(line: string, { colours }: Shell['terminal']): string {
  if (line.startsWith('+')) return colours.green(line);
  return line.startsWith('-') ? colours.red(line) : line;
}

/** What shows that a job finds a runner. */
function watchingCommands(name: string, { stack }: InitOptions): string[] {
  const advised = { app: stack, fleetsFile: undefined };
  return [`npm run execute -- ${name}`, `npm run explain -- ${name}`].map((line) => forApp(advised, line));
}

/** What comes next until a job can run. */
function nextCommands(name: string, { fleets, stack }: InitOptions, isBootstrapped = false): string[] {
  return [
    ...cdkInstallation(),
    ...(existsSync(RELEASE_FILE) ? [] : ['npm run pin']),
    ...(isBootstrapped ? [] : ['npx cdk bootstrap']),
    `npm run doctor -- ${name}`,
    'npx cdk deploy --all',
    `npm run secrets -- ${name}`,
  ].map((line) => forApp({ app: stack, fleetsFile: fleets }, line));
}

export const init: CliCommand = {
  define,
  usageErrors: [FleetsInvalid],
  failsIf: 'it failed, or you declined a question',
  promptClosed: 'Nothing was written.',
  describeError: nameAndMessage,
  aws: 'optional',
  endsProcess: true,
};
