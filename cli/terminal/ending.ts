/** The signals by which people and machines end a command: a closed terminal, Ctrl-C, Ctrl-\, `kill`. */
const SIGNALS = ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM'] as const;

/** What is done before the process ends, however it ends. */
const tidying = new Set<() => void>();

/** Work that puts away what it holds before the process ends. */
let endable: AbortController | undefined;

/** The exit code with which the process was asked to end. */
let endsWith: number | undefined;

let isListening = false;

/**
 * Has something done before the process ends: by itself, by an error that nothing catches, or by a signal.
 *
 * Node.js handles a signal between two turns of its event loop. As long as something is to be done, long work
 * must therefore give way now and then; without it, a signal ends the process at once.
 *
 * @returns What cancels it.
 */
export function beforeEnd(tidy: () => void): () => void {
  tidying.add(tidy);
  listen();
  return () => {
    tidying.delete(tidy);
    listen();
  };
}

/**
 * Runs work that a signal aborts, so that it can put away what it holds. A second signal ends the process at once.
 *
 * @param work It should end soon after the signal is aborted, with a result or an error.
 */
export async function untilEnded<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  endable = controller;
  listen();
  try {
    return await work(controller.signal);
  } finally {
    endable = undefined;
    listen();
  }
}

/** The exit code with which a signal has asked the process to end, if one has: 128 and the signal's number. */
export const endingCode = (): number | undefined => endsWith;

/** Ends the process with an exit code, after work that puts away what it holds has done so. */
export function end(code: number): void {
  for (const tidy of tidying) tidy();
  if (endable === undefined || endable.signal.aborted) process.exit(code);
  endsWith = code;
  endable.abort();
}

function endBySignal(_: NodeJS.Signals, number: number): void {
  end(128 + number);
}

function tidyUp(): void {
  for (const tidy of tidying) tidy();
}

/** Handles signals while there is something to do, and only then. */
function listen(): void {
  const needed = tidying.size > 0 || endable !== undefined;
  if (needed === isListening) return;
  isListening = needed;
  for (const signal of SIGNALS) {
    if (needed) process.on(signal, endBySignal);
    else process.off(signal, endBySignal);
  }
  if (needed) process.on('exit', tidyUp);
  else process.off('exit', tidyUp);
}
