import { Logger } from '@aws-lambda-powertools/logger';
import * as z from 'zod/mini';
import { type AdvisedApp, forApp, ownApp } from './advice.ts';
import { InputInvalid } from './errors.ts';
import { faultsOfInput } from './input-faults.ts';
import { printable, printableName } from './printable.ts';
import { sentence } from './sentence.ts';
import { type SettingsReader, settingsReader } from './settings.ts';

/** Of the names in a log line, in characters: executions have up to 80, and the event can say anything. */
const LONGEST_NAME = 100;

/** What each step has beside its input and its own dependencies. */
export interface Surroundings {
  /** The time on the function's clock, in milliseconds since the epoch. */
  now: () => number;
  log: Pick<Logger, 'debug' | 'error' | 'info'>;
  /** The settings of fleets, as they are deployed. */
  settings: SettingsReader;
  /** The app that errors advise about. */
  advised: AdvisedApp;
}

/** A Task state's Lambda handler. */
export interface Step<Dependencies, Answer> {
  (event: unknown): Promise<Answer>;
  /** The same step with these dependencies in place of the production ones. */
  with(dependencies: Partial<Dependencies & Surroundings>): (event: unknown) => Promise<Answer>;
}

const PRODUCTION: Surroundings = {
  now: () => Date.now(),
  log: new Logger({ jsonReplacerFn: (_, value) => (typeof value === 'string' ? printable(value) : value) }),
  settings: settingsReader(),
  advised: ownApp(),
};

/**
 * Makes a Task state's Lambda handler. It parses the step's input, runs it, and returns the step's answer or throws,
 * so that a failure always turns the state red. It logs each failure, and of each success what `record` returns.
 *
 * @param name The state's name in `statemachine/autoscale.asl.json`.
 * @param dependencies The clients and other things that the step calls in production.
 * @param record What is worth a log line at level INFO. Without it, or if it returns `undefined`, the answer is
 * logged at level DEBUG: the execution log has the answer too, and log lines are the largest cost of polling.
 * @throws InputInvalid if the event breaks the contract; else whatever `run` throws.
 */
export function step<
  Input extends { fleet: string; execution: string; poll?: { number: number } },
  Dependencies extends object,
  Answer,
>(
  name: string,
  contract: z.ZodMiniType<Input>,
  dependencies: Dependencies,
  run: (input: Input, world: Dependencies & Surroundings) => Promise<Answer>,
  record: (answer: Answer, input: Input, world: Surroundings) => object | undefined = () => undefined,
): Step<Dependencies, Answer> {
  const handlerIn = (world: Dependencies & Surroundings) => async (event: unknown) => {
    const { now, log, advised } = world;
    const startedAt = now();
    const parsed = z.safeParse(contract, event, { reportInput: true });
    if (!parsed.success) {
      const error = new InputInvalid(
        forApp(
          advised,
          `InputInvalid: ${name}: ${faultsOfInput(parsed.error.issues)}. An execution begins with {"fleet": "NAME"}. If a schedule or npm run execute started it, the workflow and its functions do not match: npx cdk deploy --all`,
        ),
      );
      log.error(name, error);
      throw error;
    }
    const { fleet, execution, poll } = parsed.data;
    const about = {
      fleet: printableName(fleet, LONGEST_NAME),
      execution: printableName(execution, LONGEST_NAME),
      ...(poll && { poll: poll.number }),
    };
    try {
      const answer = await run(parsed.data, world);
      const recorded = record(answer, parsed.data, world);
      const line = { ...(recorded ?? answer), ...about, durationMs: now() - startedAt };
      if (recorded === undefined) log.debug(name, line);
      else log.info(name, line);
      return answer;
    } catch (thrown) {
      const error = thrown instanceof Error ? thrown : new Error(String(thrown));
      Object.defineProperties(error, {
        message: { value: forApp(advised, error.message), writable: true, configurable: true },
        stack: { value: forApp(advised, error.stack ?? ''), writable: true, configurable: true },
      });
      log.error(name, { ...about, durationMs: now() - startedAt, error });
      // The name also starts the message, for readers who see only the message. The workflow adds a sentence to it. Lambda
      // reports the stack, too.
      Object.defineProperties(error, {
        message: { value: printable(sentence(`${error.name}: ${error.message}`)) },
        stack: { value: printable(error.stack ?? '') },
      });
      throw error;
    }
  };
  const production = { ...PRODUCTION, ...dependencies };
  return Object.assign(handlerIn(production), {
    with: (others: Partial<Dependencies & Surroundings>) => handlerIn({ ...production, ...others }),
  });
}
