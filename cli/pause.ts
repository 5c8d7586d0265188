import { Command } from 'commander';
import { type CliCommand, nameAndMessage } from './command-line/run.ts';
import { pausingCommand } from './deployed/pausing.ts';

export const pause: CliCommand = {
  define: ({ terminal }) =>
    pausingCommand(
      new Command('npm run pause --').description(
        'Pauses fleets. Their capacity stays as it is, even if jobs wait, until you resume them. Instances leave after their job, or with reuse when they are idle. No deployment is needed; the next poll applies it.',
      ),
      { value: 'true', done: 'is paused. Its capacity is held' },
      terminal,
    ),
  describeError: nameAndMessage,
  aws: 'stack',
};
