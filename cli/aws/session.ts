import type { Command } from 'commander';
import { regionOption } from '../command-line/arguments.ts';
import type { Terminal } from '../terminal/terminal.ts';
import {
  bootstrapVersion,
  describePlace,
  keepPlace,
  otherLastPlace,
  type Place,
  readPlace,
  readSetup,
} from './place.ts';

/** Where a command talks to AWS: its option `--region`, its first line on a terminal, and hints if nothing is there. */
export class AwsSession {
  readonly #about: 'stack' | 'account' | 'optional';
  readonly #shell: { readonly terminal: Terminal };
  #place: Place | undefined;
  #stack: string | undefined;

  /**
   * @param about Whether the command is about a deployed stack, or only about the account. With `optional`, it works
   * without an account as well, and says itself where it talks to AWS.
   */
  constructor(about: 'stack' | 'account' | 'optional', shell: { readonly terminal: Terminal }) {
    this.#about = about;
    this.#shell = shell;
  }

  /** Adds the option, and the first line. */
  prepare(command: Command): void {
    command.addOption(regionOption()).hook('preAction', async (_, action) => {
      const { region, stack }: { region?: string; stack?: string } = action.opts();
      // Clients read it from there. The CDK and the AWS CLI accept AWS_DEFAULT_REGION, and the SDK does not.
      const chosen = region ?? (process.env.AWS_REGION || process.env.AWS_DEFAULT_REGION);
      if (chosen) process.env.AWS_REGION = chosen;
      this.#stack = stack;
      if (this.#about !== 'optional' && this.#shell.terminal.isWatched) await this.#announce();
    });
  }

  async #announce(): Promise<void> {
    const { terminal } = this.#shell;
    const { colours } = terminal;
    const setup = readSetup(process.env);
    const place = await readPlace(setup);
    this.#place = place;
    const stack = this.#stack === undefined ? '' : `, stack ${this.#stack}`;
    const line = `A${describePlace(place).slice(1)}${stack}`;
    for (const part of withEndpoint(line, setup.endpoint, terminal.columns)) terminal.note(colours.dim(part));
    const last = this.#last();
    if (last !== undefined)
      terminal.note(colours.yellow(`Last time, stack ${this.#stack} was in ${describePlace(last)}.`));
  }

  #last(): Place | undefined {
    if (this.#stack === undefined || this.#place === undefined) return undefined;
    return otherLastPlace(this.#stack, this.#place);
  }

  /** Keeps where the stack was found. */
  succeeded(): void {
    if (this.#about === 'stack' && this.#stack !== undefined && this.#place !== undefined)
      keepPlace(this.#stack, this.#place);
  }

  /** What to do if the stack is not deployed here. Empty if nobody watches. */
  async hints(): Promise<string[]> {
    if (this.#place === undefined) return [];
    const last = this.#last();
    if (last !== undefined)
      return [
        `The stack was in ${describePlace(last)} the last time. To go back: set AWS_PROFILE, and --region ${last.region}`,
      ];
    const version = await bootstrapVersion().catch(() => Number.NaN);
    return version === undefined
      ? [`The CDK is not bootstrapped in ${describePlace(this.#place)}: npx cdk bootstrap`]
      : [];
  }
}

/** A line and the endpoint, which has a line of its own if both do not fit into one: an address must not be broken. */
export function withEndpoint(line: string, endpoint: string | undefined, columns: number): string[] {
  if (endpoint === undefined) return [line];
  const whole = `${line}, endpoint ${endpoint}`;
  if (whole.length <= columns) return [whole];
  const own = `  endpoint ${endpoint}`;
  return [`${line},`, own.length <= columns ? own : `${own.slice(0, columns - 3)}...`];
}
