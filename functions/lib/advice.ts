/**
 * Advice names commands as they are for the default app. Whoever prints, logs or sends advice passes it through `forApp`, so
 * that the commands are about the right app.
 */

/** The name of an app that nobody has named. */
export const DEFAULT_APP = 'circleci-runners';

/** The file that the CDK reads without `-c fleets`. */
export const DEFAULT_FLEETS_FILE = 'fleets.yaml';

/** In the place of a file that is not known. */
export const UNKNOWN_FILE = 'FILE';

/** Commands with the option `--stack`. A test compares both lists with the commands. */
export const COMMANDS_WITH_STACK = [
  'doctor',
  'drain',
  'execute',
  'explain',
  'image',
  'pause',
  'reconcile',
  'recycle',
  'resume',
  'secrets',
  'status',
  'zones',
];

/** Those of them that also have `--fleets`. */
export const COMMANDS_WITH_FLEETS = ['doctor', 'recycle', 'secrets', 'status', 'zones'];

/** Which app advice is about. */
export interface AdvisedApp {
  /** Its name, as in `-c stack`. */
  app: string;
  /** The file that has its fleets, as in `-c fleets`; `undefined` if it is not known. */
  fleetsFile: string | undefined;
}

/** The app of this function, as its deployment says. */
export const ownApp = (env: NodeJS.ProcessEnv = process.env): AdvisedApp => ({
  app: env.STACK_NAME ?? DEFAULT_APP,
  fleetsFile: env.FLEETS_FILE ?? DEFAULT_FLEETS_FILE,
});

/** The package has a program of its own, which needs no `--` before options. */
const COMMAND = new RegExp(
  String.raw`\b(npm run|npx circleci-[r]unners) (${COMMANDS_WITH_STACK.join('|')})(?![\w:-])(?!(?: --)? --(?:stack|fleets) )( --(?= ))?`,
  'g',
);

/** `bootstrap` is about the account. */
const CDK = /\bnpx cdk (?:deploy|destroy|diff|synth)(?![\w-])(?!(?: --[a-z-]+)* -c )(?: --[a-z-]+)*/g;

/** The fleets file by its usual name, and not at the end of another path. */
const USUAL_FILE = /(?<![\w./=-])fleets\.yaml\b/;

/** A value as one word of a shell. */
const asWord = (value: string) =>
  /^[\p{L}\p{N}_@%+=:,./-]+$/u.test(value) ? value : `'${value.replaceAll("'", String.raw`'\''`)}'`;

const exactly = (text: string) => text.replaceAll(/[\\^$.*+?()[\]{}|]/g, String.raw`\$&`);

/** The usual name of a file where a text has no other one already. */
function withFile(text: string, file: string): string {
  // A name with a space can end like the usual one.
  const known = new RegExp(`${exactly(asWord(file))}|${exactly(file)}|${USUAL_FILE.source}`, 'g');
  return text.replaceAll(known, (found) => (found === DEFAULT_FLEETS_FILE ? file : found));
}

/** What a text says, with its commands and its file as they are for this app. A text may come here more than once. */
export function forApp({ app, fleetsFile }: AdvisedApp, text: string): string {
  const isDefault = app === DEFAULT_APP;
  const hasOwnFile = fleetsFile !== undefined && fleetsFile !== DEFAULT_FLEETS_FILE;
  if (isDefault && !hasOwnFile) return text;
  const stack = isDefault ? '' : ` --stack ${app}`;
  // Another file than that of the app would add its fleets to the app.
  const file = hasOwnFile ? fleetsFile : fleetsFile === undefined ? UNKNOWN_FILE : undefined;
  const context = `${file === undefined ? '' : ` -c fleets=${asWord(file)}`}${isDefault ? '' : ` -c stack=${app}`}`;
  const isNamed = hasOwnFile && fleetsFile !== UNKNOWN_FILE;
  return (isNamed ? withFile(text, fleetsFile) : text)
    .replaceAll(COMMAND, (command, program: string, name: string, dashes: string | undefined) => {
      const fleets =
        hasOwnFile && COMMANDS_WITH_FLEETS.includes(name) ? ` --fleets ${asWord(fleetsFile)}` : '';
      if (stack + fleets === '') return command;
      return `${program} ${name}${program === 'npm run' ? ' --' : (dashes ?? '')}${fleets}${stack}`;
    })
    .replaceAll(CDK, (command) => command + context);
}
