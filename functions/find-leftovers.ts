import { publishBoots, readBoots } from './lib/boot-reads.ts';
import { areBootsPublished } from './lib/boots.ts';
import { circleciAccess } from './lib/circleci.ts';
import { FindLeftoversInput } from './lib/contracts.ts';
import { leftoverClients, refuseUnread } from './lib/leftover-clients.ts';
import { bounded, findLeftovers } from './lib/leftovers.ts';
import { fleetMetrics, publishMetrics } from './lib/metrics.ts';
import { costlyOf, keyOf, MOST_TRIES, repairable } from './lib/reconcile.ts';
import { step } from './lib/step.ts';

/** How long the consoles may take, in milliseconds. Nothing waits for them. */
const BOOTS_DEADLINE = 10_000;

/**
 * Compares a fleet's group, EC2 and CircleCI's runners, and says what is left behind. It changes nothing. It also publishes
 * how long the fleet's instances took to boot, because it knows them all.
 *
 * @throws LeftoversUnread if AWS did not give something, so that the execution fails.
 */
export const handler = step(
  'Find Leftovers',
  FindLeftoversInput,
  { clients: leftoverClients(), metrics: fleetMetrics(), ...circleciAccess() },
  async ({ fleet }, { metrics, settings, ...access }) => {
    const deployed = await settings.latest(fleet);
    const { findings, missing, instances } = await findLeftovers(access, deployed.groupName, deployed);
    const { clients, now } = access;
    if (areBootsPublished(now())) {
      const boots = await readBoots(clients.ec2, instances, now(), AbortSignal.timeout(BOOTS_DEADLINE));
      publishBoots(metrics, fleet, boots);
    }
    const costly = costlyOf(findings).length;
    publishMetrics(metrics, fleet, costly > 0 ? { LeftBehind: costly } : {});
    refuseUnread(missing);
    const safe = deployed.reconcile === 'repair' ? repairable(findings).slice(0, MOST_TRIES) : [];
    return { ...bounded(findings), missing, repair: safe.length > 0, found: safe.map(keyOf) };
  },
  (answer) => (answer.findings.length + answer.missing.length > 0 ? answer : undefined),
);
