import * as z from 'zod';
import { Fleets } from './fleet.ts';
import { Guardrails } from './guardrails.ts';

/** The JSON Schema of `fleets.yaml`, generated from its definition in fleet.ts. */
export const fleetsSchema = () => schemaOf(Fleets, 'fleets.yaml');

/** The JSON Schema of `guardrails.yaml`, generated from its definition in guardrails.ts. */
export const guardrailsSchema = () => schemaOf(Guardrails, 'guardrails.yaml');

function schemaOf(definition: z.core.$ZodType, file: string): string {
  // Draft 7 is what every editor's YAML support understands.
  const { $schema, ...schema } = z.toJSONSchema(definition, { io: 'input', target: 'draft-7' });
  return `${JSON.stringify({ $schema, title: `${file} of circleci-runner-autoscaler`, ...schema }, null, 2)}\n`;
}
