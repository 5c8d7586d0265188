import { dollars, text } from './parts.ts';

/** The settings at the top of fleets.yaml, beside the fleets. No fleet can have their names. */
export const TOP_SETTINGS = {
  encryptionKey: text(
    'the ARN of a KMS key, such as arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab',
    // No alias: CloudWatch Logs accepts none, and policies cannot name one.
    /^arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key\/[A-Za-z0-9-]{1,128}$/,
  )
    .optional()
    .describe(
      "ARN of a KMS key of yours, in the stack's Region, that encrypts the secrets, the alarm topic, the dead-letter queue, the logs and the root volumes. [Its policy](security.md#a-key-of-your-own) must allow that before you deploy. Default: keys of AWS. A fleet cannot have this name.",
    ),
  maxHourlyCost: dollars('the maximum cost of the instances of all fleets, an hour')
    .optional()
    .describe(
      'Maximum cost of the instances of all fleets together in US dollars an hour. The deployment is refused if the fleets could cost more at their maximum sizes. A fleet cannot have this name.',
    ),
};
