/** Where each policy is described, by its name in the tables. docs/alternatives.md has the same links. */
export const POLICY_LINKS: Record<string, string> = {
  'circleci-tutorial': 'https://circleci.com/blog/autoscale-self-hosted-runners-aws/',
  mro: 'https://circleci.com/docs/guides/execution-runner/machine-runner-orchestrator/',
  buildkite: 'https://github.com/buildkite/buildkite-agent-scaler',
  vela: 'https://github.com/vela-games/circleci-runner-autoscaler',
  webhook: 'https://github.com/github-aws-runners/terraform-aws-github-runner',
  'cdk-github-runners': 'https://github.com/CloudSnorkel/cdk-github-runners',
  'runs-on': 'https://runs-on.com',
  gitlab: 'https://docs.gitlab.com/runner/runner_autoscale/',
};
