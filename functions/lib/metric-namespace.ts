/** Namespace of all metrics of fleets; the definition of the workflow names it too. */
export const METRIC_NAMESPACE = 'CircleCIRunnerAutoscaler';
