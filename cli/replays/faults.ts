import { parseDuration } from '../../fleets/duration.ts';
import { orSimilar } from '../../fleets/similar.ts';
import {
  type CountWindow,
  type Faults,
  type FaultWindow,
  NO_FAULTS,
  type ShareWindow,
} from '../../sandbox/group/faults.ts';
import { UsageError } from '../command-line/arguments.ts';

/** A fault as it is given, and how it is read into the faults of a replay. */
interface FaultOption {
  name: string;
  form: string;
  example: string;
  /** `undefined` if the value is not of that form. */
  read: (value: string, before: Faults) => Partial<Faults> | undefined;
}

/** `2h..2h30m`, counted from the trace's start. */
function window(text: string): FaultWindow | undefined {
  const [from, to, ...more] = text.split('..').map(parseDuration);
  if (from === undefined || to === undefined || more.length > 0 || to <= from) return undefined;
  return { from, to };
}

function share(text: string): number | undefined {
  const percent = /^(\d+(?:\.\d+)?)%$/.exec(text)?.[1];
  return percent === undefined || Number(percent) > 100 ? undefined : Number(percent) / 100;
}

function number(text: string, most: number): number | undefined {
  const value = Number(text);
  return /^\d+(\.\d+)?$/.test(text) && value <= most ? value : undefined;
}

const FOR_EVER: FaultWindow = { from: 0, to: Number.POSITIVE_INFINITY };

/** If almost every launch fails all the time, a replay does not end within reason. */
const MOST_FOR_EVER = 0.95;

const SHARE = `up to ${MOST_FOR_EVER * 100}%, or more with @ and a time from and to`;

/** `10%`, or `100%@1h..3h`. */
function shareWindow(value: string): ShareWindow | undefined {
  const [given = '', when, ...more] = value.split('@');
  const fails = share(given);
  const at = when === undefined ? FOR_EVER : window(when);
  if (fails === undefined || at === undefined || more.length > 0) return undefined;
  if (when === undefined && fails > MOST_FOR_EVER) return undefined;
  return { ...at, share: fails };
}

const COUNT = 'at least 1, or any number with @ and a time from and to';

/** `5`, or `0@1h..3h`. */
function countWindow(value: string): CountWindow | undefined {
  const [given = '', when, ...more] = value.split('@');
  const count = number(given, 10_000);
  const at = when === undefined ? FOR_EVER : window(when);
  if (count === undefined || !Number.isInteger(count) || at === undefined || more.length > 0)
    return undefined;
  if (when === undefined && count === 0) return undefined;
  return { ...at, count };
}

const WINDOW = 'a time from and to, counted from the start of the trace';

/** The faults that are lists which such a window can join. */
type Listed<Window> = {
  [Key in keyof Faults]: readonly Window[] extends Faults[Key] ? Key : never;
}[keyof Faults];

/** A fault that adds a window to a list each time it is given. */
const added = <Window extends FaultWindow>(
  key: Listed<Window>,
  read: (value: string) => Window | undefined,
  words: Omit<FaultOption, 'read'>,
): FaultOption => ({
  ...words,
  read: (value, before) => {
    const window = read(value);
    return window && { [key]: [...(before[key] as Window[]), window] };
  },
});

