import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import type { CliCommand } from '../../cli/command-line/run.ts';
import { COMMANDS } from '../../cli/commands.ts';
import { Terminal } from '../../cli/terminal/terminal.ts';
import {
  type AdvisedApp,
  COMMANDS_WITH_FLEETS,
  COMMANDS_WITH_STACK,
  forApp,
  ownApp,
  UNKNOWN_FILE,
} from '../../functions/lib/advice.ts';
import { DescribeGroupInput } from '../../functions/lib/contracts.ts';
import { step } from '../../functions/lib/step.ts';
import { imageStepsOf } from '../../statemachine/first-steps.ts';
import { withPackageCommands } from '../../tools/build-package.ts';
import { countInput } from '../support/inputs.ts';

const OTHER: AdvisedApp = { app: 'team-b', fleetsFile: 'fleets.yaml' };

describe('the commands in advice', () => {
  it.each<{ case: string; app: AdvisedApp; text: string; said: string }>([
    {
      case: 'stay as they are for the default app',
      app: ownApp({}),
      text: 'Store them: npm run secrets -- linux. Deploy: npx cdk deploy --all',
      said: 'Store them: npm run secrets -- linux. Deploy: npx cdk deploy --all',
    },
    {
      case: 'name another app',
      app: OTHER,
      text: 'Store them: npm run secrets -- linux. See npm run doctor, or npm run image -- build linux',
      said: 'Store them: npm run secrets -- --stack team-b linux. See npm run doctor -- --stack team-b, or npm run image -- --stack team-b build linux',
    },
    {
      case: 'name another app to the program of the package',
      app: OTHER,
      text: withPackageCommands(
        'npm run secrets -- linux. See npm run doctor. A schedule or npm run execute started it',
      ),
      said: 'npx circleci-runners secrets --stack team-b linux. See npx circleci-runners doctor --stack team-b. A schedule or npx circleci-runners execute --stack team-b started it',
    },
    {
      case: 'name another app to the CDK',
      app: OTHER,
      text: 'npx cdk deploy --all --revert-drift. Or npx cdk destroy, after npx cdk bootstrap',
      said: 'npx cdk deploy --all --revert-drift -c stack=team-b. Or npx cdk destroy -c stack=team-b, after npx cdk bootstrap',
    },
    {
      case: 'name another file of the default app',
      app: { app: 'circleci-runners', fleetsFile: 'b.yaml' },
      text: 'npm run secrets -- linux, npm run explain -- linux, npx cdk deploy --all',
      said: 'npm run secrets -- --fleets b.yaml linux, npm run explain -- linux, npx cdk deploy --all -c fleets=b.yaml',
    },
    {
      case: 'name another file wherever they name the usual one',
      app: { app: 'circleci-runners', fleetsFile: 'teams/fleets.yaml' },
      text: forApp(
        { app: 'circleci-runners', fleetsFile: 'teams/fleets.yaml' },
        'fleets.yaml differs: correct it in fleets.yaml, not in examples/fleets.yaml: npx cdk deploy --all',
      ),
      said: 'teams/fleets.yaml differs: correct it in teams/fleets.yaml, not in examples/fleets.yaml: npx cdk deploy --all -c fleets=teams/fleets.yaml',
    },
    {
      case: 'quote a file with a space, also one that ends like the usual one',
      app: { app: 'team-b', fleetsFile: 'of ours/my fleets.yaml' },
      text: 'Correct fleets.yaml: npm run doctor -- linux, npx cdk deploy --all',
      said: "Correct of ours/my fleets.yaml: npm run doctor -- --fleets 'of ours/my fleets.yaml' --stack team-b linux, npx cdk deploy --all -c fleets='of ours/my fleets.yaml' -c stack=team-b",
    },
    {
      case: 'quote a file with a quote',
      app: { app: 'circleci-runners', fleetsFile: "bob's fleets.yaml" },
      text: 'npm run doctor, in fleets.yaml',
      said: String.raw`npm run doctor -- --fleets 'bob'\''s fleets.yaml', in bob's fleets.yaml`,
    },
    {
      case: 'keep the usual name of a file that is not known',
      app: { app: 'team-b', fleetsFile: UNKNOWN_FILE },
      text: 'Raise maxReplicas in fleets.yaml',
      said: 'Raise maxReplicas in fleets.yaml',
    },
    {
      case: 'deploy no other file into an app whose file is not known',
      app: { app: 'team-b', fleetsFile: undefined },
      text: 'npm run secrets -- linux, npx cdk deploy --all',
      said: 'npm run secrets -- --stack team-b linux, npx cdk deploy --all -c fleets=FILE -c stack=team-b',
    },
    {
      case: 'of other names stay as they are',
      app: OTHER,
      text: 'npm run simulate -- --train x, npm run pin, npm run status:all, npx cdk-assets deploy',
      said: 'npm run simulate -- --train x, npm run pin, npm run status:all, npx cdk-assets deploy',
    },
  ])('$case', ({ app, text, said }) => {
    expect(forApp(app, text)).toBe(said);
    expect(forApp(app, forApp(app, text))).toBe(said);
  });

  it('have these options', async () => {
    const having = async (...wanted: string[]) => {
      const names = Object.entries(COMMANDS).map(async ([name, load]) => {
        const command: CliCommand = await load();
        const { stdin } = process;
        const shell = { words: [], terminal: new Terminal(process), stdin, env: {}, exitCode: 0 };
        const options = command.define(shell).options.map(({ long }) => long);
        return wanted.every((option) => options.includes(option)) ? [name] : [];
      });
      return (await Promise.all(names)).flat().toSorted();
    };
    // These two are about no deployed app, but for a boot that `simulate` may measure.
    const others = ['init', 'simulate'];
    const ofStack = await having('--stack');
    expect(ofStack.filter((name) => !others.includes(name))).toEqual(COMMANDS_WITH_STACK);
    const ofFile = await having('--stack', '--fleets');
    expect(ofFile.filter((name) => !others.includes(name))).toEqual(COMMANDS_WITH_FLEETS);
  });
});

