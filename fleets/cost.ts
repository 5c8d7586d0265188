import type { ScalingSchedule } from '../functions/lib/contracts.ts';
import { largestMaximum } from '../functions/lib/schedules.ts';
import { listPrice } from './prices.ts';

/**
 * What a fleet can cost, in US dollars an hour: its largest number of instances, at the On-Demand price of its most
 * expensive type. Computed at the deployment, so that the workflow needs no prices: it gets a number of instances.
 */

/** The settings of a fleet that its cost depends on. */
export interface PricedSettings {
  instanceTypes?: readonly string[] | undefined;
  hourlyPrice?: number | undefined;
  maxHourlyCost?: number | undefined;
  maxReplicas: number;
  schedules?: ScalingSchedule[] | undefined;
}

/** The types of a fleet whose list price is not known. */
export const typesWithoutPrice = ({ instanceTypes = [] }: Pick<PricedSettings, 'instanceTypes'>) =>
  instanceTypes.filter((type) => listPrice(type) === undefined);

/** What is wrong with a fleet whose price must be known and is not. */
export function noPrice(fleet: Pick<PricedSettings, 'instanceTypes'>): string {
  const types = typesWithoutPrice(fleet).join(', ');
  const why =
    types === '' ? 'with instanceRequirements it is not known' : `that of ${types} is not known here`;
  return `must be set to the On-Demand price of the fleet's most expensive instance in US dollars an hour, because ${why}: https://aws.amazon.com/ec2/pricing/on-demand/`;
}

/** The price of the fleet's most expensive instance, or `undefined` if it is not known. */
export function priceOf(fleet: Pick<PricedSettings, 'instanceTypes' | 'hourlyPrice'>): number | undefined {
  const { instanceTypes = [], hourlyPrice } = fleet;
  if (hourlyPrice !== undefined) return hourlyPrice;
  if (instanceTypes.length === 0 || typesWithoutPrice(fleet).length > 0) return undefined;
  return Math.max(...instanceTypes.map((type) => listPrice(type) ?? 0));
}

/** How many instances `maxHourlyCost` allows; `undefined` if it is not set, or the price is not known. */
export function affordableBy(fleet: PricedSettings): number | undefined {
  const price = priceOf(fleet);
  if (fleet.maxHourlyCost === undefined || price === undefined) return undefined;
  // Ten instances at a tenth of a dollar cost a dollar, whatever is lost in binary fractions.
  return Math.floor(fleet.maxHourlyCost / price + 1e-9);
}

/** The most that the fleet's instances cost, or `undefined` if their price is not known. */
export function largestCost(fleet: PricedSettings): number | undefined {
  const price = priceOf(fleet);
  if (price === undefined) return undefined;
  return price * largestMaximum({ ...fleet, affordable: affordableBy(fleet) });
}

/** An amount for a message, without the noise of binary fractions. */
export const inDollars = (amount: number) => {
  const rounded = Number(amount.toFixed(4));
  return `${rounded} ${rounded === 1 ? 'dollar' : 'dollars'}`;
};
