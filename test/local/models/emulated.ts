/**
 * The operations that no recorded test sends, by the file of this folder in which a process sends them to an emulator. The
 * last test of each file compares what was sent with the models of AWS. test/local/requests.test.ts compares the table with
 * the code.
 */
export const EMULATED = {
  'reconcile.test.ts': [
    'autoscaling DescribeAutoScalingInstances',
    'ec2 DeleteLaunchTemplateVersions',
    'ec2 DeleteVolume',
    'ec2 DescribeLaunchTemplates',
    'ec2 DescribeNetworkInterfaces',
  ],
  'calls.test.ts': ['autoscaling SetInstanceProtection'],
  'init.test.ts': ['autoscaling DescribeLaunchConfigurations'],
  'images.test.ts': [],
  'operator.test.ts': [],
  'deployed.test.ts': ['scheduler ListSchedules', 'states GetExecutionHistory', 'states StartSyncExecution'],
  'remedies.test.ts': ['cloudformation CreateChangeSet'],
} satisfies Record<string, string[]>;

/** Operations that nothing judges, and why. */
export const NEVER_TO_AWS = {
  why: 'npm run local sends them to an emulator alone, and never to AWS',
  operations: ['states DescribeExecution', 'states ListExecutions', 'states StartExecution'],
};
