import * as z from 'zod';
import { Fleets } from './fleet.ts';

/** The JSON Schema of `fleets.yaml`, generated from its definition in fleet.ts. */
export function fleetsSchema(): string {
  // Draft 7 is what every editor's YAML support understands.
  const { $schema, ...schema } = z.toJSONSchema(Fleets, { io: 'input', target: 'draft-7' });
  return `${JSON.stringify({ $schema, title: 'fleets.yaml of circleci-runner-autoscaler', ...schema }, null, 2)}\n`;
}
