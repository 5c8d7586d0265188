import type { DeployedSettings } from '../functions/lib/contracts.ts';
import { capacityOf, onDemandPercentage, quietPollIntervalOf, spareSettingsOf } from './effective.ts';
import type { FleetConfig } from './load.ts';
import { groupNameOf } from './names.ts';
import { firstSecond } from './own-second.ts';

/** What only the deployment knows: the names of what it makes for the fleet, and what the scripts of instances allow. */
type Added = 'scalerSecretName' | 'runnerSecretName' | 'groupName' | 'alarmTopicArn' | 'lifetimes';

/**
 * A fleet's settings as the deployment writes them for the functions.
 *
 * @param app Name of the app, as in `-c stack`.
 * @param spreadSeconds The second from which it polls beside the other fleets of the file.
 */
export function deployedSettingsOf(
  app: string,
  config: FleetConfig,
  spreadSeconds = firstSecond(config.name),
): Omit<DeployedSettings, Added> {
  const { concurrency, mostHourlyCost } = config;
  const spareRunners = spareSettingsOf(config);
  return {
    resourceClass: config.resourceClass,
    circleciUrl: config.circleciUrl,
    capacity: capacityOf(config),
    pollIntervalSeconds: config.pollInterval,
    quietPollIntervalSeconds: quietPollIntervalOf(config),
    spreadSeconds,
    breakerFailures: config.breaker.failures,
    breakerWindowSeconds: config.breaker.window,
    onDemandPercentage: onDemandPercentage(config),
    warmPoolAuto: config.warmPool?.size === 'auto',
    ...(spareRunners && { spareRunners }),
    ...(mostHourlyCost !== undefined && { mostHourlyCost }),
    ...(config.reconcile === 'repair' && { reconcile: 'repair' }),
    ...(concurrency && {
      concurrency: {
        limit: concurrency.limit,
        groups: concurrency.fleets.map((name) => groupNameOf(app, name)),
      },
    }),
  };
}
