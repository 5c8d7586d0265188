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

/** The context with which users of the CDK name a bootstrap of their own. */
const QUALIFIER = '@aws-cdk/core:bootstrapQualifier';

/** What the CDK puts into the names of a bootstrap: https://docs.aws.amazon.com/cdk/v2/guide/bootstrapping-env.html */
const DEFAULT_QUALIFIER = 'hnb659fds';

const CdkJson = z.object({
  context: z
    .object({ stack: z.string(), guardrails: z.string(), [QUALIFIER]: z.string() })
    .partial()
    .default({}),
});

/** The context of `cdk.json`, for commands that run without the CDK. */
function contextOf(cdkJson: string): z.infer<typeof CdkJson>['context'] {
  try {
    return CdkJson.safeParse(JSON.parse(readFileSync(cdkJson, 'utf8'))).data?.context ?? {};
  } catch {
    // The CDK complains about it where it matters.
    return {};
  }
}

/** The qualifier of the CDK's bootstrap in `cdk.json`, which is in the names of its roles. */
export const bootstrapQualifierOf = (cdkJson = 'cdk.json'): string =>
  contextOf(cdkJson)[QUALIFIER] ?? DEFAULT_QUALIFIER;

/** The deployment that `cdk.json` describes. */
export function deploymentOf(cdkJson = 'cdk.json'): Deployment {
  const { stack = STACK_NAME, guardrails } = contextOf(cdkJson);
  return { stack, guardrails };
}
