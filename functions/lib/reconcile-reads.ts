import {
  type AutoScalingClient,
  type AutoScalingGroup,
  DescribeAutoScalingGroupsCommand,
  paginateDescribeAutoScalingInstances,
  paginateDescribeScalingActivities,
  paginateDescribeWarmPool,
} from '@aws-sdk/client-auto-scaling';
import {
  DescribeLaunchTemplatesCommand,
  DescribeLaunchTemplateVersionsCommand,
  type EC2Client,
  type Instance,
  paginateDescribeLaunchTemplateVersions,
  paginateDescribeNetworkInterfaces,
  paginateDescribeVolumes,
} from '@aws-sdk/client-ec2';
import { ListSecretVersionIdsCommand, type SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import type { DeployedSettings } from './contracts.ts';
import { describeInstances, instancesById } from './ec2-instances.ts';
import { GroupNotFound } from './errors.ts';
import type { FleetSeen, SeenInstance, SeenMember, SeenVolume } from './fleet-seen.ts';
import type { Inventory } from './inventory.ts';
import { partialReads } from './partial-reads.ts';
import { IN_CONTACT } from './reconcile-evidence.ts';
import { DETACHED_TAG, KEEP_TAG } from './tags.ts';

export interface ReconcileClients {
  autoScaling: AutoScalingClient;
  ec2: EC2Client;
  secrets: SecretsManagerClient;
}

/** The tag that EC2 gives an instance launched from a template: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/launch-instances-from-launch-template.html */
const TEMPLATE_TAG = 'aws:ec2launchtemplate:id';
const VERSION_TAG = 'aws:ec2launchtemplate:version';

/** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DescribeAutoScalingInstances.html */
const INSTANCES_PER_CALL = 50;

/** The largest page of versions: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeLaunchTemplateVersions.html */
const VERSIONS_PER_PAGE = 200;

/** 100 activities a page. */
const MOST_PAGES = 3;

/** The newest versions of the launch template are kept: a deployment that fails goes back to one of them. */
const NEWEST_VERSIONS = 20;
const VERSION_KEPT = 30 * 86_400_000;

/**
 * Reads all that says what a fleet has left behind. What cannot be read is left out, and named in `missing`.
 *
 * @param inventory CircleCI's inventory, which is read meanwhile.
 * @param now Milliseconds since the epoch.
 * @throws GroupNotFound, or an error of AWS if the group cannot be read.
 */
export async function readFleetSeen(
  clients: ReconcileClients,
  { groupName, runnerSecretName }: Pick<DeployedSettings, 'groupName' | 'runnerSecretName'>,
  inventory: Promise<Inventory>,
  now: number,
  abortSignal: AbortSignal,
): Promise<{ seen: FleetSeen; missing: string[] }> {
  const { autoScaling, ec2, secrets } = clients;
  const options = { abortSignal };
  const { missing, unless } = partialReads();
  const group = await readGroup(autoScaling, groupName, options);
  const template = templateOf(group);
  const ids = (group.Instances ?? []).flatMap(({ InstanceId }) => InstanceId ?? []);

  const instances = unless('instances', undefined, readInstances(ec2, groupName, template?.id, ids, options));
  const [found, listed, ...others] = await Promise.all([
    instances,
    inventory,
    unless('activities', undefined, readMembers(autoScaling, group, options)),
    instances.then((all) =>
      all === undefined
        ? undefined
        : unless('members of other groups', undefined, readOtherGroups(autoScaling, group, all, options)),
    ),
    unless('volumes', undefined, readVolumes(ec2, groupName, options)),
    template &&
      unless('network interfaces', undefined, readInterfaces(ec2, template.id, template.version, options)),
    template &&
      unless('launch template versions', undefined, readVersions(ec2, template.id, group, now, options)),
    runnerSecretName === undefined
      ? undefined
      : unless('the resource class token', undefined, tokenStoredAt(secrets, runnerSecretName, options)),
  ]);
  const [members, inOtherGroups, volumes, interfaces, versions, storedAt] = others;
  if ('missing' in listed) missing.push(`runners (${listed.missing})`);
  const own = new Set([...(found ?? []).map(({ id }) => id), ...ids]);
  const strangers = ('runners' in listed ? listed.runners : [])
    .filter(({ name, lastConnected }) => !own.has(name) && now - lastConnected <= IN_CONTACT)
    .map(({ name }) => name)
    .filter((name) => /^i-[0-9a-f]{8,17}$/.test(name));
  const foreign = await unless('other instances', undefined, existing(ec2, strangers, options));
  return {
    seen: {
      members: members ?? membersOf(group),
      instances: found,
      inOtherGroups,
      inventory: listed,
      foreign,
      tokenStoredAt: storedAt,
      volumes,
      interfaces,
      versions:
        versions === undefined || template === undefined
          ? undefined
          : { template: template.id, unused: versions },
    },
    missing,
  };
}

type Options = { abortSignal: AbortSignal };

async function readGroup(
  client: AutoScalingClient,
  name: string,
  options: Options,
): Promise<AutoScalingGroup> {
  const asked = new DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: [name] });
  const { AutoScalingGroups = [] } = await client.send(asked, options);
  const group = AutoScalingGroups.find(({ AutoScalingGroupName }) => AutoScalingGroupName === name);
  if (group === undefined)
    throw new GroupNotFound(`No Auto Scaling group is named ${name} in this account and region.`);
  return group;
}

