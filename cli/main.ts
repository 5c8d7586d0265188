import { runProcess } from './commands.ts';
import { Terminal } from './terminal/terminal.ts';

await runProcess(process.argv.slice(2), new Terminal(process));
