/** A change of a fleet's settings that the report shows. */
export interface Trial {
  /** The setting that changes, as in fleets.yaml. */
  setting: string;
  /** The value in a few words. */
  to: string;
  /** The settings as `--set` takes them: `key=value`. */
  set: readonly string[];
}

/**
 * Sizes of warm pools and of `minReplicas`, as shares of the peak number of instances: stopped instances cost little,
 * running ones much.
 */
const STOPPED = [0.05, 0.1, 0.25, 0.5];
const RUNNING = [0.02, 0.05, 0.1];

/**
 * The settings of ours, each with a few values, one at a time.
 *
 * @param peakInstances The peak number of instances without them.
 */
export function trials(peakInstances: number): Trial[] {
  const sizes = (shares: readonly number[]) => [
    ...new Set(shares.map((share) => Math.ceil(peakInstances * share))),
  ];
  const each = (setting: string, values: readonly (number | string)[]): Trial[] =>
    values.map((value) => ({ setting, to: String(value), set: [`${setting}=${value}`] }));
  return [
    ...['30s', '60s', '300s', '600s'].map((idle) => ({
      setting: 'reuse',
      to: `idle ${idle}`,
      set: ['reuse=continuous', `idleTimeout=${idle}`],
    })),
    ...each('image.build', ['weekly']),
    ...each('warmPool.size', [...sizes(STOPPED), 'auto']),
    ...each('headroom', [1, '10%', '25%', '50%']),
    ...each('minReplicas', sizes(RUNNING)),
    ...each('pollInterval', ['1s', '10s', '30s']),
    ...each('quietPollInterval', ['5s', '15s', '30s']),
  ];
}
