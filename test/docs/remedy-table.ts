/**
 * Where each remedy of docs/operations.md is tried: a test that breaks, does as the text says, and sees it repaired. Or why no
 * test can. test/docs/remedies.test.ts compares the table with the page.
 */
export type Tried = { file: string; title: string } | { why: string };

const by = (file: string, title: string): Tried => ({ file: `test/${file}`, title });
const not = (why: string): Tried => ({ why });

const REMEDIES = 'local/remedies.test.ts';
const SECRETS = 'cli/secrets.test.ts';

const ELSEWHERE = not('it names the heading whose remedies are tried');
const WAITS = by(
  'hours/guards.test.ts',
  'no job is lost, no bound is broken, and the queue drains when it is over',
);
const PASSES = by('sandbox/passing-faults.test.ts', 'costs one retry and is no failure');
const AWS_FAILS = by('sandbox/passing-faults.test.ts', 'costs $step one retry and is no failure');
const DRIFT = not(
  'the emulators revert no drift: local/remedies.test.ts shows that the command asks CloudFormation for it, and only an account does it',
);
const DEFECT = not('it is for a defect that is not known');
const QUOTA = not('the emulators have no quotas');
const PERSON = not('only a person can judge it');
const CIRCLECI = not('it is done in CircleCI, and the stand-in has no such settings');
const LIMIT = by('fleets/aws-limits.test.ts', 'is checked: $limit');
const TYPES = not(
  'the emulators refuse no launch; the settings are tried by npm run doctor and npm run zones',
);
const IMAGE = not('an instance has to boot; test/instance shows what the line says');