function templateOf(group: AutoScalingGroup): { id: string; version: string | undefined } | undefined {
  const specification =
    group.LaunchTemplate ?? group.MixedInstancesPolicy?.LaunchTemplate?.LaunchTemplateSpecification;
  const { LaunchTemplateId: id, Version: version } = specification ?? {};
  return id === undefined ? undefined : { id, version };
}

const membersOf = ({ Instances = [] }: AutoScalingGroup): SeenMember[] =>
  Instances.flatMap(({ InstanceId: id, LifecycleState: lifecycleState }) =>
    id === undefined || lifecycleState === undefined ? [] : [{ id, lifecycleState }],
  );

/** The members, and for those that leave or are in standby since when. */
async function readMembers(
  client: AutoScalingClient,
  group: AutoScalingGroup,
  options: Options,
): Promise<SeenMember[]> {
  const members = membersOf(group);
  const isHeld = ({ lifecycleState }: SeenMember) => /^Terminating|Standby$/.test(lifecycleState);
  const unknown = new Set(members.filter(isHeld).map(({ id }) => id));
  const since = new Map<string, number>();
  const asked = { AutoScalingGroupName: group.AutoScalingGroupName, MaxRecords: 100 };
  let oldest: number | undefined;
  let pages = 0;
  if (unknown.size > 0)
    for await (const { Activities = [], NextToken } of paginateDescribeScalingActivities(
      { client },
      asked,
      options,
    )) {
      pages += 1;
      for (const { Description = '', StartTime } of Activities) {
        if (StartTime === undefined) continue;
        // The newest come first.
        oldest = Math.min(oldest ?? Number.POSITIVE_INFINITY, StartTime.getTime());
        for (const id of unknown) {
          if (!Description.includes(id)) continue;
          since.set(id, StartTime.getTime());
          unknown.delete(id);
        }
      }
      // Those whose activity is older than all that was read have been so for longer.
      if (unknown.size === 0 || NextToken === undefined) break;
      if (pages === MOST_PAGES) {
        for (const id of unknown) if (oldest !== undefined) since.set(id, oldest);
        break;
      }
    }
  return members.map((member) => ({ ...member, since: since.get(member.id) }));
}

/** By the tag of the launch template, by the name, and the members by their ids. */
async function readInstances(
  client: EC2Client,
  groupName: string,
  templateId: string | undefined,
  members: string[],
  options: Options,
): Promise<SeenInstance[]> {
  const found = new Map<string, SeenInstance>();
  const add = (all: Instance[]) => {
    for (const each of all) {
      const instance = asSeen(each, templateId);
      if (instance !== undefined) found.set(instance.id, instance);
    }
  };
  if (templateId !== undefined)
    add(await describeInstances(client, [{ Name: `tag:${TEMPLATE_TAG}`, Values: [templateId] }], options));
  add(await describeInstances(client, [{ Name: 'tag:Name', Values: [groupName] }], options));
  add(
    await instancesById(
      client,
      members.filter((id) => !found.has(id)),
      options,
    ),
  );
  return [...found.values()];
}

function asSeen(instance: Instance, templateId: string | undefined): SeenInstance | undefined {
  const { InstanceId: id, State, LaunchTime, StateTransitionReason: reason, Tags = [] } = instance;
  if (id === undefined || State?.Name === undefined || LaunchTime === undefined) return undefined;
  return {
    id,
    state: State.Name,
    launchedAt: LaunchTime.getTime(),
    stoppedAt: State.Name === 'stopped' ? transitionAt(reason) : undefined,
    fromTemplate: Tags.some(({ Key, Value }) => Key === TEMPLATE_TAG && Value === templateId),
    templateVersion: Tags.find(({ Key }) => Key === VERSION_TAG)?.Value,
    kept: Tags.some(({ Key }) => Key === KEEP_TAG),
  };
}

/**
 * When an instance changed its state: `User initiated (2026-01-05 12:00:00 GMT)`. Not every reason has a time.
 * https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_Instance.html
 */
export function transitionAt(reason: string | undefined): number | undefined {
  const [, day, time] = /\((\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d) (?:GMT|UTC)\)/.exec(reason ?? '') ?? [];
  const at = Date.parse(`${day}T${time}Z`);
  return Number.isNaN(at) ? undefined : at;
}

async function existing(client: EC2Client, ids: string[], options: Options): Promise<Set<string>> {
  return new Set((await instancesById(client, ids, options)).flatMap(({ InstanceId }) => InstanceId ?? []));
}

