import type { FleetConfig } from '../fleets/load.ts';
import { architectureOfFleet } from '../fleets/settings/instance.ts';
import { isIpv6 } from '../fleets/settings/network.ts';
import { sha256For } from '../fleets/settings/runner.ts';

/** What says which release of the runner fits the instances. */
export type InstancesWithRunner = Pick<FleetConfig, 'runner'> &
  Partial<Pick<FleetConfig, 'defaultRunner' | 'instanceTypes' | 'instanceRequirements'>>;

/** The settings that have their own script on the instance. */
export type SettingsWithScripts = Partial<
  Pick<FleetConfig, 'sshRerun' | 'httpProxy' | 'noProxy' | 'docker' | 'workingDirectory'>
>;

/** How long CircleCI keeps a task open for SSH after its job: https://support.circleci.com/hc/en-us/articles/13659631461403-Enable-SSH-on-a-Machine-Runner */
const SSH_SESSION_SECONDS = 7_200;

/** Time that a task may last beyond its job, in seconds. */
export const sshSessionSeconds = ({ sshRerun }: SettingsWithScripts) =>
  sshRerun === undefined ? 0 : SSH_SESSION_SECONDS;

/**
 * Addresses that never use the proxy: the instance itself, and link-local addresses, at which a proxy would answer with
 * its own metadata and its own role.
 */
const NEVER_PROXIED = ['localhost', '127.0.0.1', '::1', '169.254.169.254', '169.254.170.2', 'fd00:ec2::254'];

/** Which release of the runner an instance installs, and whether it replaces the runner of its image. */
export function environmentOfRunner({
  runner,
  defaultRunner,
  ...fleet
}: InstancesWithRunner): Record<string, string | boolean> {
  const release = runner === 'current' ? undefined : (runner ?? defaultRunner);
  if (release === undefined) return { RUNNER_VERSION: '' };
  return {
    RUNNER_VERSION: release.version,
    RUNNER_SHA256: sha256For(release, architectureOfFleet(fleet)) ?? '',
    ...(runner !== undefined && { RUNNER_REQUIRED: true }),
  };
}

/** The environment of the instance's scripts for these settings. */
export function environmentOfSettings(fleet: SettingsWithScripts): Record<string, string | boolean> {
  return {
    DOCKER: fleet.docker ?? false,
    WORKING_DIRECTORY: fleet.workingDirectory ?? 'root-volume',
    SSH_RERUN_ADDRESS: addressItem(fleet),
  };
}

/** The metadata item with the address of an instance for SSH reruns. Empty without SSH reruns. */
function addressItem({ sshRerun }: SettingsWithScripts): string {
  if (sshRerun === undefined) return '';
  if (sshRerun.address === 'ipv6' || (sshRerun.cidr !== undefined && isIpv6(sshRerun.cidr))) return 'ipv6';
  return sshRerun.address === 'public' ? 'public-ipv4' : 'local-ipv4';
}

/**
 * The environment of all programs that use the fleet's proxy, or `undefined` without a proxy. In both spellings, because
 * curl does not read HTTP_PROXY and some programs read nothing else.
 */
export function proxyEnvironment({
  httpProxy,
  noProxy = [],
}: SettingsWithScripts): Record<string, string> | undefined {
  if (httpProxy === undefined) return undefined;
  const direct = [...NEVER_PROXIED, ...noProxy].join(',');
  return {
    http_proxy: httpProxy,
    https_proxy: httpProxy,
    HTTP_PROXY: httpProxy,
    HTTPS_PROXY: httpProxy,
    no_proxy: direct,
    NO_PROXY: direct,
  };
}
