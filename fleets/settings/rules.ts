import * as z from 'zod';
import { formatDuration } from '../duration.ts';
import type { CAPACITY_SETTINGS } from './capacity.ts';
import type { DURATION_SETTINGS } from './durations.ts';
import { type IMAGE_SETTINGS, imageParameter, isStock } from './image.ts';
import { architectureOf, hasAccelerator, type INSTANCE_SETTINGS, isInstanceType, isMac } from './instance.ts';
import { isIpv6, type NETWORK_SETTINGS, RANGE, SSH_RERUN_PORT } from './network.ts';
import { faulty, isMap, sound } from './parts.ts';

/**
 * The rules between several settings of a fleet. Each has a `when`, so that it is checked as soon as the settings that it
 * compares are sound, whatever else is wrong.
 */

type Settings = z.infer<
  z.ZodObject<
    typeof INSTANCE_SETTINGS &
      typeof CAPACITY_SETTINGS &
      typeof DURATION_SETTINGS &
      typeof IMAGE_SETTINGS &
      typeof NETWORK_SETTINGS
  >
>;

const CAPACITY_RULES = [
  z.refine<Settings>((fleet) => fleet.maxReplicas >= fleet.minReplicas, {
    path: ['maxReplicas'],
    error: ({ input }) => `must be at least minReplicas (${Object(input).minReplicas})`,
    when: (parsed) => sound(parsed, 'minReplicas', 'maxReplicas'),
  }),
  z.refine<Settings>((fleet) => fleet.quietPollInterval >= fleet.pollInterval, {
    path: ['quietPollInterval'],
    error: ({ input }) => `must be at least pollInterval (${formatDuration(Object(input).pollInterval)})`,
    when: (parsed) => sound(parsed, 'quietPollInterval', 'pollInterval'),
  }),
  z.refine<Settings>((fleet) => fleet.idleTimeout > 3 * fleet.pollInterval, {
    path: ['idleTimeout'],
    error: ({ input }) =>
      `must be longer than three times pollInterval (${formatDuration(Object(input).pollInterval)}), or runners leave before they are needed`,
    when: (parsed) => sound(parsed, 'idleTimeout', 'pollInterval'),
  }),
  z.refine<Settings>((fleet) => (fleet.scaleDownDelay ?? 0) <= fleet.idleTimeout, {
    path: ['scaleDownDelay'],
    error: ({ input }) => `must be at most idleTimeout (${formatDuration(Object(input).idleTimeout)})`,
    when: (parsed) => sound(parsed, 'scaleDownDelay', 'idleTimeout'),
  }),
  z.refine<Settings>((fleet) => fleet.recycleAfter === undefined || fleet.recycleAfter >= fleet.idleTimeout, {
    path: ['recycleAfter'],
    error: ({ input }) => `must be at least idleTimeout (${formatDuration(Object(input).idleTimeout)})`,
    when: (parsed) => sound(parsed, 'recycleAfter', 'idleTimeout'),
  }),
  z.superRefine<Settings>(
    (fleet, context) => {
      fleet.schedules.forEach((schedule, index) => {
        const { minReplicas = fleet.minReplicas, maxReplicas = fleet.maxReplicas } = Object(schedule);
        // Whether they are numbers at all, others tell; and the fleet's own two are compared above.
        if (!(minReplicas > maxReplicas && fleet.minReplicas <= fleet.maxReplicas)) return;
        const [own, message] =
          Object(schedule).maxReplicas === undefined
            ? ['minReplicas', `must be at most maxReplicas of the fleet (${maxReplicas})`]
            : ['maxReplicas', `must be at least minReplicas (${minReplicas}) while it is in force`];
        context.addIssue({ code: 'custom', path: ['schedules', index, own], message });
      });
    },
    {
      when: (parsed) =>
        sound(parsed, 'minReplicas', 'maxReplicas') && Array.isArray(Object(parsed.value).schedules),
    },
  ),
  z.refine<Settings>((fleet) => Number(fleet.warmPool?.size) <= fleet.maxReplicas, {
    path: ['warmPool', 'size'],
    error: ({ input }) => `must be at most maxReplicas (${Object(input).maxReplicas}), or auto`,
    when: (parsed) =>
      sound(parsed, 'maxReplicas') && Number.isInteger(Object(Object(parsed.value).warmPool).size),
  }),
  // Several instance types may be warm since November 2025, if they are On-Demand:
  // https://aws.amazon.com/about-aws/whats-new/2025/11/ec2-auto-scaling-warm-pool-mixed-instances-policies/
  z.refine<Settings>((fleet) => fleet.spot === undefined, {
    path: ['spot'],
    error:
      'must be left out with warmPool, which AWS has for On-Demand instances alone; or leave out warmPool',
    when: ({ value }) => isMap(value) && value.warmPool !== undefined,
  }),
  z.refine<Settings>((fleet) => fleet.warmPool?.state !== 'hibernated', {
    path: ['warmPool', 'state'],
    error:
      'must be stopped with instanceRequirements, because EC2 may choose a type that cannot hibernate; or give instanceTypes that can',
    when: ({ value }) => isMap(value) && value.instanceRequirements !== undefined && isMap(value.warmPool),
  }),
];

