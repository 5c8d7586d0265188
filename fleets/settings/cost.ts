import { LIST_PRICE_SOURCE } from '../prices.ts';
import { dollars } from './parts.ts';

/** What the instances of a fleet may cost. */

export const COST_SETTINGS = {
  maxHourlyCost: dollars('the maximum cost of the instances')
    .optional()
    .describe(
      'Maximum cost of the instances in US dollars an hour, at the On-Demand price of the most expensive of `instanceTypes`. It limits the number of instances as `maxReplicas` does. Volumes and traffic are not counted. [What a fleet may cost](how-it-decides.md#maximum-cost).',
    ),
  waitingCost: dollars('the cost of an hour that a job waits')
    .optional()
    .describe(
      'What an hour that a job waits costs you, in US dollars, for `spareRunners`. Default: 1. [Three worked values](how-it-decides.md#spare-runners).',
    ),
  hourlyPrice: dollars('the On-Demand price of an instance')
    .optional()
    .describe(
      `On-Demand price of the fleet's most expensive instance in US dollars an hour, for \`maxHourlyCost\` and \`spareRunners\`. Default: ${LIST_PRICE_SOURCE}. Set it for another Region, for a type without a known price, and with \`instanceRequirements\`.`,
    ),
};
