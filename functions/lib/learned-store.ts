/** Keeps what a fleet has learned in a parameter of Systems Manager: one for each fleet that learns. */

import {
  GetParameterCommand,
  ParameterTier,
  ParameterType,
  PutParameterCommand,
  SSMClient,
} from '@aws-sdk/client-ssm';
import { clientSettings, connection } from './client-settings.ts';
import { FLEET_NAME, learnedParameter } from './fleet-names.ts';
import { type Learned, parseLearned } from './learned.ts';

/**
 * How long a request may take, in milliseconds. Compute Capacity may take a second, and its decision is worth more than what
 * is learned.
 */
const PATIENCE = connection(300, 400);

/** What was read: its version, or 0 if there is none. */
export interface Read {
  version: number;
  learned: Learned | undefined;
}

/** Reads and writes what fleets have learned. Nothing that goes wrong with it is an error of the step. */
export interface LearnedStore {
  /** @returns What is there now, or the version that the execution began with; or why it cannot be read. */
  read(fleet: string, version?: number): Promise<Read | Error>;
  /** @returns Why it was not written; `undefined` if it was. */
  write(fleet: string, learned: Learned): Promise<Error | undefined>;
}

/**
 * @param stack Name of the stack that deployed the fleets; by default the one that deployed this function.
 */
export function learnedStore(
  stack = process.env.STACK_NAME ?? '',
  client = new SSMClient({ ...clientSettings, requestHandler: PATIENCE }),
): LearnedStore {
  /** What this function has read last, by fleet. */
  const known = new Map<string, Read>();
  return {
    async read(fleet, version) {
      const last = known.get(fleet);
      if (version !== undefined && last?.version === version) return last;
      if (!FLEET_NAME.test(fleet)) return new Error('No fleet can have this name.');
      const name = learnedParameter(stack, fleet);
      const Name = version === undefined ? name : `${name}:${version}`;
      try {
        const { Parameter } = await client.send(new GetParameterCommand({ Name }));
        const read = { version: Parameter?.Version ?? 0, learned: parseLearned(Parameter?.Value ?? '') };
        known.set(fleet, read);
        return read;
      } catch (thrown) {
        const error = errorOf(thrown);
        return error.name === 'ParameterNotFound' ? { version: 0, learned: undefined } : error;
      }
    },
    async write(fleet, learned) {
      const put = new PutParameterCommand({
        Name: learnedParameter(stack, fleet),
        Value: JSON.stringify(learned),
        Type: ParameterType.STRING,
        Tier: ParameterTier.STANDARD,
        Overwrite: true,
      });
      try {
        await client.send(put);
        return undefined;
      } catch (thrown) {
        return errorOf(thrown);
      }
    },
  };
}

const errorOf = (thrown: unknown) => (thrown instanceof Error ? thrown : new Error(String(thrown)));
