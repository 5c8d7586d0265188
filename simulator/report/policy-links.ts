/** What people call each policy and where it is described, by its name on the command line. */
export const POLICY_NAMES: Record<string, { label: string; url?: string }> = {
  ours: { label: 'current settings' },
  'ours, recommended': { label: 'recommended settings' },
  'circleci-tutorial': {
    label: 'CircleCI tutorial',
    url: 'https://circleci.com/blog/autoscale-self-hosted-runners-aws/',
  },
  'cdk-tutorial-2022': {
    label: 'CircleCI CDK tutorial 2022',
    url: 'https://circleci.com/blog/manage-scale-self-hosted-cicd-runners-aws-cdk/',
  },
  mro: {
    label: 'Machine Runner Orchestrator',
    url: 'https://circleci.com/docs/guides/execution-runner/machine-runner-orchestrator/',
  },
  buildkite: {
    label: 'Buildkite agent-scaler',
    url: 'https://github.com/buildkite/buildkite-agent-scaler',
  },
  vela: { label: 'vela-games', url: 'https://github.com/vela-games/circleci-runner-autoscaler' },
  webhook: {
    label: 'terraform-aws-github-runner',
    url: 'https://github.com/github-aws-runners/terraform-aws-github-runner',
  },
  'cdk-github-runners': {
    label: 'cdk-github-runners',
    url: 'https://github.com/CloudSnorkel/cdk-github-runners',
  },
  'runs-on': { label: 'RunsOn', url: 'https://runs-on.com' },
  gitlab: { label: 'GitLab Runner autoscaler', url: 'https://docs.gitlab.com/runner/runner_autoscale/' },
};
