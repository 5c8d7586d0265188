import { Command } from 'commander';
import { type CliCommand, nameAndMessage } from './command-line/run.ts';
import { pausingCommand } from './deployed/pausing.ts';

export const resume: CliCommand = {
  define: ({ terminal }) =>
    pausingCommand(
      new Command('npm run resume --').description(
        'Resumes paused or drained fleets. They follow their queues again from the next poll.',
      ),
      { value: undefined, done: 'follows its queue again' },
      terminal,
    ),
  describeError: nameAndMessage,
  aws: 'stack',
};
