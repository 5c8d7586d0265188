import { circleciAccess } from './lib/circleci.ts';
import { RepairLeftoversInput } from './lib/contracts.ts';
import { leftoverClients, refuseUnread } from './lib/leftover-clients.ts';
import { findLeftovers } from './lib/leftovers.ts';
import { repairAll } from './lib/repair.ts';
import { step } from './lib/step.ts';

/**
 * Looks again, and repairs what both looks have found. Its input can only name what was found before: what may be
 * repaired comes from what it reads itself.
 *
 * @throws LeftoversUnread if AWS did not give something, so that nothing is repaired.
 */
export const handler = step(
  'Repair Leftovers',
  RepairLeftoversInput,
  { clients: leftoverClients(), ...circleciAccess() },
  async ({ fleet, found }, { settings, ...access }) => {
    const deployed = await settings.latest(fleet);
    if (deployed.reconcile !== 'repair') return { repaired: [] };
    const { findings, missing } = await findLeftovers(access, deployed.groupName, deployed);
    refuseUnread(missing);
    return { repaired: await repairAll(access.clients, deployed.groupName, findings, found) };
  },
  (answer) => answer,
);
