/** Namespace of all metrics of the fleets of an app. Apps have their own, because their fleets may have the same names. */
export const metricNamespace = (app: string): string => `CircleCIRunnerAutoscaler/${app}`;