export const TRIED: Record<string, Record<string, Tried>> = {
  'Fleet Needs You': {
    'step 1': ELSEWHERE,
    'step 2': by('local/deployed.test.ts', 'shows the steps and the decision of an execution'),
  },
  Outage: {
    'CircleCI Unavailable': ELSEWHERE,
    'Execution Over Time, Executions Timed Out': ELSEWHERE,
    'Step Broken': ELSEWHERE,
    'Delivery Failing, Executions Throttled': ELSEWHERE,
    'Executions Failed and nothing else': ELSEWHERE,
  },
  'Scaler Not Running': {
    'step 1': ELSEWHERE,
    'step 2': by(REMEDIES, 'a disabled schedule is found by npm run doctor, and enabled'),
    'step 3': DRIFT,
    'step 4': ELSEWHERE,
    'step 5': not('the emulator turns logs into no metrics'),
  },
  'Secrets Unreadable': {
    '`SecretUnset`, `SecretNotFound`, `SecretMalformed`': by(REMEDIES, 'repairs $error: $case'),
    '`SecretMismatch`': by(REMEDIES, 'repairs $error: $case'),
    '`SecretDenied`': DRIFT,
    '`SecretsManagerUnavailable`': PASSES,
  },
  'Settings Unreadable': {
    '`SettingsNotFound`': by(REMEDIES, 'SettingsNotFound says that no such fleet is deployed'),
    '`SettingsMalformed`': DRIFT,
    '`SettingsDenied`': DRIFT,
    '`InputInvalid`': by(
      REMEDIES,
      'InputInvalid passes when an execution begins with the name of a fleet alone',
    ),
    '`SettingsUnavailable`, `States.Timeout`': AWS_FAILS,
    '`Lambda.TooManyRequestsException`': ELSEWHERE,
  },
  'CircleCI Refuses': {
    '`CircleCiUnauthorized`': by(
      REMEDIES,
      'repairs CircleCiUnauthorized: the personal API token was revoked',
    ),
    '`CircleCiNotFound`': by(
      REMEDIES,
      'CircleCiNotFound passes after a deployment with the right resource class',
    ),
    '`CircleCiRejected`': by(
      REMEDIES,
      'CircleCiRejected passes after a deployment with the right address, and npm run secrets',
    ),
  },
  'CircleCI Unavailable': {
    '`CircleCiUnavailable`, `CircleCiUnreachable`, `CircleCiTimeout`': WAITS,
    '`CircleCiUnreachable` of a CircleCI server of yours, from the first execution on': by(
      'infra/own-authority.test.ts',
      'is not counted without the setting, and the error says why',
    ),
    '`CircleCiRateLimited`': by('sandbox/passing-faults.test.ts', 'delays the next poll by its Retry-After'),
    '`CircleCiNotJson`, `CircleCiInvalidCount`, `CircleCiTooLong`': WAITS,
  },
  'Group Unreadable': {
    '`GroupNotFound`': by(REMEDIES, 'GroupNotFound is repaired by deleting the stack of the fleet'),
    '`AutoScalingDenied`': DRIFT,
    '`AutoScalingUnavailable`': AWS_FAILS,
    '`GroupUnreadable`': DEFECT,
  },
  'Decision Invalid': { '`InputInvalid`': DRIFT, '`DecisionInvalid`': DEFECT },
  'Group Update Refused': {
    '`GroupUpdateRefused`': DRIFT,
    '`AutoScalingDenied`': DRIFT,
    '`AutoScalingUnavailable`': AWS_FAILS,
    '`GroupNotFound`, `GroupUnreadable`': ELSEWHERE,
  },
  'Execution Over Time': {
    'step 1': WAITS,
    'step 2': not(
      'the time of an execution is planned: test/statemachine/time-budget.test.ts computes its worst case',
    ),
    'step 3': PERSON,
  },
  'Step Broken': {
    '`TypeError` and similar errors': DEFECT,
    '`Lambda.TooManyRequestsException`': ELSEWHERE,
    'an error that says "not authorized"': DRIFT,
    'other `Lambda.*` and `States.*`': by(
      'sandbox/passing-faults.test.ts',
      'of Lambda, a container of Compute Capacity that starts slowly in the first poll',
    ),
    'Functions throttled, step 1': by('cli/doctor.test.ts', 'is enough, or the quota must be raised'),
    'Functions throttled, step 2': QUOTA,
    'Functions throttled, step 3': PERSON,
  },
  Starving: {
    'no instance comes, and decisions say "the fleet is paused" or "the fleet drains"': by(
      REMEDIES,
      'npm run resume lets a paused fleet launch for the jobs that wait',
    ),
    'no instance comes, and launches fail': ELSEWHERE,
    'no instance comes, and the group launches nothing': by(
      'local/calls.test.ts',
      'leaves launches suspended that a person has suspended, until a person resumes them',
    ),
    'instances come, idle for `idleTimeout` and leave': by(
      SECRETS,
      'asks CircleCI about the token, then stores both',
    ),
    'instances come, idle and leave, and claims are not refused': by(
      'hours/concurrency.test.ts',
      'launch only for tasks that may run, and run all of them',
    ),
    'instances come and never reach CircleCI': by(
      'userdata/boot.test.ts',
      'sets the proxy up first, and the disks once the instance no longer sleeps',
    ),
    'instances come, but after this alarm rings': by(
      'sandbox/alarms.test.ts',
      'ring when tasks wait for as long as starvingAfter',
    ),
  },
  Saturated: {
    'step 1': by(REMEDIES, 'a saturated fleet launches more after a deployment with a larger maxReplicas'),
    'step 2': by('hours/concurrency.test.ts', 'say that tasks wait for the plan, and do not starve'),
    'step 3': by('local/operator.test.ts', 'runs: %s'),
  },
  'Cost Limit Reached': {
    'step 1': by('hours/alarm-thresholds.test.ts', 'a higher maxHourlyCost ends Cost Limit Reached'),
    'step 2': by('fleets/cost.test.ts', 'counts the most expensive type, because the group may launch any'),
    'step 3': by('local/operator.test.ts', 'runs: %s'),
  },
  'Breaker Open': {
    '`boot`': by(
      'hours/guards-launches.test.ts',
      'launch one canary at a time, polled every %i s, later and later',
    ),
    '`volume-key`': not('the emulators check no policy of a key'),
    '`spot-role`': not('the emulators need no service-linked role'),
    '`placement`': by('cli/zones.test.ts', 'names the zones that offer none of the types, and what to set'),
    '`addresses`': TYPES,
    '`throttled`': AWS_FAILS,
    '`refused`': TYPES,
    '`shortage`': by(
      'hours/guards-launches.test.ts',
      'cost nothing and ask for one instance, if EC2 refuses them',
    ),
    'step 1': by('local/deployed.test.ts', 'announces an open breaker, and lets one canary launch'),
    'step 2': by(
      'sandbox/breaker-alarm.test.ts',
      'the breaker rings no more once nothing wants an instance, and rings again with the next job',
    ),
    'step 3': not(
      'the settings of a deployment are tried, and that each breaker reads them again is in test/functions/breaker.test.ts',
    ),
    '`waiting for /var/lib/…lock`': IMAGE,
    '`failed, trying again: COMMAND`': IMAGE,
    '`failed for good: COMMAND`': IMAGE,
    '`URL: HTTP status 403`, or `404`': IMAGE,
    '`this image has curl …`': IMAGE,
    '`the working directory is on the root volume: …`': by(
      'userdata/instance-store.test.ts',
      'falls back to the root volume, and says so, if $case',
    ),
    '`no SSH reruns here: …`': IMAGE,
    '`the runner was started in this boot already`': IMAGE,
    '`rebooted after its runner had started`': IMAGE,
  },
  'Tasks Not Handed Out': {
    "the plan's concurrency is used up": by(
      'hours/concurrency.test.ts',
      'launch only for tasks that may run, and run all of them',
    ),
    'the runner token is of another resource class, or was deleted': by(
      SECRETS,
      'asks CircleCI about the token, then stores both',
    ),
    'the resource class is paused': CIRCLECI,
  },
  'Tasks Run Elsewhere': {
    'you run other runners of this class': by(
      'functions/elsewhere.test.ts',
      'are expected if otherRunners says so',
    ),
    'a person detached members of the group': by('sandbox/taken-out.test.ts', 'ends its task'),
    'somebody has the token of the class': CIRCLECI,
    'CircleCI counts tasks that have ended': CIRCLECI,
  },
  'Zone Unusable': {
    'step 1': by('cli/zones.test.ts', 'names the zones that offer none of the types, and what to set'),
    'step 2': by('infra/zones.test.ts', 'are those of the group in the default VPC'),
    'step 3': by('cli/zones.test.ts', 'ends well if $case'),
  },
  'Spot Unavailable': {
    'step 1': LIMIT,
    'step 2': QUOTA,
    'step 3': PERSON,
  },
  'Maximum Size Too Small': {
    'step 1': DRIFT,
    'step 2': by(
      REMEDIES,
      'a group whose maximum somebody lowered is no fault if maxReplicas is lowered, too',
    ),
  },
  'Jobs Wait For A Paused Fleet': {
    'step 1': by(REMEDIES, 'npm run resume lets a paused fleet launch for the jobs that wait'),
    'step 2': PERSON,
  },
  'Counts Doubtful': {
    'lists neither a fleet nor a runner': by(
      REMEDIES,
      'CircleCiNotFound passes after a deployment with the right resource class',
    ),
    'the token may not list the runners': by(
      REMEDIES,
      'repairs CircleCiUnauthorized: the personal API token was revoked',
    ),
    'lists no runner, and instances are in service, or one came into service': by(
      SECRETS,
      'tries the new token first, stores both',
    ),
    'runners ran tasks that were never counted': CIRCLECI,
    'the fleet has queued or running tasks': CIRCLECI,
  },
  'Scale-In Protection Off': {
    'step 1': DRIFT,
    'step 2': by(
      'local/calls.test.ts',
      'sees no more members without protection once a person protects them',
    ),
  },
  'Left Behind': {
    'step 1': by('local/reconcile.test.ts', 'ends what cannot be running a job'),
    'step 2': PERSON,
    'step 3': by(
      'local/reconcile.test.ts',
      'finds each instance that is where it should not be, and nothing else',
    ),
    'step 4': by('local/reconcile.test.ts', 'the workflow finds the same, and repairs what it finds twice'),
  },
  'Launches Failing': { 'step 1': ELSEWHERE, 'step 2': PERSON, 'step 3': TYPES },
  'Image Build Failed': {
    'step 1': by('cli/image.test.ts', 'waits, and shows each state once'),
    'step 2': not('no emulator builds an image; test/userdata runs the install scripts'),
    'step 3': not('no emulator builds an image'),
    'step 4': not('no emulator builds an image'),
  },
  'Image Rolled Back': {
    'step 1': by('cli/image.test.ts', 'waits, and shows each state once'),
    'step 2': by('cli/image.test.ts', 'gives one fleet an image, and keeps it from being deleted'),
    'step 3': not('it only says when the next build is'),
  },
  'Executions Failed': { 'step 1': ELSEWHERE, 'step 2': DRIFT, 'step 3': WAITS },
  'Executions Timed Out': { 'step 1': WAITS, 'step 2': DEFECT },
  'Executions Throttled': { 'step 1': PERSON, 'step 2': QUOTA, 'step 3': ELSEWHERE },
  'Delivery Failing': {
    'about throttling': ELSEWHERE,
    'about denied access, or a state machine that does not exist': DRIFT,
    other: WAITS,
  },
  'Reconcile Failed': {
    '`LeftoversUnread` with `AccessDenied` or `UnauthorizedOperation`': DRIFT,
    '`LeftoversUnread` with throttling, or `States.Timeout`': WAITS,
    '`GroupNotFound`, `Settings*`': ELSEWHERE,
  },
};

