import { spreadOf } from '../fleets/own-second.ts';
import type { DeployedSettings } from '../functions/lib/contracts.ts';

/** The second from which a fleet polls beside those that the sandbox has already. */
export function spreadBeside(
  others: Iterable<{ name: string; settings: DeployedSettings }>,
  { name, pollIntervalSeconds }: { name: string; pollIntervalSeconds: number },
): number | undefined {
  const polling = [...others].map((other) => ({
    name: other.name,
    pollInterval: other.settings.pollIntervalSeconds,
  }));
  return spreadOf([...polling, { name, pollInterval: pollIntervalSeconds }]).get(name);
}