const IMAGE_RULES = [
  ...(['rootVolume', 'rootVolumeSize'] as const).map((setting) =>
    z.refine<Settings>(
      ({ image, rootDevice, [setting]: volume }) =>
        volume === undefined || isStock(image) || rootDevice !== undefined,
      {
        path: [setting],
        error:
          'must come with rootDevice, because only the maker of an image knows what its root device is called',
        when: ({ value, issues }) => !faulty(issues, 'image', 'rootDevice', setting) && isMap(value),
      },
    ),
  ),
  z.refine<Settings>(({ rootVolume, rootVolumeSize }) => !(rootVolume && rootVolumeSize), {
    path: ['rootVolumeSize'],
    error: 'must be left out with rootVolume, whose size says the same',
    when: ({ value }) => isMap(value),
  }),
  z.refine<Settings>(({ image, rootDevice }) => rootDevice === undefined || !isStock(image), {
    path: ['rootDevice'],
    error: 'must be left out, unless image is one of yours: those of ubuntu and amazon-linux are known',
    when: ({ value, issues }) => !faulty(issues, 'image', 'rootDevice') && isMap(value),
  }),
  z.refine<Settings>(
    ({ image, instanceRequirements }) => !instanceRequirements || !imageParameter(image)?.includes(':'),
    {
      path: ['image'],
      error:
        'must be a parameter without a version or a label, because with instanceRequirements it is read by CloudFormation, as it is at the deployment',
      when: ({ value, issues }) => isMap(value) && !faulty(issues, 'image'),
    },
  ),
];

const hasOwnGroups = (fleet: unknown) => Object(Object(fleet).network).securityGroupIds !== undefined;

const NO_IPV6 = 'must be an IPv4 range, because the VPC of network: new-vpc has no IPv6';

const isIpv6Range = (range: unknown) => typeof range === 'string' && isIpv6(range);

const NETWORK_RULES = [
  z.refine<Settings>(({ network, sshCidr }) => network !== 'new-vpc' || !isIpv6Range(sshCidr), {
    path: ['sshCidr'],
    error: NO_IPV6,
    when: ({ value, issues }) => isMap(value) && !faulty(issues, 'sshCidr'),
  }),
  z.refine<Settings>(({ network, sshRerun }) => network !== 'new-vpc' || !isIpv6Range(sshRerun?.cidr), {
    path: ['sshRerun', 'cidr'],
    error: NO_IPV6,
    when: ({ value, issues }) => isMap(value) && !faulty(issues, 'sshRerun'),
  }),
  z.refine<Settings>(({ sshRerun }) => sshRerun?.address !== 'private' || !isIpv6Range(sshRerun.cidr), {
    path: ['sshRerun', 'address'],
    error:
      'must be left out with an IPv6 range, because CircleCI shows the IPv6 address then; or set cidr to an IPv4 range',
    when: ({ value, issues }) => isMap(value) && !faulty(issues, 'sshRerun'),
  }),
  z.refine<Settings>(
    ({ sshRerun }) => sshRerun?.address !== 'ipv6' || !sshRerun.cidr || isIpv6Range(sshRerun.cidr),
    {
      path: ['sshRerun', 'address'],
      error: 'must be public or private with an IPv4 range; or set cidr to an IPv6 range',
      when: ({ value, issues }) => isMap(value) && !faulty(issues, 'sshRerun'),
    },
  ),
  z.refine<Settings>(({ sshCidr }) => sshCidr === undefined, {
    path: ['sshCidr'],
    error: 'must be left out with securityGroupIds, which say themselves what is let in',
    when: ({ value }) => isMap(value) && hasOwnGroups(value),
  }),
  z.refine<Settings>(({ sshRerun }) => sshRerun?.cidr === undefined, {
    path: ['sshRerun', 'cidr'],
    error: `must be left out with securityGroupIds, which must let TCP port ${SSH_RERUN_PORT} in themselves`,
    when: ({ value }) => isMap(value) && isMap(value.sshRerun) && hasOwnGroups(value),
  }),
  z.refine<Settings>(({ sshRerun }) => sshRerun?.cidr !== undefined, {
    path: ['sshRerun', 'cidr'],
    error: `must be ${RANGE}, from which TCP port ${SSH_RERUN_PORT} is reached`,
    when: ({ value, issues }) =>
      isMap(value) && isMap(value.sshRerun) && !hasOwnGroups(value) && !faulty(issues, 'sshRerun'),
  }),
  z.refine<Settings>(({ httpProxy, noProxy }) => httpProxy !== undefined || noProxy === undefined, {
    path: ['noProxy'],
    error: 'must come with httpProxy: without a proxy there is nothing to go around',
    when: ({ value }) => isMap(value),
  }),
];

