import { AsyncLocalStorage } from 'node:async_hooks';
import { HANDLERS } from './workflow.ts';

/** The clock of the machines on which the functions run; by itself it agrees with the workflow's. */
export class FunctionsClock {
  /** By how many seconds it is ahead of the workflow's; below 0, behind. */
  ahead = 0;
  readonly #inFunction = new AsyncLocalStorage<true>();

  /** The real functions, each of which sees this clock. */
  readonly handlers: typeof HANDLERS = Object.fromEntries(
    Object.entries(HANDLERS).map(([state, handler]) => [
      state,
      (input: unknown) =>
        this.ahead === 0 ? handler(input) : this.#inFunction.run(true, () => handler(input)),
    ]),
  );

  /**
   * Shows it to the functions.
   *
   * @returns What ends that.
   */
  install(): () => void {
    const workflows = globalThis.Date;
    const now = () => workflows.now() + (this.#inFunction.getStore() ? this.ahead * 1_000 : 0);
    globalThis.Date = new Proxy(workflows, {
      construct: (target, given) => Reflect.construct(target, given.length === 0 ? [now()] : given),
      get: (target, key) => (key === 'now' ? now : Reflect.get(target, key)),
    });
    return () => {
      globalThis.Date = workflows;
    };
  }
}
