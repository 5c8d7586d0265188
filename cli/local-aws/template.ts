import * as z from 'zod';

/** MiniStack's CloudFormation refuses a template with a resource of a type that it does not know. */
const UNKNOWN_TYPES = [
  // Alarms over alarms. MiniStack's CloudWatch knows them; its CloudFormation does not.
  'AWS::CloudWatch::CompositeAlarm',
  // Saved queries of CloudWatch Logs Insights, for people to run in the console.
  'AWS::Logs::QueryDefinition',
  // Its instances are on paper only, so none could get warm.
  'AWS::AutoScaling::WarmPool',
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

/** How the CDK refers to a resource: by itself, or to an attribute of it. */
const Reference = z.union([
  z.strictObject({ Ref: z.string() }).transform(({ Ref }) => Ref),
  z
    .strictObject({ 'Fn::GetAtt': z.tuple([z.string(), z.string()]) })
    .transform(({ 'Fn::GetAtt': [id] }) => id),
]);

/**
 * Makes of a synthesised template one that the local AWS can deploy: without the resources of types that it does
 * not know. What depends on one of them no longer does, and what refers to one says its logical id instead, so
 * that the dashboard keeps its other alarms.
 *
 * @param synthesised The template's text.
 * @returns The text to deploy, and the resources that it leaves out.
 */
export function leaveOutUnknown(synthesised: string): { template: string; leftOut: Resources } {
  const { Resources, ...others } = Template.parse(JSON.parse(synthesised));
  const leftOut: Resources = {};
  const kept: Resources = {};
  for (const [id, resource] of Object.entries(Resources)) {
    (UNKNOWN_TYPES.includes(resource.Type) ? leftOut : kept)[id] = resource;
  }
  const isLeftOut = (id: string) => Object.hasOwn(leftOut, id);
  for (const resource of Object.values(kept)) {
    resource.DependsOn = resource.DependsOn?.filter((id) => !isLeftOut(id));
  }
  const withoutReferences = (_: string, value: unknown) => {
    const { data: id } = Reference.safeParse(value);
    return id !== undefined && isLeftOut(id) ? id : value;
  };
  const template = JSON.stringify({ ...others, Resources: kept }, withoutReferences, 1);
  return { template, leftOut };
}