/** Where a text with a command leaves: by the file of the text, the file that adapts it. */
const LEAVES: Record<string, string> = {
  'functions/read-settings.ts': 'functions/read-settings.ts',
  'functions/lib/': 'functions/lib/step.ts',
  'infra/group-settings-handler.ts': 'infra/group-settings-handler.ts',
  'infra/deployed-fleets.ts': 'infra/deployed-fleets.ts',
  'statemachine/first-steps.ts': 'infra/alarms.ts',
  'fleets/': 'infra/app.ts',
  'cli/doctor/': 'cli/doctor.ts',
  'cli/explain/': 'cli/explain.ts',
  'cli/status/': 'cli/status.ts',
  'cli/deployed/groups.ts': 'cli/status.ts',
  'cli/deployed/stored-secret.ts': 'cli/secrets.ts',
};

/** Texts that are about no deployed app. */
const NO_APP: Record<string, string> = {
  'cli/init/written.ts': 'it is in the fleets file, which any app may deploy',
  'cli/init/from-group.ts': 'the fleet is not deployed yet',
  'cli/local.ts': 'the commands about the local AWS are on the next line',
  'cli/pin.ts': 'the release is of all apps',
};

const COMMAND = new RegExp(
  String.raw`\bnpm run (?:${COMMANDS_WITH_STACK.join('|')})\b(?![:\w])|\bnpx cdk (?:deploy|destroy|diff|synth)\b`,
  'g',
);

const sources = ['functions', 'infra', 'fleets', 'cli', 'statemachine']
  .flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((name) => join(folder, name)),
  )
  .filter((file) => /\.(ts|json)$/.test(file) && file !== 'fleets/reference.ts')
  .map((file) => ({ file, lines: readFileSync(file, 'utf8').split('\n') }));

/** Lines of texts with a command: neither comments nor descriptions of settings, nor the name in a help text. */
const told = sources.flatMap(({ file, lines }) =>
  lines
    .filter((line) => line.search(COMMAND) !== -1)
    .filter((line) => !/^\s*(\*|\/\/|\/\*\*)/.test(line) && !line.includes('new Command('))
    .map((line) => ({ file, line })),
);

describe('each message that names a command', () => {
  it('is found', () => expect(told.length).toBeGreaterThan(60));

  it('spells the command out, so that the package can rename it', () => {
    const computed = sources.filter(({ lines }) => /npm run \$\{/.test(lines.join('\n')));
    expect(computed.map(({ file }) => file)).toEqual([]);
  });

  it.each(told)('names the app: $line', ({ line }) => {
    const commands = line.match(COMMAND) ?? [];
    const named = forApp({ app: 'team-b', fleetsFile: undefined }, line).match(
      /--stack team-b|stack=team-b/g,
    );
    expect(named).toHaveLength(commands.length);
  });

  it.each([...new Set(told.map(({ file }) => file))])('leaves by what adapts it: %s', (file) => {
    const [, by] = Object.entries(LEAVES).find(([begin]) => file.startsWith(begin)) ?? [];
    const source = (name: string) => sources.find((each) => each.file === name)?.lines.join('\n') ?? '';
    const isThrown = told
      .filter((each) => each.file === file)
      .every(({ line }) => isOfError(file, line) || source(file).includes('forApp('));
    if (by !== undefined) expect(source(by)).toContain('forApp(');
    // cli/command-line/run.ts adapts each error of a command.
    else if (file.startsWith('cli/') && !(file in NO_APP)) expect(isThrown).toBe(true);
    else expect(Object.keys(NO_APP)).toContain(file);
  });
});

/** Whether a line is the message of an error. */
function isOfError(file: string, line: string): boolean {
  const lines = sources.find((each) => each.file === file)?.lines ?? [];
  const index = lines.indexOf(line);
  return /throw new|(NotDeployed|UsageError)\(/.test(
    lines.slice(Math.max(index - 3, 0), index + 1).join('\n'),
  );
}

describe('the app of a function', () => {
  it('is what its deployment says', () => {
    expect(ownApp({ STACK_NAME: 'team-b', FLEETS_FILE: 'b.yaml' })).toEqual({
      app: 'team-b',
      fleetsFile: 'b.yaml',
    });
  });

  it('is in the errors of its steps, and in what they log', async () => {
    const error = vi.fn();
    const failing = step('Describe Group', DescribeGroupInput, {}, () =>
      Promise.reject(new Error('It is gone. Deploy: npx cdk deploy --all')),
    ).with({ advised: OTHER, log: { error, debug: vi.fn(), info: vi.fn() } });
    const said = 'It is gone. Deploy: npx cdk deploy --all -c stack=team-b';
    await expect(failing(countInput())).rejects.toThrow(said);
    expect(error.mock.calls[0]?.[1].error.stack).toContain(said);
    await expect(failing({})).rejects.toThrow(
      'npm run execute -- --stack team-b started it, the workflow and its functions do not match: npx cdk deploy --all -c stack=team-b',
    );
  });

  it('is named in the steps of messages about images', () => {
    const steps = Object.values(imageStepsOf('linux')).flat();
    expect(steps.map((text) => forApp(OTHER, text)).join()).toContain(
      'npm run image -- --stack team-b use IMAGE linux',
    );
  });
});
