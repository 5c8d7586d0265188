import * as z from 'zod';
import { proxyUrl, securityGroupIds, subnetIds, vpcId, withoutSlash } from './network.ts';
import { isMap, text } from './parts.ts';

/** https://docs.aws.amazon.com/lambda/latest/api/API_VpcConfig.html */
const MOST_SUBNETS = 16;
const MOST_SECURITY_GROUPS = 5;

/**
 * Lambda allows 4 KB of environment variables: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
 */
const MOST_CHARACTERS = 2_000;

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
      httpProxy: proxyUrl({ readers: 'read the functions', users: 'functions' })
        .transform(withoutSlash)
        .optional()
        .describe(
          'Proxy for HTTPS of the functions, which [guardrails.yaml](guardrails.md) must list. Everyone who may read the functions can read this URL.',
        ),
      noProxy: z
        .array(
          // Node.js reads no ranges in NO_PROXY.
          text(
            'a host, or a domain that begins with a dot such as .amazonaws.com',
            /^(?!.*\.\.)\.?[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$/,
          ),
          { error: 'must be a list of hosts and domains such as [.amazonaws.com, .acme.internal]' },
        )
        .refine((hosts) => hosts.join().length <= MOST_CHARACTERS, {
          error: `must be at most ${MOST_CHARACTERS} characters together, because Lambda limits the environment of a function: use domains`,
        })
        .optional()
        .describe(
          'Hosts and domains that the functions reach without `httpProxy`, such as `.amazonaws.com` if the VPC has endpoints of AWS.',
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
        const { vpcId, subnetIds, securityGroupIds, httpProxy, noProxy } = scaler;
        const fault = (key: string, message: string) =>
          context.addIssue({ code: 'custom', path: [key], message });
        if (Object.keys(scaler).length === 0)
          context.addIssue({
            code: 'custom',
            message: 'must have vpcId and subnetIds, caCertificates, or all; or leave scaler out',
          });
        if ((vpcId ?? securityGroupIds) !== undefined && subnetIds === undefined)
          fault('subnetIds', 'must be a list of subnets of the VPC');
        if (vpcId === undefined && (subnetIds ?? securityGroupIds) !== undefined)
          fault('vpcId', 'must be the VPC of subnetIds and securityGroupIds');
        else if (vpcId === undefined && httpProxy !== undefined)
          fault('vpcId', 'must be the VPC from which the functions reach httpProxy');
        if (httpProxy === undefined && noProxy !== undefined)
          fault('noProxy', 'must be left out without httpProxy, or set httpProxy');
      },
      { when: ({ value }) => isMap(value) },
    ),
  );

/** The VPC of the functions. */
export type Scaler = {
  vpcId: string;
  subnetIds: string[];
  securityGroupIds?: string[] | undefined;
  /** The proxy of the functions, without a slash at its end. Default: none. */
  httpProxy?: string | undefined;
  /** Hosts and domains that the functions reach without it. */
  noProxy?: string[] | undefined;
};

/** The VPC of the functions, if `scaler` names one. */
export function vpcOfScaler(scaler: z.infer<typeof Scaler> | undefined): Scaler | undefined {
  const { vpcId, subnetIds, securityGroupIds, httpProxy, noProxy } = scaler ?? {};
  return vpcId === undefined || subnetIds === undefined
    ? undefined
    : {
        vpcId,
        subnetIds,
        ...(securityGroupIds && { securityGroupIds }),
        ...(httpProxy && { httpProxy }),
        ...(noProxy && { noProxy }),
      };
}

/** Addresses that never use the proxy: Lambda's own. */
const NEVER_PROXIED = ['localhost', '127.0.0.1'];

/**
 * The environment of functions that use the proxy. Node.js 24.5 and newer read it for `fetch`, and agents get it by
 * `proxyEnv`. Without HTTP_PROXY, because CircleCI and AWS are reached by HTTPS, and Lambda's own address by HTTP.
 * https://nodejs.org/docs/latest-v24.x/api/http.html#built-in-proxy-support
 */
export const proxyOfScaler = (scaler: Scaler | undefined): Record<string, string> =>
  scaler?.httpProxy === undefined
    ? {}
    : {
        NODE_USE_ENV_PROXY: '1',
        HTTPS_PROXY: scaler.httpProxy,
        NO_PROXY: [...NEVER_PROXIED, ...(scaler.noProxy ?? [])].join(','),
      };

/** Whether the functions reach a host without their proxy. */
export const isDirect = (host: string, { httpProxy, noProxy = [] }: Scaler): boolean =>
  httpProxy === undefined ||
  noProxy
    // Node.js compares hosts in any case.
    .map((entry) => entry.toLowerCase())
    .some((entry) => (entry.startsWith('.') ? host.endsWith(entry) : host === entry));
