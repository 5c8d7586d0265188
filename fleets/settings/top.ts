import { dollars } from './parts.ts';

/** The settings at the top of fleets.yaml, beside the fleets. No fleet can have their names. */
export const TOP_SETTINGS = {
  maxHourlyCost: dollars('the maximum cost of the instances of all fleets, an hour')
    .optional()
    .describe(
      'Maximum cost of the instances of all fleets together in US dollars an hour. The deployment is refused if the fleets could cost more at their maximum sizes. A fleet cannot have this name.',
    ),
};
