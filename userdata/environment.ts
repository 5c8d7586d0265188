import type { FleetConfig } from '../fleets/load.ts';
import { isIpv6 } from '../fleets/settings/network.ts';

/** The settings that a script of their own carries out on the instance. */
export type SettingsWithScripts = Partial<
  Pick<FleetConfig, 'sshRerun' | 'httpProxy' | 'noProxy' | 'docker' | 'workingDirectory'>
>;

/** How long CircleCI keeps a task open for SSH after its job: https://support.circleci.com/hc/en-us/articles/13659631461403-Enable-SSH-on-a-Machine-Runner */
const SSH_SESSION_SECONDS = 7_200;

/** By how much longer than its job a task may last, in seconds. */
export const sshSessionSeconds = ({ sshRerun }: SettingsWithScripts) =>
  sshRerun === undefined ? 0 : SSH_SESSION_SECONDS;

/**
 * What never goes through a proxy: the instance itself, and link-local addresses, where a proxy would answer with its
 * own metadata and its own role.
 */
const NEVER_PROXIED = ['localhost', '127.0.0.1', '::1', '169.254.169.254', '169.254.170.2', 'fd00:ec2::254'];

/** What the instance's scripts are told of these settings. */
export function environmentOfSettings(fleet: SettingsWithScripts): Record<string, string | boolean> {
  return {
    DOCKER: fleet.docker ?? false,
    WORKING_DIRECTORY: fleet.workingDirectory ?? 'root-volume',
    SSH_RERUN_ADDRESS: addressItem(fleet),
  };
}

/** The metadata item that holds the address at which an instance is reached for SSH reruns; empty without them. */
function addressItem({ sshRerun }: SettingsWithScripts): string {
  if (sshRerun === undefined) return '';
  if (sshRerun.address === 'ipv6' || (sshRerun.cidr !== undefined && isIpv6(sshRerun.cidr))) return 'ipv6';
  return sshRerun.address === 'public' ? 'public-ipv4' : 'local-ipv4';
}

/**
 * The environment of all that uses the fleet's proxy, or `undefined` without one. In both spellings: curl does not read
 * HTTP_PROXY, and some programs read nothing else.
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
