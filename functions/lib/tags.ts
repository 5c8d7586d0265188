/**
 * The tag of a group whose `Launch` process the workflow has suspended: `breaker`, or `drain` if the fleet drains and the breaker
 * is closed. Without it, somebody else has.
 */
export const LAUNCH_SUSPENDED_TAG = 'circleci-runners:launch-suspended-by';

/** The value of that tag while the fleet drains. Each other value stands for the breaker: older versions wrote it for both. */
export const SUSPENDED_FOR_DRAIN = 'drain';

/** The tag by which a person pauses a fleet: `true` holds its capacity, `drain` lets nothing launch. */
export const PAUSED_TAG = 'circleci-runners:paused';

/** The tag that says when the command paused it, as an ISO date. Without it, a person paused it in another way. */
export const PAUSED_AT_TAG = 'circleci-runners:paused-at';

/** The tag of a group that buys On-Demand capacity because Spot capacity is short; without it, somebody else has said so. */
export const FALLBACK_TAG = 'circleci-runners:on-demand-for';

/** The tag of a group whose runners are idle while tasks wait; withheld.ts says what it holds. */
export const WITHHELD_TAG = 'circleci-runners:tasks-withheld';

/** The tag of a group beside which tasks run outside; outside.ts says what it holds. */
export const OUTSIDE_TAG = 'circleci-runners:tasks-outside';

/** The tag of a group whose fleet shares a plan's concurrency; concurrency.ts says what it holds. */
export const TASKS_TAG = 'circleci-runners:tasks';

/** The tag of a group whose launches were counted; counted-launches.ts says what it holds. */
export const COUNTED_TAG = 'circleci-runners:launches-counted-until';

/** The tag of an instance that is to leave as soon as no job runs on it; userdata/watch.sh looks for it. */
export const RECYCLE_TAG = 'circleci-runners:recycle';

/** The tag of what may be repaired without being asked: `repair`. The deployment writes it. */
export const RECONCILE_TAG = 'circleci-runners:reconcile';

/** The tag of an instance or a volume that a person keeps: reconciling leaves it alone. */
export const KEEP_TAG = 'circleci-runners:keep';

/** The tag of instances that may be replaced, while they sleep in a warm pool, by instances of a newer image: `refresh`. The deployment writes it. */
export const POOL_IMAGE_TAG = 'circleci-runners:pool-image';

/** The tag of an image that `npm run image -- use` or a rollback has put into use: the lifecycle policy keeps it. */
export const IMAGE_IN_USE_TAG = 'circleci-runners:image-in-use';

/** The tag that says since when a volume is known to be detached, as an ISO date: EC2 does not say it. */
export const DETACHED_TAG = 'circleci-runners:detached-since';

/** The app that a group or a launch template belongs to, by the name of the stack that its fleets share. The deployment writes it. */
export const STACK_TAG = 'circleci-runners:stack';

/** The id of the stack that made a group. The deployment writes it. */
export const STACK_ID_TAG = 'circleci-runners:stack-id';

/** The tag of a Spot fleet's group, whose market the workflow may change. The deployment writes the app's name. */
export const SPOT_TAG = 'circleci-runners:spot';

/** The tag of a group whose warm pool the workflow may resize. The deployment writes `auto`. */
export const WARM_POOL_TAG = 'circleci-runners:warm-pool';

/** The tag of a group whose stack was not deleted: the ISO date of the first refusal, and the ids of the refused requests; group-settings-handler.ts reads it. */
export const DELETION_REFUSED_TAG = 'circleci-runners:deletion-refused-at';
