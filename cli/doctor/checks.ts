import { bootstrap, ebsKey } from './account.ts';
import { builtImages } from './built-image.ts';
import type { Check } from './check.ts';
import { alarms, groups, polls, schedules, settings, topics, undeclared } from './deployed.ts';
import { images } from './image.ts';
import { lambdaConcurrency } from './lambda-concurrency.ts';
import { managedPolicies } from './managed-policies.ts';
import { routes, zones } from './network.ts';
import { groupQuota, quotas, storageQuota } from './quotas.ts';
import { rights } from './rights.ts';
import { scalerNetwork } from './scaler.ts';
import { tokens } from './tokens.ts';

/** All checks, in the order of the output: the account, the network, CircleCI, what is deployed. */
export const CHECKS: readonly Check[] = [
  bootstrap,
  rights,
  managedPolicies,
  quotas,
  storageQuota,
  groupQuota,
  lambdaConcurrency,
  ebsKey,
  routes,
  zones,
  scalerNetwork,
  images,
  builtImages,
  undeclared,
  settings,
  groups,
  tokens,
  schedules,
  polls,
  alarms,
  topics,
];
