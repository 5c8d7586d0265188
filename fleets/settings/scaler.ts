import * as z from 'zod';
import { securityGroupIds, subnetIds, vpcId } from './network.ts';
import { isMap } from './parts.ts';

/** https://docs.aws.amazon.com/lambda/latest/api/API_VpcConfig.html */
const MOST_SUBNETS = 16;
const MOST_SECURITY_GROUPS = 5;

/** Where the functions of the workflows run, and whom they trust. All fleets share them. */
export const Scaler = z
  .strictObject(
    {
      vpcId: vpcId().optional(),
      subnetIds: subnetIds(MOST_SUBNETS)
        .optional()
        .describe(
          'Subnets of the VPC, from which CircleCI and AWS can be reached. Take subnets of two zones.',
        ),
      securityGroupIds: securityGroupIds(MOST_SECURITY_GROUPS)
        .optional()
        .describe(
          'Security groups of the VPC for the functions. They must allow outbound HTTPS. Default: a new security group that allows no inbound traffic.',
        ),
      caCertificates: z
        .string({ error: 'must be the path of a file, relative to this one' })
        .optional()
        .describe(
          'Path of a PEM file, relative to this one, with certificates of authorities of your own. The functions trust them beside the public ones.',
        ),
    },
    { error: 'must be a map of vpcId and subnetIds, of caCertificates, or of all' },
  )
  .check(
    z.superRefine(
      (scaler, context) => {
        const { vpcId, subnetIds, securityGroupIds } = scaler;
        const fault = (key: string, message: string) =>
          context.addIssue({ code: 'custom', path: [key], message });
        if (vpcId !== undefined && subnetIds === undefined)
          fault('subnetIds', 'must be a list of subnets of the VPC');
        if (vpcId === undefined && (subnetIds ?? securityGroupIds) !== undefined)
          fault('vpcId', 'must be the VPC of subnetIds and securityGroupIds');
      },
      { when: ({ value }) => isMap(value) },
    ),
  );

/** The VPC of the functions. */
export type Scaler = {
  vpcId: string;
  subnetIds: string[];
  securityGroupIds?: string[] | undefined;
};

/** The VPC of the functions, if `scaler` names one. */
export function vpcOfScaler(scaler: z.infer<typeof Scaler> | undefined): Scaler | undefined {
  const { vpcId, subnetIds, securityGroupIds } = scaler ?? {};
  return vpcId === undefined || subnetIds === undefined
    ? undefined
    : { vpcId, subnetIds, ...(securityGroupIds && { securityGroupIds }) };
}
