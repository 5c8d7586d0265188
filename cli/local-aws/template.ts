import * as z from 'zod';

/** Types of resources that MiniStack's CloudFormation does not support. It refuses a template that has one. */
const UNKNOWN_TYPES = [
  // MiniStack's CloudWatch supports composite alarms; its CloudFormation does not.
  'AWS::CloudWatch::CompositeAlarm',
  // Saved queries of CloudWatch Logs Insights, which people run in the console.
  'AWS::Logs::QueryDefinition',
  // MiniStack's instances do not boot, so a warm pool has no effect.
  'AWS::AutoScaling::WarmPool',
  // MiniStack has no EC2 Image Builder. The parameter of the image, and the function that writes it, stay.
  'AWS::ImageBuilder::Component',
  'AWS::ImageBuilder::DistributionConfiguration',
  'AWS::ImageBuilder::ImagePipeline',
  'AWS::ImageBuilder::ImageRecipe',
  'AWS::ImageBuilder::InfrastructureConfiguration',
  'AWS::ImageBuilder::LifecyclePolicy',
];

const Template = z.looseObject({
  Resources: z.record(
    z.string(),
    z.looseObject({
      Type: z.string(),
      Properties: z.record(z.string(), z.unknown()).optional(),
      DependsOn: z.array(z.string()).optional(),
    }),
  ),
});

/** Resources of a template by their logical ids. */
export type Resources = z.infer<typeof Template>['Resources'];

type Resource = Resources[string];

/** A reference of the CDK to a resource, or to an attribute of it. */
const Reference = z.union([
  z.strictObject({ Ref: z.string() }).transform(({ Ref }) => Ref),
  z
    .strictObject({ 'Fn::GetAtt': z.tuple([z.string(), z.string()]) })
    .transform(({ 'Fn::GetAtt': [id] }) => id),
]);

/** The parts of an alarm over several metrics that say which they are. */
const Metrics = z
  .array(
    z.object({
      MetricStat: z
        .object({ Metric: z.record(z.string(), z.unknown()), Stat: z.string(), Period: z.number() })
        .optional(),
    }),
  )
  .transform((metrics) => metrics.flatMap(({ MetricStat }) => MetricStat ?? []).at(-1));

/**
 * MiniStack supports no alarm over several metrics, so there the alarm watches the last of them: that of this project.
 * Step Functions has no metrics there.
 */
function overOneMetric({ Metrics: several, ...others }: Record<string, unknown>) {
  const { data: last } = Metrics.safeParse(several);
  return last === undefined
    ? others
    : { ...others, ...last.Metric, Statistic: last.Stat, Period: last.Period };
}

/** The lifecycle hooks of a group. */
const Hooks = z.array(z.looseObject({ LifecycleHookName: z.string() }));

/** MiniStack ignores the hooks that are a property of a group, so each becomes a resource of its own. */
function hooksAsResources([id, resource]: [string, Resource]): [string, Resource][] {
  const { LifecycleHookSpecificationList: list, ...Properties } = resource.Properties ?? {};
  if (resource.Type !== 'AWS::AutoScaling::AutoScalingGroup' || list === undefined) return [[id, resource]];
  const hooks = Hooks.parse(list).map((hook, index): [string, Resource] => [
    `${id}Hook${index}`,
    {
      Type: 'AWS::AutoScaling::LifecycleHook',
      Properties: { ...hook, AutoScalingGroupName: { Ref: id } },
    },
  ]);
  return [[id, { ...resource, Properties }], ...hooks];
}

/**
 * Removes the resources that the local AWS does not support from a synthesised template. Dependencies on a removed
 * resource are removed as well. A reference to it becomes its logical id, so that the dashboard keeps its other alarms.
 * Lifecycle hooks become resources of their own.
 *
 * @param synthesised The template's text.
 * @returns The template to deploy, and the removed resources.
 */
export function leaveOutUnknown(synthesised: string): { template: string; leftOut: Resources } {
  const { Resources, ...others } = Template.parse(JSON.parse(synthesised));
  const leftOut: Resources = {};
  const kept: Resources = {};
  for (const [id, resource] of Object.entries(Resources).flatMap(hooksAsResources)) {
    (UNKNOWN_TYPES.includes(resource.Type) ? leftOut : kept)[id] = resource;
  }
  const isLeftOut = (id: string) => Object.hasOwn(leftOut, id);
  for (const resource of Object.values(kept)) {
    resource.DependsOn = resource.DependsOn?.filter((id) => !isLeftOut(id));
    if (resource.Type === 'AWS::CloudWatch::Alarm' && resource.Properties !== undefined) {
      resource.Properties = overOneMetric(resource.Properties);
    }
  }
  const withoutReferences = (_: string, value: unknown) => {
    const { data: id } = Reference.safeParse(value);
    return id !== undefined && isLeftOut(id) ? id : value;
  };
  const template = JSON.stringify({ ...others, Resources: kept }, withoutReferences, 1);
  return { template, leftOut };
}
