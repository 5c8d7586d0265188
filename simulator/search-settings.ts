import type { Goal } from './goal.ts';

/** The settings that a search tries. */

/** Settings and their values, as `--set` takes them: `key=value`. */
export type Setting = readonly string[];

/** Settings that change together, with the values to try. The first value keeps the fleet's own. */
export interface Dimension {
  setting: string;
  values: readonly Setting[];
  /** Whether a value is one of the few that are tried in all combinations with those of other settings. Default: all are. */
  isCoarse?: (value: Setting) => boolean;
}

const sizes = (key: string, numbers: readonly (number | string)[]): Setting[] =>
  numbers.map((number) => [`${key}=${number}`]);

/** Prices of waiting to try if the goal has limits: the price with which spare runners meet them is not known. */
const WAITING_COSTS = [0.1, 0.3, 1, 3, 10, 30];

/** The lowest `waitingCost` that fleets.yaml takes. */
const LEAST_WAITING_COST = 0.001;

/** The largest warm pool to try. */
const MOST_POOLED = 500;

const IDLE_TIMES = [30, 60, 120, 300, 600, 1_200];

export const reuses = (value: Setting) => value.includes('reuse=continuous');

/** Whether one of these settings has one of these values, or the fleet's own. */
const isOneOf = (values: readonly string[]) => (value: Setting) =>
  value.length === 0 || value.some((each) => values.includes(each));

/** The settings to search, those with the largest effect first. */
export function dimensions(peakInstances: number, goal: Goal, keep: ReadonlySet<string>): Dimension[] {
  const upTo = (numbers: readonly number[]) => numbers.filter((number) => number <= peakInstances);
  // A pool of all instances that ever ran at the same time is never empty.
  const largest = Math.min(peakInstances, MOST_POOLED);
  const pools = [...new Set([...upTo([2, 5, 10, 20, 50, 100, 200]), largest])];
  const { waitingCost, ...limits } = goal;
  // Spare runners follow the price of the search itself.
  const prices = new Set([
    ...(waitingCost === undefined ? [] : [waitingCost]),
    ...(Object.keys(limits).length === 0 ? [] : WAITING_COSTS),
  ]);
  const spares = keep.has('waitingCost')
    ? [['spareRunners=auto']]
    : [...prices]
        .filter((price) => price >= LEAST_WAITING_COST)
        .map((price) => ['spareRunners=auto', `waitingCost=${price}`]);
  const all: Dimension[] = [
    {
      setting: 'idleTimeout',
      values: [
        [],
        ...IDLE_TIMES.map((seconds) => [`idleTimeout=${seconds}s`]),
        ...IDLE_TIMES.map((seconds) => ['reuse=continuous', `idleTimeout=${seconds}s`]),
      ],
      isCoarse: (value) => value.length === 0 || reuses(value),
    },
    { setting: 'image', values: [[], ['image.build=weekly']] },
    {
      setting: 'warmPool',
      values: [[], ...sizes('warmPool.size', ['auto', ...pools])],
      isCoarse: isOneOf(sizes('warmPool.size', ['auto', 5, 20, 100, largest]).flat()),
    },
    {
      setting: 'spareRunners',
      values: [[], ...spares],
      isCoarse: (value) =>
        spares.length <= 2 || isOneOf(['waitingCost=0.1', 'waitingCost=1', 'waitingCost=10'])(value),
    },
    { setting: 'headroom', values: [[], ...sizes('headroom', [1, 2, 5, '10%', '25%', '50%'])] },
    { setting: 'minReplicas', values: [[], ...sizes('minReplicas', upTo([1, 2, 5, 10, 20]))] },
    {
      setting: 'pollInterval',
      values: [
        [],
        ...sizes('quietPollInterval', ['5s', '15s', '30s']),
        ['pollInterval=10s'],
        ['pollInterval=2s', 'quietPollInterval=2s'],
      ],
    },
  ];
  return all
    .map((dimension) => ({ ...dimension, values: dimension.values.filter((value) => !isKept(value, keep)) }))
    .filter(({ values }) => values.length > 1);
}

/** On clean machines, the idle timeout has an effect only on idle runners: it comes after what keeps some. */
export function withoutReuse(settings: readonly Dimension[]): Dimension[] {
  const clean = settings
    .map((dimension) => ({ ...dimension, values: dimension.values.filter((value) => !reuses(value)) }))
    .filter(({ values }) => values.length > 1);
  const isIdle = ({ setting }: Dimension) => setting === 'idleTimeout';
  return [...clean.filter((each) => !isIdle(each)), ...clean.filter(isIdle)];
}

/** Whether the search must not change one of these settings. */
const isKept = (value: Setting, keep: ReadonlySet<string>) =>
  value.some((each) => {
    const [key = ''] = each.split('=');
    return keep.has(key) || keep.has(key.split('.')[0] ?? '');
  });