async function readOtherGroups(
  client: AutoScalingClient,
  group: AutoScalingGroup,
  instances: SeenInstance[],
  options: Options,
): Promise<Set<string>> {
  const members = new Set(membersOf(group).map(({ id }) => id));
  const ids = instances.map(({ id }) => id).filter((id) => !members.has(id));
  const found = new Set<string>();
  for (let start = 0; start < ids.length; start += INSTANCES_PER_CALL) {
    const asked = { InstanceIds: ids.slice(start, start + INSTANCES_PER_CALL) };
    for await (const { AutoScalingInstances = [] } of paginateDescribeAutoScalingInstances(
      { client },
      asked,
      options,
    ))
      for (const { InstanceId } of AutoScalingInstances) if (InstanceId !== undefined) found.add(InstanceId);
  }
  if (group.WarmPoolConfiguration !== undefined) {
    const asked = { AutoScalingGroupName: group.AutoScalingGroupName };
    for await (const { Instances = [] } of paginateDescribeWarmPool({ client }, asked, options))
      for (const { InstanceId } of Instances) if (InstanceId !== undefined) found.add(InstanceId);
  }
  return found;
}

async function readVolumes(client: EC2Client, groupName: string, options: Options): Promise<SeenVolume[]> {
  const Filters = [
    { Name: 'status', Values: ['available'] },
    { Name: 'tag:Name', Values: [groupName] },
  ];
  const found: SeenVolume[] = [];
  for await (const { Volumes = [] } of paginateDescribeVolumes({ client }, { Filters }, options))
    for (const { VolumeId: id, CreateTime, Size: gib = 0, Tags = [] } of Volumes)
      if (id !== undefined && CreateTime !== undefined) {
        const detachedAt = Date.parse(Tags.find(({ Key }) => Key === DETACHED_TAG)?.Value ?? '');
        found.push({
          id,
          createdAt: CreateTime.getTime(),
          detachedAt: Number.isNaN(detachedAt) ? undefined : detachedAt,
          gib,
          kept: Tags.some(({ Key }) => Key === KEEP_TAG),
        });
      }
  return found;
}

async function readInterfaces(
  client: EC2Client,
  template: string,
  version: string | undefined,
  options: Options,
): Promise<string[]> {
  const asked = { LaunchTemplateId: template, Versions: [version ?? '$Latest'] };
  const { LaunchTemplateVersions = [] } = await client.send(
    new DescribeLaunchTemplateVersionsCommand(asked),
    options,
  );
  const groups = LaunchTemplateVersions.flatMap(({ LaunchTemplateData: data }) => [
    ...(data?.SecurityGroupIds ?? []),
    ...(data?.NetworkInterfaces ?? []).flatMap(({ Groups = [] }) => Groups),
  ]);
  if (groups.length === 0) return [];
  const Filters = [
    { Name: 'status', Values: ['available'] },
    { Name: 'group-id', Values: groups },
  ];
  const found: string[] = [];
  for await (const { NetworkInterfaces = [] } of paginateDescribeNetworkInterfaces(
    { client },
    { Filters },
    options,
  ))
    found.push(...NetworkInterfaces.flatMap(({ NetworkInterfaceId }) => NetworkInterfaceId ?? []));
  return found;
}

/** Unused versions that are older than a month, and not among the newest. Most templates have few, and need one call. */
async function readVersions(
  client: EC2Client,
  template: string,
  group: AutoScalingGroup,
  now: number,
  options: Options,
): Promise<number[]> {
  const { LaunchTemplates = [] } = await client.send(
    new DescribeLaunchTemplatesCommand({ LaunchTemplateIds: [template] }),
    options,
  );
  const newest = (LaunchTemplates[0]?.LatestVersionNumber ?? 0) - NEWEST_VERSIONS;
  if (newest < 1) return [];
  const used = new Set([
    Number(templateOf(group)?.version),
    ...(group.Instances ?? []).map(({ LaunchTemplate }) => Number(LaunchTemplate?.Version)),
  ]);
  const asked = {
    LaunchTemplateId: template,
    MinVersion: '1',
    MaxVersion: `${newest}`,
    MaxResults: VERSIONS_PER_PAGE,
  };
  const unused: number[] = [];
  for await (const { LaunchTemplateVersions = [] } of paginateDescribeLaunchTemplateVersions(
    { client },
    asked,
    options,
  ))
    for (const { VersionNumber: version, DefaultVersion, CreateTime } of LaunchTemplateVersions) {
      const isOld = CreateTime !== undefined && now - CreateTime.getTime() > VERSION_KEPT;
      if (version !== undefined && version <= newest && isOld && !DefaultVersion && !used.has(version))
        unused.push(version);
    }
  return unused.sort((a, b) => a - b);
}

/** When the current value of a secret was stored. Its value is not read. */
async function tokenStoredAt(
  client: SecretsManagerClient,
  secret: string,
  options: Options,
): Promise<number | undefined> {
  const { Versions = [] } = await client.send(new ListSecretVersionIdsCommand({ SecretId: secret }), options);
  return Versions.find(({ VersionStages }) => VersionStages?.includes('AWSCURRENT'))?.CreatedDate?.getTime();
}
