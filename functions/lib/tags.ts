/** The tag of a group whose `Launch` process the workflow has suspended; without it, somebody else has. */
export const LAUNCH_SUSPENDED_TAG = 'circleci-runners:launch-suspended-by';