export const FAULT_OPTIONS: FaultOption[] = [
  added('outages', window, {
    name: 'outage',
    form: `${WINDOW}: no counts, and no webhooks`,
    example: 'outage=10h..10h30m',
  }),
  added('shortages', window, {
    name: 'shortage',
    form: `${WINDOW}: EC2 has no capacity`,
    example: 'shortage=10h..12h',
  }),
  added('spotShortages', window, {
    name: 'spot-shortage',
    form: `${WINDOW}: EC2 has no Spot capacity`,
    example: 'spot-shortage=10h..1d',
  }),
  added('spotRoleMissing', window, {
    name: 'no-spot-role',
    form: `${WINDOW}: the account lacks the service-linked role for Spot`,
    example: 'no-spot-role=10h..12h',
  }),
  added('zoneRefusals', shareWindow, {
    name: 'zone-refusals',
    form: `a share of the launches that are tried first in a zone without the type, ${SHARE}`,
    example: 'zone-refusals=17%',
  }),
  added('typeMissing', window, {
    name: 'no-type',
    form: `${WINDOW}: no zone of the group has the instance type`,
    example: 'no-type=10h..11h',
  }),
  added('addressShortages', window, {
    name: 'no-addresses',
    form: `${WINDOW}: the subnets have no free address`,
    example: 'no-addresses=10h..11h',
  }),
  added('throttled', window, {
    name: 'throttled',
    form: `${WINDOW}: EC2 throttles the account`,
    example: 'throttled=10h..11h',
  }),
  added('keyFailures', window, {
    name: 'volume-key',
    form: `${WINDOW}: EC2 Auto Scaling may not use the key of the volumes`,
    example: 'volume-key=10h..11h',
  }),
  added('bootFailures', shareWindow, {
    name: 'boot-failures',
    form: `a share of the boots, ${SHARE}`,
    example: 'boot-failures=100%@10h..12h',
  }),
  added('deadInstances', shareWindow, {
    name: 'dead-instances',
    form: `a share of the instances that boot and are never heard of, ${SHARE}`,
    example: 'dead-instances=5%',
  }),
  added('lostInstances', shareWindow, {
    name: 'lost-instances',
    form: `a share of the instances that EC2 takes back while they boot, ${SHARE}`,
    example: 'lost-instances=5%',
  }),
  added('deafRunners', shareWindow, {
    name: 'deaf-runners',
    form: `a share of the runners that take no job, because their token is of another resource class, ${SHARE}`,
    example: 'deaf-runners=5%',
  }),
  added<CountWindow>('taskLimits', (value) => countWindow(`0@${value}`), {
    name: 'claims-refused',
    form: `${WINDOW}: CircleCI hands out no job`,
    example: 'claims-refused=10h..12h',
  }),
  added('taskLimits', countWindow, {
    name: 'task-limit',
    form: `how many jobs CircleCI lets run at the same time, ${COUNT}`,
    example: 'task-limit=5@10h..12h',
  }),
  added('zeroCounts', window, {
    name: 'zero-counts',
    form: `${WINDOW}: CircleCI counts 0, as it may for a wrong class`,
    example: 'zero-counts=10h..11h',
  }),
  added('phantomTasks', countWindow, {
    name: 'phantom-tasks',
    form: `how many jobs CircleCI counts as running that no runner runs, until the last job is queued; ${COUNT}`,
    example: 'phantom-tasks=4@10h..12h',
  }),
  added('runningLags', countWindow, {
    name: 'running-lags',
    form: `for how many seconds at most CircleCI counts a job as running that has ended, ${COUNT}`,
    example: 'running-lags=10',
  }),
  added('maximumSizes', countWindow, {
    name: 'maximum-size',
    form: `the maximum size of the group, as somebody has set it, ${COUNT}`,
    example: 'maximum-size=10@10h..12h',
  }),
  {
    name: 'spot-interruptions',
    form: 'how often EC2 takes back a Spot instance, in times an instance-hour, up to 60',
    example: 'spot-interruptions=0.05',
    read: (value) => {
      const spotInterruptions = number(value, 60);
      return spotInterruptions === undefined ? undefined : { spotInterruptions };
    },
  },
  {
    name: 'read-gap',
    form: 'how long after each other the two counts are read, up to 60s',
    example: 'read-gap=2s',
    read: (value) => {
      const readGap = parseDuration(value);
      return readGap === undefined || readGap > 60 ? undefined : { readGap };
    },
  },
  {
    name: 'foreign-runners',
    form: 'how many runners of the class there are outside the group',
    example: 'foreign-runners=3',
    read: (value) => {
      const foreignRunners = number(value, 10_000);
      return Number.isInteger(foreignRunners) ? { foreignRunners: Number(foreignRunners) } : undefined;
    },
  },
];

/**
 * The faults of the command line, `name=value` each. A fault that is given twice happens twice.
 *
 * @throws UsageError
 */
export function chooseFaults(given: readonly string[], seed: number): Faults {
  const faults: Faults = { ...NO_FAULTS, seed };
  for (const text of given) {
    const [, name = '', value = ''] = /^([^=]+)=?(.*)$/s.exec(text) ?? [];
    const option = FAULT_OPTIONS.find((candidate) => candidate.name === name.trim());
    if (option === undefined) {
      const names = FAULT_OPTIONS.map((candidate) => candidate.name);
      throw new UsageError(
        `--fault must be one of ${names.join(', ')}, such as ${FAULT_OPTIONS[0]?.example}, got ${JSON.stringify(text)}${orSimilar(name.trim() || text, names)}`,
      );
    }
    const read = option.read(value.trim(), faults);
    if (read === undefined) {
      throw new UsageError(
        `--fault ${option.name} must be ${option.form}, such as ${option.example}, got ${JSON.stringify(text)}`,
      );
    }
    Object.assign(faults, read);
  }
  return faults;
}

/**
 * The faults without tasks that nobody runs after the last job is queued. A replay ends when the instances have left that
 * are not kept, and beside such tasks others would launch again and again.
 *
 * @param lastQueuedAt Seconds from the start of the trace.
 */
export const untilLastJob = (faults: Faults, lastQueuedAt: number): Faults => ({
  ...faults,
  phantomTasks: faults.phantomTasks
    .filter(({ from }) => from < lastQueuedAt)
    .map((when) => ({ ...when, to: Math.min(when.to, lastQueuedAt) })),
});

/** The faults, as the help shows them. */
export const faultRows = () => FAULT_OPTIONS.map(({ form, example }) => [example, form] as const);

/**
 * Says which faults begin only after the last job was queued, and so change little or nothing.
 *
 * @param lastQueuedAt Seconds from the start of the trace.
 */
export const describeLateFaults = (given: readonly string[], lastQueuedAt: number): string[] =>
  given
    .filter((text) => (window(text.split(/[=@]/).at(-1) ?? '')?.from ?? 0) > lastQueuedAt)
    .map(
      (text) =>
        `--fault ${text} begins after the last job is queued (${(lastQueuedAt / 3_600).toFixed(1)} h after the start), so it changes little or nothing.`,
    );
