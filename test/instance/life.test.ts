/**
 * The life of an instance, on machines that really boot: the user data that CDK renders, a real cloud-init and systemd,
 * and around them stand-ins of what an instance meets (README.md). After each scenario the group is as it should be, the
 * launch hook has the right result, and the machine is off.
 *
 * One file imports all scenarios, so that they share one world and run side by side. The slowest come first.
 */
import './scenarios/locks.ts';
import './scenarios/boot-faults.ts';
import './scenarios/leaving.ts';
import './scenarios/failed-boots.ts';
import './scenarios/restarts.ts';
import './scenarios/warm-pools.ts';
import './scenarios/interruptions.ts';
import './scenarios/reuse.ts';
import './scenarios/tasks.ts';
import './scenarios/task-user.ts';
import './scenarios/metadata.ts';
import './scenarios/logs.ts';
import './scenarios/settings.ts';
import './scenarios/left-behind.ts';
import './scenarios/images.ts';
import './scenarios/built-images.ts';
