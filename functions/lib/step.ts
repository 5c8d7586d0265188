import { Logger } from '@aws-lambda-powertools/logger';
import * as z from 'zod/mini';
import { InputInvalid } from './errors.ts';

const logger = new Logger();

/**
 * A Task state's Lambda handler: parses the step's input, runs it, and returns the step's answer or throws, so
 * that a failure always turns the state red. A failure is logged; of a success, what `record` makes of it.
 *
 * @param name The state's name in `statemachine/autoscale.asl.json`.
 * @param record What is worth a log line at level INFO. Without it, or if it answers `undefined`, the answer
 * is logged at level DEBUG: the execution log has it anyway, and log lines are what polling costs most.
 * @throws InputInvalid if the event breaks the contract; else whatever `run` throws.
 */
export function step<Input extends { fleet: string; execution: string; poll?: { number: number } }, Answer>(
  name: string,
  contract: z.ZodMiniType<Input>,
  run: (input: Input) => Promise<Answer>,
  record: (answer: Answer, input: Input) => object | undefined = () => undefined,
): (event: unknown) => Promise<Answer> {
  return async (event) => {
    const startedAt = Date.now();
    const parsed = z.safeParse(contract, event);
    if (!parsed.success) {
      const error = new InputInvalid(`InputInvalid: ${name}: ${z.prettifyError(parsed.error)}`);
      logger.error(name, error);
      throw error;
    }
    const { fleet, execution, poll } = parsed.data;
    const about = { fleet, execution, ...(poll && { poll: poll.number }) };
    try {
      const answer = await run(parsed.data);
      const recorded = record(answer, parsed.data);
      const line = { ...(recorded ?? answer), ...about, durationMs: Date.now() - startedAt };
      if (recorded === undefined) logger.debug(name, line);
      else logger.info(name, line);
      return answer;
    } catch (thrown) {
      const error = thrown instanceof Error ? thrown : new Error(String(thrown));
      logger.error(name, { ...about, durationMs: Date.now() - startedAt, error });
      // The name leads the message too, for whoever sees only that.
      Object.defineProperty(error, 'message', { value: `${error.name}: ${error.message}` });
      throw error;
    }
  };
}
