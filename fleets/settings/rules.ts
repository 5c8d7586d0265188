import * as z from 'zod';
import { affordableBy, inDollars, noPrice, priceOf } from '../cost.ts';
import { formatDuration } from '../duration.ts';
import type { CAPACITY_SETTINGS } from './capacity.ts';
import type { COST_SETTINGS } from './cost.ts';
import type { DURATION_SETTINGS } from './durations.ts';
import { type IMAGE_SETTINGS, imageParameter, isStock, sourceOf } from './image.ts';
import {
  architectureOf,
  architectureOfFleet,
  hasAccelerator,
  type INSTANCE_SETTINGS,
  isInstanceType,
  isMac,
} from './instance.ts';
import { isIpv6, type NETWORK_SETTINGS, RANGE, SSH_RERUN_PORT } from './network.ts';
import { faulty, isMap, sound } from './parts.ts';
import type { RIGHTS_SETTINGS } from './rights.ts';
import { sha256For } from './runner.ts';

/**
 * The rules between several settings of a fleet. Each has a `when`, so that it is checked as soon as the settings that it
 * compares are sound, whatever else is wrong.
 */

type Settings = z.infer<
  z.ZodObject<
    typeof INSTANCE_SETTINGS &
      typeof CAPACITY_SETTINGS &
      typeof COST_SETTINGS &
      typeof DURATION_SETTINGS &
      typeof IMAGE_SETTINGS &
      typeof NETWORK_SETTINGS &
      typeof RIGHTS_SETTINGS
  >
>;

/** The message names what is at fault, so what was given is not repeated after it. */
export const NAMES_VALUE = { namesValue: true };

const CAPACITY_RULES = [
  z.refine<Settings>((fleet) => fleet.maxReplicas >= fleet.minReplicas, {
    path: ['maxReplicas'],
    error: ({ input }) => `must be at least minReplicas (${Object(input).minReplicas})`,
    when: (parsed) => sound(parsed, 'minReplicas', 'maxReplicas'),
  }),
  z.refine<Settings>(
    ({ quietPollInterval, pollInterval }) => (quietPollInterval ?? pollInterval) >= pollInterval,
    {
      path: ['quietPollInterval'],
      error: ({ input }) => `must be at least pollInterval (${formatDuration(Object(input).pollInterval)})`,
      when: (parsed) => sound(parsed, 'quietPollInterval', 'pollInterval'),
    },
  ),
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
        // Other rules check that they are numbers, and compare the fleet's own two.
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
  // Since November 2025, a group of several instance types can have a warm pool if it is On-Demand:
  // https://aws.amazon.com/about-aws/whats-new/2025/11/ec2-auto-scaling-warm-pool-mixed-instances-policies/
  z.refine<Settings>((fleet) => fleet.spot === undefined, {
    path: ['spot'],
    error:
      'must be left out with warmPool, because AWS has warm pools for On-Demand instances only; or leave out warmPool',
    when: ({ value }) => isMap(value) && value.warmPool !== undefined,
  }),
  z.refine<Settings>((fleet) => fleet.warmPool?.state !== 'hibernated', {
    path: ['warmPool', 'state'],
    error:
      'must be stopped with instanceRequirements, because EC2 may choose a type that cannot hibernate; or set instanceTypes that can',
    when: ({ value }) => isMap(value) && value.instanceRequirements !== undefined && isMap(value.warmPool),
  }),
];

/** The most runners that the fleet or one of its schedules keeps. */
const mostKept = ({ minReplicas, schedules }: Settings) =>
  Math.max(minReplicas, ...schedules.map((schedule) => schedule.minReplicas ?? 0));

const COST_RULES = [
  z.superRefine<Settings>(
    (fleet, context) => {
      if (fleet.maxHourlyCost === undefined) return;
      const price = priceOf(fleet);
      if (price === undefined) {
        context.addIssue({
          code: 'custom',
          path: ['hourlyPrice'],
          message: noPrice(fleet),
          params: NAMES_VALUE,
        });
        return;
      }
      const least = Math.max(mostKept(fleet), 1);
      if ((affordableBy(fleet) ?? 0) >= least) return;
      const why = least === 1 ? 'one instance' : `the ${least} instances of minReplicas`;
      const message = `must be at least ${inDollars(least * price)}, the price of ${why} at ${inDollars(price)} an hour`;
      context.addIssue({ code: 'custom', path: ['maxHourlyCost'], message });
    },
    {
      when: (parsed) =>
        sound(parsed, 'minReplicas') &&
        !faulty(
          parsed.issues,
          'instanceTypes',
          'instanceRequirements',
          'schedules',
          'maxHourlyCost',
          'hourlyPrice',
        ) &&
        Array.isArray(Object(parsed.value).schedules),
    },
  ),
];