/** The commands that messages name as what to do, and where each is run after what it repairs. */
export const COMMANDS: Record<string, Tried> = {
  'npm run image': by('cli/image.test.ts', 'gives one fleet an image, and keeps it from being deleted'),
  'npm run secrets': by(REMEDIES, 'repairs $error: $case'),
  'npm run resume': by(REMEDIES, 'npm run resume lets a paused fleet launch for the jobs that wait'),
  'npm run drain': by('cli/pause.test.ts', 'write the tag that the workflow reads, and delete it'),
  'npm run pause': by('local/deployed.test.ts', 'holds its capacity while a person has paused it'),
  'npm run execute': by('local/deployed.test.ts', 'shows the steps and the decision of an execution'),
  'npm run explain': by(
    'local/operator.test.ts',
    'say that nothing is decided, and what the fleet waits for',
  ),
  'npm run status': by('local/operator.test.ts', 'say what was decided, and what the group did'),
  'npm run doctor': by(REMEDIES, 'a disabled schedule is found by npm run doctor, and enabled'),
  'npm run reconcile': by('local/reconcile.test.ts', 'ends what cannot be running a job'),
  'npm run recycle': by('cli/recycle.test.ts', 'marks all instances with --all'),
  'npm run zones': by('cli/zones.test.ts', 'names the zones that offer none of the types, and what to set'),
  'npm run pin': by('cli/pin.test.ts', 'writes the version and checksums of the current release'),
  'npm run init': by('local/init.test.ts', 'looks up its default VPC, its zones and its quota'),
  'npm run schedules': by('cli/schedules.test.ts', 'shows changes across daylight-saving time'),
  'npm run simulate': by('cli/simulate.test.ts', 'shows a row for each policy, in 80 columns'),
  'npm run trace': by('cli/trace.test.ts', 'writes a trace of the jobs that ran, and nothing private'),
  'npm run local': by('local/watch.test.ts', 'npm run local prints each decision when it is made'),
  'npm run benchmark': not('it writes a page of this repository'),
  'npm run generate': not('it writes files of this repository'),
  'npx cdk deploy': by(
    REMEDIES,
    'a saturated fleet launches more after a deployment with a larger maxReplicas',
  ),
  'npx cdk deploy --revert-drift': DRIFT,
  'npx cdk destroy': by(
    'local/calls.test.ts',
    'lets protected instances go when the deletion of the stack is asked for again, by another request',
  ),
  'npx cdk bootstrap': by('local/deployed.test.ts', 'has the outputs that its people look for'),
};
