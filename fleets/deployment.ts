import { readFileSync } from 'node:fs';
import * as z from 'zod';
import { STACK_NAME } from './names.ts';

/** The guardrails file if nothing names another one. */
export const GUARDRAILS_FILE = 'guardrails.yaml';

/** What a check of `fleets.yaml` depends on beside the file. */
export interface Deployment {
  stack: string;
  /** Path of the guardrails; `undefined` for `guardrails.yaml` if there is one. */
  guardrails: string | undefined;
}

const CdkJson = z.object({
  context: z.object({ stack: z.string(), guardrails: z.string() }).partial().default({}),
});

/** The deployment that `cdk.json` describes, for commands that run without the CDK. */
export function deploymentOf(cdkJson = 'cdk.json'): Deployment {
  let content: unknown = {};
  try {
    content = JSON.parse(readFileSync(cdkJson, 'utf8'));
  } catch {
    // The CDK complains about it where it matters.
  }
  const { stack = STACK_NAME, guardrails } = CdkJson.safeParse(content).data?.context ?? {};
  return { stack, guardrails };
}