const SPARE_RULES = [
  z.refine<Settings>((fleet) => fleet.spareRunners === undefined || priceOf(fleet) !== undefined, {
    path: ['hourlyPrice'],
    error: ({ input }) => noPrice(Object(input)),
    params: NAMES_VALUE,
    when: (parsed) =>
      isMap(parsed.value) &&
      !faulty(parsed.issues, 'instanceTypes', 'instanceRequirements', 'spareRunners', 'hourlyPrice') &&
      // Another rule says it with maxHourlyCost.
      parsed.value.maxHourlyCost === undefined,
  }),
];

const IMAGE_RULES = [
  ...(['rootVolume', 'rootVolumeSize'] as const).map((setting) =>
    z.refine<Settings>(
      ({ image, rootDevice, [setting]: volume }) =>
        volume === undefined || isStock(sourceOf(image)) || rootDevice !== undefined,
      {
        path: [setting],
        error:
          'must come with rootDevice, because only the maker of an image knows the name of its root device',
        when: ({ value, issues }) => !faulty(issues, 'image', 'rootDevice', setting) && isMap(value),
      },
    ),
  ),
  z.refine<Settings>(({ rootVolume, rootVolumeSize }) => !(rootVolume && rootVolumeSize), {
    path: ['rootVolumeSize'],
    error: 'must be left out with rootVolume: set its size',
    when: ({ value }) => isMap(value),
  }),
  z.refine<Settings>(({ image, rootDevice }) => rootDevice === undefined || !isStock(sourceOf(image)), {
    path: ['rootDevice'],
    error: 'must be left out with image ubuntu or amazon-linux, whose root devices are known',
    when: ({ value, issues }) => !faulty(issues, 'image', 'rootDevice') && isMap(value),
  }),
  z.refine<Settings>(
    ({ image, instanceRequirements }) =>
      !instanceRequirements || typeof image !== 'string' || !imageParameter(image)?.includes(':'),
    {
      path: ['image'],
      error:
        'must be a parameter without a version or a label, because with instanceRequirements CloudFormation reads its current value at the deployment',
      when: ({ value, issues }) => isMap(value) && !faulty(issues, 'image'),
    },
  ),
  z.refine<Settings>(
    ({ image, instanceRequirements }) => !instanceRequirements || typeof image === 'string',
    {
      path: ['image'],
      error:
        'must be without build with instanceRequirements, because such a group does not read the built image at each launch: set instanceTypes',
      params: NAMES_VALUE,
      when: ({ value, issues }) => isMap(value) && !faulty(issues, 'image'),
    },
  ),
  ...(['docker', 'install'] as const).map((setting) =>
    z.refine<Settings>(({ image }) => Object(image)[setting] === undefined, {
      path: [setting],
      error: `must be left out, because image.${setting} sets it`,
      // By what the file says, because `docker` has a default.
      when: ({ value }) => isMap(value) && isMap(value.image) && Boolean(value[setting]),
    }),
  ),
];

const hasSecurityGroups = (fleet: unknown) => Object(Object(fleet).network).securityGroupIds !== undefined;

const NO_IPV6 = 'must be an IPv4 range, because the VPC of network: new-vpc has no IPv6';

const isIpv6Range = (range: unknown) => typeof range === 'string' && isIpv6(range);

const NETWORK_RULES = [
  z.refine<Settings>(({ network, zones }) => typeof network === 'string' || zones === undefined, {
    path: ['zones'],
    error: 'must be left out in a VPC of yours: leave out the subnets of the other zones',
    when: ({ value, issues }) => isMap(value) && !faulty(issues, 'zones', 'network'),
  }),
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
      'must be left out with an IPv6 range, because CircleCI then shows the IPv6 address; or set cidr to an IPv4 range',
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
    error: 'must be left out with securityGroupIds: open the port there',
    when: ({ value }) => isMap(value) && hasSecurityGroups(value),
  }),
  z.refine<Settings>(({ sshRerun }) => sshRerun?.cidr === undefined, {
    path: ['sshRerun', 'cidr'],
    error: `must be left out with securityGroupIds: open TCP port ${SSH_RERUN_PORT} there`,
    when: ({ value }) => isMap(value) && isMap(value.sshRerun) && hasSecurityGroups(value),
  }),
  z.refine<Settings>(({ sshRerun }) => sshRerun?.cidr !== undefined, {
    path: ['sshRerun', 'cidr'],
    error: `must be ${RANGE}, from which TCP port ${SSH_RERUN_PORT} is open`,
    when: ({ value, issues }) =>
      isMap(value) && isMap(value.sshRerun) && !hasSecurityGroups(value) && !faulty(issues, 'sshRerun'),
  }),
  z.refine<Settings>(({ httpProxy, noProxy }) => httpProxy !== undefined || noProxy === undefined, {
    path: ['noProxy'],
    error: 'must be left out without httpProxy, or set httpProxy',
    when: ({ value }) => isMap(value),
  }),
];

