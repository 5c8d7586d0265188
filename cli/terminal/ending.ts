/** The signals that end a command: from a closed terminal, Ctrl-C, Ctrl-\ and `kill`. */
const SIGNALS = ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM'] as const;

/** Functions to call before the process ends, for any reason. */
const tidying = new Set<() => void>();

/** Work that cleans up before the process ends. */
let endable: AbortController | undefined;

/** The exit code that a signal has set. */
let endsWith: number | undefined;

let isListening = false;

/**
 * Calls a function before the process ends: by itself, by an uncaught error, or by a signal.
 *
 * Node.js handles a signal between two turns of its event loop. So while such a function is registered, long work must
 * yield to the event loop now and then. Without such a function, a signal ends the process at once.
 *
 * @returns A function that cancels this.
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
 * Runs work that a signal aborts, so that the work can clean up. A second signal ends the process at once.
 *
 * @param work It should end soon after its AbortSignal is aborted, with a result or an error.
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

/** Resolves when a signal is aborted, for work that nothing else interrupts. */
export const untilAborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });

/** The exit code that a signal has set, if there was a signal: 128 plus its number. */
export const endingCode = (): number | undefined => endsWith;

/** Ends the process with an exit code, after the running work has cleaned up. */
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

/** Handles signals only while something must be done before the end. */
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
