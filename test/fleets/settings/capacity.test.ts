import { describe, expect, it } from 'vitest';
import { complaintsAbout, expectAccepted, expectRefused, minimalWith } from '../../support/fleets.ts';

describe('settings of the capacity', () => {
  const NUMBER = 'must be a whole number from';
  const SPOT = 'must be a map of percentage and onDemandBase; {} makes all instances Spot';
  const POOL_SIZE = 'must be a whole number from 0 to 10000, the number of instances that wait, or auto';
  const PERCENTAGE = `${NUMBER} 1 to 100, the percentage of instances above onDemandBase that are Spot`;

  it.each([
    { given: 'minReplicas: 20', becomes: { minReplicas: 20, maxReplicas: 20 } },
    { given: 'headroom: 3', becomes: { headroom: 3 } },
    { given: 'headroom: 20%', becomes: { headroom: '20%' } },
    { given: 'spareRunners: auto', becomes: { spareRunners: 'auto' } },
    { given: 'spareRunners: {max: 5}', becomes: { spareRunners: { max: 5 } } },
    { given: 'waitingCost: 0.5', becomes: { waitingCost: 0.5 } },
    { given: 'headroom: 1000%', becomes: { headroom: '1000%' } },
    { given: 'maxSurge: 1', becomes: { maxSurge: 1 } },
    { given: 'spot: {}', becomes: { spot: { percentage: 100, onDemandBase: 0 } } },
    { given: 'reuse: continuous', becomes: { reuse: 'continuous' } },
    { given: 'warmPool: {size: 20}', becomes: { warmPool: { size: 20, state: 'stopped' } } },
    { given: 'warmPool: {size: 0}', becomes: { warmPool: { size: 0, state: 'stopped' } } },
    {
      given: 'warmPool: {size: auto, state: hibernated}',
      becomes: { warmPool: { size: 'auto', state: 'hibernated' } },
    },
    { given: 'spot: {percentage: 1}', becomes: { spot: { percentage: 1, onDemandBase: 0 } } },
    {
      given: 'spot: {percentage: 50, onDemandBase: 10000}',
      becomes: { spot: { percentage: 50, onDemandBase: 10_000 } },
    },
    { given: 'unsafeRetries: true', becomes: { unsafeRetries: true } },
  ])('$given is accepted', expectAccepted);

  it.each([
    {
      given: 'minReplicas: -1',
      said: `minReplicas: ${NUMBER} 0 to 10000, the number of idle runners to keep, got -1`,
    },
    {
      given: 'minReplicas: two',
      said: `minReplicas: ${NUMBER} 0 to 10000, the number of idle runners to keep, got "two"`,
    },
    ...[
      'headroom: -1',
      'headroom: 10001',
      'headroom: 0.5',
      'headroom: 1001%',
      'headroom: 2.5%',
      'headroom: -5%',
    ].map((given) => ({
      given,
      said: `headroom: ${NUMBER} 0 to 10000, or a percentage from 0% to 1000% such as 20%, the idle runners to keep while there are tasks, or their share of the tasks, got ${given.includes('%') ? JSON.stringify(given.slice(10)) : given.slice(10)}`,
    })),
    {
      given: 'maxSurge: 0',
      said: `maxSurge: ${NUMBER} 1 to 10000, the maximum number of launches that one poll adds; for no limit, leave it out, got 0`,
    },
    { given: 'spot: true', said: `spot: ${SPOT}, got true` },
    { given: 'spot:', said: `spot: ${SPOT}, got nothing` },
    { given: 'spot: {percentage: 0}', said: `spot.percentage: ${PERCENTAGE}, got 0` },
    { given: 'spot: {percentage: 101}', said: `spot.percentage: ${PERCENTAGE}, got 101` },
    { given: 'spot: {percentage: 12.5}', said: `spot.percentage: ${PERCENTAGE}, got 12.5` },
    { given: 'spot: {percentage: 50%}', said: `spot.percentage: ${PERCENTAGE}, got "50%"` },
    {
      given: 'spot: {onDemandBase: -1}',
      said: `spot.onDemandBase: ${NUMBER} 0 to 10000, the number of On-Demand instances that come first, got -1`,
    },
    { given: 'reuse: true', said: 'reuse: must be single-task or continuous, got true' },
    { given: 'warmPool: 5', said: 'warmPool: must be a map of size and state, such as { size: 5 }, got 5' },
    { given: 'warmPool: {}', said: `warmPool.size: ${POOL_SIZE}, got nothing` },
    { given: 'warmPool: {size: many}', said: `warmPool.size: ${POOL_SIZE}, got "many"` },
    { given: 'warmPool: {size: -1}', said: `warmPool.size: ${POOL_SIZE}, got -1` },
    { given: 'warmPool: {size: 2.5}', said: `warmPool.size: ${POOL_SIZE}, got 2.5` },
    {
      given: 'warmPool: {size: 21}',
      said: 'warmPool.size: must be at most maxReplicas (20), or auto, got 21',
    },
    {
      given: 'warmPool: {size: 5, state: running}',
      said: 'warmPool.state: must be stopped or hibernated, got "running"',
    },
    { given: 'unsafeRetries: yes', said: 'unsafeRetries: must be true or false, got "yes"' },
    {
      given: 'paused: true',
      said: 'paused: is not a setting: run npm run pause -- linux (or drain, or resume), so that no deployment undoes it',
    },
    {
      given: 'warmPool: {size: 5}\n  spot: {}',
      said: 'spot: must be left out with warmPool, because AWS has warm pools for On-Demand instances only; or leave out warmPool, got a map',
    },
  ])('$given is refused', expectRefused);

  it('a hibernated warmPool of bare metal is refused', () => {
    const text = minimalWith('warmPool: {size: 5, state: hibernated}').replace('m7i.large', 'm7i.metal-24xl');
    expect(complaintsAbout(text)).toBe(
      'fleets.yaml has a fault:\n  linux.instanceTypes: must not be bare metal with a hibernated warmPool, because bare metal cannot hibernate; or set state to stopped, got ["m7i.metal-24xl"]',
    );
  });

  it('a hibernated warmPool of types that EC2 chooses is refused', () => {
    const text = minimalWith('warmPool: {size: 5, state: hibernated}').replace(
      'instanceTypes: [m7i.large]',
      'instanceRequirements: {architecture: arm64, vCpus: {min: 2}, memoryGiB: {min: 8}}',
    );
    expect(complaintsAbout(text)).toBe(
      'fleets.yaml has a fault:\n  linux.warmPool.state: must be stopped with instanceRequirements, because EC2 may choose a type that cannot hibernate; or set instanceTypes that can, got "hibernated"',
    );
  });

  it('every setting that excludes a warmPool is reported at once', () => {
    const text = minimalWith('warmPool: {size: 30, state: hibernated}', 'spot: {}', 'reuse: often');
    expect(complaintsAbout(text.replace('m7i.large', 'm7i.metal-24xl'))).toMatch(
      /^fleets\.yaml has 4 faults:\n(?=[\s\S]*linux\.reuse: )(?=[\s\S]*linux\.warmPool\.size: )(?=[\s\S]*linux\.spot: )(?=[\s\S]*linux\.instanceTypes: )/,
    );
  });

  it('maxReplicas is at least minReplicas', () => {
    expect(complaintsAbout(minimalWith('minReplicas: 21'))).toBe(
      'fleets.yaml has a fault:\n  linux.maxReplicas: must be at least minReplicas (21), got 20',
    );
  });
});
