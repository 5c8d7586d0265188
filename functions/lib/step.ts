import { Logger } from '@aws-lambda-powertools/logger';
import * as z from 'zod/mini';
import { InputInvalid } from './errors.ts';

const logger = new Logger();

/**
 * A Task state's Lambda handler: parses the step's input, runs it, writes one structured log line, and
 * returns the step's answer or throws, so that a failure always turns the state red.
 *
 * @param name The state's name in `statemachine/autoscale.asl.json`.
 * @throws InputInvalid if the event breaks the contract; else whatever `run` throws.
 */
export function step<Input extends { fleet: string; execution: string; poll?: { number: number } }, Answer>(
  name: string,
  contract: z.ZodMiniType<Input>,
  run: (input: Input) => Promise<Answer>,
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
      logger.info(name, { ...answer, ...about, durationMs: Date.now() - startedAt });
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