/** Whether the instance types of a fleet are sound, each by itself. */
const named = (fleet: unknown) =>
  Array.isArray(Object(fleet).instanceTypes) && Object(fleet).instanceTypes.every(isInstanceType);

/** The message names the types that are at fault: all of them again would hide which. */
const NAMES_VALUE = { namesValue: true };

/** The instance types of a fleet that are such. */
const those = (are: (type: string) => boolean, fleet: unknown): string =>
  Object(fleet).instanceTypes.filter(are).join(', ');

const INSTANCE_RULES = [
  z.refine<Settings>(
    ({ instanceTypes, instanceRequirements }) => Boolean(instanceTypes ?? instanceRequirements),
    {
      path: ['instanceTypes'],
      error:
        'must be a list of EC2 instance types such as [m7g.large], unless there are instanceRequirements',
      when: ({ value, issues }) => isMap(value) && !faulty(issues, 'instanceTypes', 'instanceRequirements'),
    },
  ),
  z.refine<Settings>(({ instanceTypes, instanceRequirements }) => !(instanceTypes && instanceRequirements), {
    path: ['instanceRequirements'],
    error: 'must be left out, or instanceTypes must: the one or the other says what is launched',
    when: ({ value }) => isMap(value),
  }),
  z.refine<Settings>(({ instanceTypes = [] }) => new Set(instanceTypes.map(architectureOf)).size <= 1, {
    path: ['instanceTypes'],
    error: 'must all be of one architecture, arm64 (Graviton) or x86_64, because they share one image',
    when: ({ value }) => named(value),
  }),
  z.refine<Settings>(({ instanceTypes = [] }) => !instanceTypes.some(isMac), {
    path: ['instanceTypes'],
    error: ({ input }) =>
      `Mac instances run macOS on Dedicated Hosts, and this project supports Linux only; leave out ${those(isMac, input)}`,
    params: NAMES_VALUE,
    when: ({ value }) => named(value),
  }),
  z.refine<Settings>(
    ({ instanceTypes = [], image, install }) =>
      !isStock(image) || install !== undefined || !instanceTypes.some(hasAccelerator),
    {
      path: ['instanceTypes'],
      error: ({ input }) => {
        const types = those(hasAccelerator, input);
        const [have, them] = types.includes(',') ? ['have', 'them'] : ['has', 'it'];
        return `${types} ${have} a GPU or another accelerator, and ${Object(input).image} has no driver for ${them}: set image to one that has, such as one made from an AWS Deep Learning AMI, or install the driver in install`;
      },
      params: NAMES_VALUE,
      when: ({ value, issues }) => named(value) && !faulty(issues, 'image', 'install'),
    },
  ),
  z.refine<Settings>(({ instanceTypes = [] }) => !instanceTypes.some((type) => /\.metal/.test(type)), {
    path: ['instanceTypes'],
    error:
      'must not be bare metal with a hibernated warmPool, which it cannot do; with the state stopped it can',
    when: ({ value }) => Object(Object(value).warmPool).state === 'hibernated' && named(value),
  }),
];

export const RULES = [...CAPACITY_RULES, ...IMAGE_RULES, ...NETWORK_RULES, ...INSTANCE_RULES];