/** Jobs that can use Docker are root, and root reaches the metadata. */
const RIGHTS_RULES = (['roles', 'installPermissions'] as const).map((setting) =>
  z.refine<Settings>(
    ({ [setting]: rights, allowInstanceMetadata, docker, image }) =>
      rights === undefined || allowInstanceMetadata || !(docker || Object(image).docker),
    {
      path: [setting],
      error:
        'must be left out with docker, because each job is root there and could use them; or set allowInstanceMetadata: true, which gives them to jobs',
      params: NAMES_VALUE,
      when: ({ value, issues }) =>
        isMap(value) && !faulty(issues, setting, 'allowInstanceMetadata', 'docker', 'image'),
    },
  ),
);

/** Whether each instance type of a fleet is valid by itself. */
const named = (fleet: unknown) =>
  Array.isArray(Object(fleet).instanceTypes) && Object(fleet).instanceTypes.every(isInstanceType);

/** The instance types of a fleet for which `are` holds. */
const those = (are: (type: string) => boolean, fleet: unknown): string =>
  Object(fleet).instanceTypes.filter(are).join(', ');

const INSTANCE_RULES = [
  z.refine<Settings>(
    ({ instanceTypes, instanceRequirements }) => Boolean(instanceTypes ?? instanceRequirements),
    {
      path: ['instanceTypes'],
      error: 'must be a list of EC2 instance types such as [m7g.large], or set instanceRequirements',
      when: ({ value, issues }) => isMap(value) && !faulty(issues, 'instanceTypes', 'instanceRequirements'),
    },
  ),
  z.refine<Settings>(({ instanceTypes, instanceRequirements }) => !(instanceTypes && instanceRequirements), {
    path: ['instanceRequirements'],
    error: 'must be left out with instanceTypes, or leave out instanceTypes',
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
      !isStock(sourceOf(image)) ||
      (install ?? Object(image).install) !== undefined ||
      !instanceTypes.some(hasAccelerator),
    {
      path: ['instanceTypes'],
      error: ({ input }) => {
        const types = those(hasAccelerator, input);
        const [have, them] = types.includes(',') ? ['have', 'them'] : ['has', 'it'];
        return `${types} ${have} a GPU or another accelerator, and ${sourceOf(Object(input).image)} has no driver for ${them}: set image to one that has, such as one from an AWS Deep Learning AMI, or install the driver with an install script`;
      },
      params: NAMES_VALUE,
      when: ({ value, issues }) => named(value) && !faulty(issues, 'image', 'install'),
    },
  ),
  z.refine<Settings>(
    (fleet) =>
      fleet.runner === undefined ||
      fleet.runner === 'current' ||
      sha256For(fleet.runner, architectureOfFleet(fleet)) !== undefined,
    {
      path: ['runner'],
      error: ({ input }) =>
        `must have the SHA-256 of the archive for ${architectureOfFleet(Object(input))}, the architecture of the instances`,
      params: NAMES_VALUE,
      when: ({ value, issues }) => named(value) && !faulty(issues, 'runner', 'instanceRequirements'),
    },
  ),
  z.refine<Settings>(({ instanceTypes = [] }) => !instanceTypes.some((type) => /\.metal/.test(type)), {
    path: ['instanceTypes'],
    error:
      'must not be bare metal with a hibernated warmPool, because bare metal cannot hibernate; or set state to stopped',
    when: ({ value }) => Object(Object(value).warmPool).state === 'hibernated' && named(value),
  }),
];

export const RULES = [
  ...CAPACITY_RULES,
  ...COST_RULES,
  ...SPARE_RULES,
  ...IMAGE_RULES,
  ...NETWORK_RULES,
  ...RIGHTS_RULES,
  ...INSTANCE_RULES,
];
