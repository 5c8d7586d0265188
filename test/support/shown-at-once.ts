import { runProcess } from '../../cli/commands.ts';
import { Terminal } from '../../cli/terminal/terminal.ts';

/** Starts a command as `npm run` does, but its progress is shown from the beginning, not after two seconds. */
await runProcess(process.argv.slice(2), new Terminal(process, { shownAfter: 0 }));
