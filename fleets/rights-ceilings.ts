import type { Ceilings } from './guardrails.ts';
import { fits } from './patterns.ts';
import type { InstanceRights } from './settings/rights.ts';

/**
 * What a fleet's `install` script would have beyond what the guardrails list. A text with a `*` of its own fits only where the
 * pattern has one, so a pattern that it fits covers all that it stands for.
 */
export function rightsBeyond({ roles, installPermissions = [] }: InstanceRights, ceilings: Ceilings) {
  const policies = ceilings.instancePolicies;
  const listed = ceilings.installPermissions;
  const isCovered = (action: string, resource: string) =>
    listed.some(({ actions, resources }) => fits(action, actions) && fits(resource, resources));
  // One fault for each entry, which can have thousands of pairs.
  const uncovered = installPermissions.flatMap(({ actions, resources }, index) => {
    const pairs = actions.flatMap((action) =>
      resources
        .filter((resource) => !isCovered(action, resource))
        .map((resource) => `${action} on ${resource}`),
    );
    const [first] = pairs;
    return first === undefined ? [] : [{ index, first, more: pairs.length - 1 }];
  });
  const permissions = listed.map(
    ({ actions, resources }) => `${actions.join(', ')} on ${resources.join(', ')}`,
  );
  return [
    ...(roles?.instance ?? [])
      .filter((arn) => !fits(arn, policies))
      .map((arn) => ({
        path: ['roles', 'instance'],
        must: policies.join(' or ') || 'left out, because no policy is listed',
        given: arn,
        ceiling: 'instancePolicies' as const,
      })),
    ...uncovered.map(({ index, first, more }) => ({
      path: ['installPermissions', index],
      must: permissions.join(', or ') || 'left out, because no permission is listed',
      given: more === 0 ? first : `${first}, and ${more} more`,
      ceiling: 'installPermissions' as const,
    })),
  ];
}
