import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { type FleetConfig, loadSettings } from '../../fleets/load.ts';
import { faultsWithUndeclared, type UndeclaredFleet } from '../../fleets/undeclared.ts';

const APP = 'circleci-runners';

/** Two fleets: 700 instances at 0.1008 dollars an hour. */
const fleets = (more = '', top = ''): FleetConfig[] =>
  loadSettings(
    parse(`${top}
linux: {resourceClass: acme/linux, instanceTypes: [m7i.large], maxReplicas: 400${more}}
arm: {resourceClass: acme/arm, instanceTypes: [m7i.large], maxReplicas: 300}
`),
    'fleets.yaml',
    { stack: APP },
  );
const old = (more: Partial<UndeclaredFleet> = {}): UndeclaredFleet => ({
  fleet: 'old',
  instances: 10,
  draining: false,
  settings: { resourceClass: 'acme/old', mostHourlyCost: 5 },
  ...more,
});

describe('a deployed fleet that the file does not have', () => {
  it.each<{ case: string; of?: FleetConfig[]; deployed: UndeclaredFleet[]; says: string[] }>([
    { case: 'nothing, if there is none', deployed: [], says: [] },
    { case: 'nothing, if all of them are below the ceilings', deployed: [old()], says: [] },
    {
      case: 'the instances of all of them together',
      deployed: [old({ instances: 200 }), old({ fleet: 'older', instances: 101 })],
      says: [
        '(all fleets): must have at most 1000 instances together with deployed fleets that the file does not have, got 1001: remove old, older first: npm run drain -- old, and when its instances are gone, aws cloudformation delete-stack --stack-name circleci-runners-old (maxInstancesOfAllFleets)',
      ],
    },
    { case: 'nothing at the ceiling', deployed: [old({ instances: 300 })], says: [] },
    {
      case: 'their instances also while they drain, because somebody can resume them',
      deployed: [old({ instances: 301, draining: true })],
      says: [expect.stringContaining('got 1001')],
    },
    {
      case: 'their instances also if their settings cannot be read',
      deployed: [old({ instances: 301, settings: undefined })],
      says: [expect.stringContaining('got 1001')],
    },
    {
      case: 'the cost of all of them together',
      deployed: [old({ settings: { resourceClass: 'acme/old', mostHourlyCost: 130 } })],
      says: [
        expect.stringMatching(
          /^\(all fleets\): must cost at most 200 dollars an hour together .*, got 200\.56 dollars: remove old first: .* \(maxHourlyCostOfAllFleets\)$/,
        ),
      ],
    },
    {
      case: 'the maximum cost of the file',
      of: fleets('', 'maxHourlyCost: 80'),
      deployed: [old({ settings: { resourceClass: 'acme/old', mostHourlyCost: 10 } })],
      says: [expect.stringMatching(/at most 80 dollars an hour .*got 80\.56 dollars.*\(maxHourlyCost\)$/)],
    },
    {
      case: 'a resource class that both have',
      deployed: [old({ settings: { resourceClass: 'acme/arm' } })],
      says: [
        'arm.resourceClass: must differ from that of the deployed fleet old, which the file does not have, got acme/arm: both would launch an instance for each task. Drain old first: npm run drain -- old',
      ],
    },
    {
      case: 'no resource class of a fleet that drains, because it launches nothing',
      deployed: [old({ draining: true, settings: { resourceClass: 'acme/arm' } })],
      says: [],
    },
    {
      case: 'rights that only it needs',
      deployed: [
        old({
          settings: {
            resourceClass: 'acme/old',
            scalerSecretName: 'existing/scaler',
            runnerSecretName: 'existing/runner',
            alarmTopicArn: 'arn:aws:sns:eu-west-1:111122223333:builds',
            onDemandPercentage: 20,
            spareRunners: {},
            reconcile: 'repair',
          },
        }),
      ],
      says: [
        'old: must stay in the file while it runs, because a deployment of circleci-runners would take its rights to its scalerSecretName existing/scaler and to its runnerSecretName existing/runner and to its alarmTopicArn arn:aws:sns:eu-west-1:111122223333:builds and to buy Spot Instances and to keep what it learns (spareRunners, warmPool) and to end what it leaves behind (reconcile: repair). Put it back into the file, or drain it first: npm run drain -- old',
      ],
    },
    {
      case: 'no rights of a fleet that drains',
      deployed: [
        old({ draining: true, settings: { resourceClass: 'acme/old', scalerSecretName: 'existing/scaler' } }),
      ],
      says: [],
    },
    {
      case: 'no rights that all fleets of the app have, or that a fleet of the file needs as well',
      of: fleets(
        ', alarmTopicArn: "arn:aws:sns:eu-west-1:111122223333:builds", scalerSecretName: circleci-runners/shared, spot: {}, spareRunners: auto, reconcile: repair',
      ),
      deployed: [
        old({
          settings: {
            resourceClass: 'acme/old',
            scalerSecretName: 'circleci-runners/shared',
            runnerSecretName: 'circleci-runners/old/runner',
            alarmTopicArn: 'arn:aws:sns:eu-west-1:111122223333:builds',
            onDemandPercentage: 0,
            warmPoolAuto: true,
            reconcile: 'repair',
          },
        }),
        old({
          fleet: 'older',
          settings: {
            resourceClass: 'acme/older',
            scalerSecretName: 'circleci-runners/older/scaler',
            alarmTopicArn: 'arn:aws:sns:eu-west-1:111122223333:circleci-runners',
            onDemandPercentage: 100,
            warmPoolAuto: false,
          },
        }),
      ],
      says: [],
    },
    {
      case: "a plan in which the file does not count the fleet's tasks",
      of: fleets('', 'concurrency: {limit: 30, fleets: [linux]}'),
      deployed: [
        old({
          settings: {
            resourceClass: 'acme/old',
            concurrency: { groups: [`${APP}-linux`, `${APP}-arm`, `${APP}-old`] },
          },
        }),
      ],
      says: [
        'linux: must not share the concurrency of a plan with the deployed fleet old, which the file does not have, because nothing would count the tasks of old. Drain old first: npm run drain -- old',
      ],
    },
  ])('is refused: $case', ({ of = fleets(), deployed, says }) => {
    expect(faultsWithUndeclared(APP, of, deployed)).toEqual(says);
  });

  it('is removed from the app that it belongs to', () => {
    const [fault] = faultsWithUndeclared('team-b', fleets(), [
      old({ settings: { resourceClass: 'acme/arm' } }),
    ]);
    expect(fault).toContain('npm run drain -- --stack team-b old');
  });
});
