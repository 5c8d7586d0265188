import { endingSoon } from './ca-certificates.ts';
import type { FleetConfig } from './load.ts';
import { hasNoDisks } from './settings/instance.ts';
import { SSH_RERUN_PORT } from './settings/network.ts';

/** A warning about a fleet. Adopters can acknowledge it by its id. */
interface Warning {
  id: string;
  message: string;
}

/** Whether a range contains all addresses. */
const isEverybody = (range: string | undefined) => range?.endsWith('/0') ?? false;

/** Warnings about what all fleets of a file share. */
export function warningsAboutShared(
  fleets: Partial<Pick<FleetConfig, 'name' | 'scaler' | 'caFile' | 'authoritiesFile'>>[],
  now: number,
): Warning[] {
  const [{ scaler, caFile } = {}] = fleets;
  const warnings: Warning[] = [];
  if (scaler?.subnetIds.length === 1)
    warnings.push({
      id: 'circleci-runner-autoscaler:scaler',
      message:
        'scaler.subnetIds: the functions run in one zone, so no fleet is polled while that zone has an outage; add a subnet of another zone',
    });
  const files = [
    { setting: 'scaler.caCertificates', file: caFile, otherwise: 'no fleet is polled' },
    ...fleets.map(({ name, authoritiesFile }) => ({
      setting: `${name}.caCertificates`,
      file: authoritiesFile,
      otherwise: 'its instances trust nobody with them',
    })),
  ];
  for (const { setting, file, otherwise } of files) {
    const ending = file === undefined ? [] : endingSoon(file, now);
    if (ending.length > 0)
      warnings.push({
        id: `circleci-runner-autoscaler:${setting.replace(/^scaler\./, '')}`,
        message: `${setting}: these certificates end soon: ${ending.join(', ')}; deploy their successors before, or ${otherwise}`,
      });
  }
  return warnings;
}

/** Warnings about settings that work but are probably a mistake. */
export function warningsAbout(fleet: FleetConfig): Warning[] {
  const { name, sshCidr, sshRerun, instanceTypes, workingDirectory } = fleet;
  const warnings: Warning[] = [];
  const open = (setting: string, range: string | undefined, port: number) => {
    if (!isEverybody(range)) return;
    warnings.push({
      id: `circleci-runner-autoscaler:${setting}`,
      message: `${name}.${setting}: ${range} opens TCP port ${port} of the instances to every address on the internet; set a range of your own network, such as 203.0.113.0/24`,
    });
  };
  open('sshCidr', sshCidr, 22);
  open('sshRerun.cidr', sshRerun?.cidr, SSH_RERUN_PORT);
  if (workingDirectory === 'instance-store' && instanceTypes?.every(hasNoDisks)) {
    warnings.push({
      id: 'circleci-runner-autoscaler:workingDirectory',
      message: `${name}.workingDirectory: none of the instanceTypes (${instanceTypes.join(', ')}) has an instance store, so jobs run on the root volume; choose types that have one, such as m7gd or m6id`,
    });
  }
  return warnings;
}
