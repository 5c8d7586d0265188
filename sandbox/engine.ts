import { compileFunction } from 'node:vm';
import type * as Engine from 'aws-local-stepfunctions';
import { EVENTS } from './engine-events.ts';
import { FILE, readSource, required } from './engine-source.ts';

/** What the engine uses in place of the globals of these names. */
export interface EngineGlobals<Timer> {
  setTimeout: (callback: () => void, milliseconds: number) => Timer;
  clearTimeout: (timer: Timer | undefined) => void;
  /** Milliseconds since the epoch. */
  now: () => number;
  /** At least 0 and less than 1. */
  random: () => number;
}

/** With these the engine invokes Lambda functions and validates definitions. The sandbox uses neither. */
const UNUSED = ['@aws-sdk/client-lambda', '@aws-sdk/credential-providers', 'asl-validator'];

const MODULE = ['exports', 'require', 'module'];

type Load = (
  exports: object,
  require: (name: string) => unknown,
  module: { exports: object },
  ...globals: unknown[]
) => void;

let load: Load | undefined;

/**
 * Loads the interpreter of the Amazon States Language with a clock, timers and random numbers of its own. The
 * interpreter has no option for them: it uses the globals `Date`, `setTimeout`, `clearTimeout` and `Math`. Node.js
 * wraps each CommonJS module in a function with the parameters `exports`, `require` and `module`. This wrapper has
 * more parameters, which hide the globals of the same names from this one module. Nothing global is replaced, and
 * each sandbox has its own engine. Its events and signals are the ones of `engine-events.ts`.
 */
export function loadEngine<Timer>(globals: EngineGlobals<Timer>): typeof Engine {
  const { setTimeout, clearTimeout, now, random } = globals;
  load ??= compileFunction(
    readSource(),
    [...MODULE, ...Object.keys(EVENTS), 'setTimeout', 'clearTimeout', 'Date', 'Math', 'Promise'],
    { filename: FILE },
  ) as Load;
  class EngineDate extends Date {
    constructor(...given: [] | [string]) {
      super(given.length === 0 ? now() : given[0]);
    }
    static override now = now;
  }
  const EngineMath = Object.create(Math, { random: { value: random } });
  const module = { exports: {} };
  load(
    module.exports,
    requireForEngine,
    module,
    ...Object.values(EVENTS),
    setTimeout,
    clearTimeout,
    EngineDate,
    EngineMath,
    EnginePromise,
  );
  return module.exports as typeof Engine;
}

function requireForEngine(name: string): unknown {
  if (UNUSED.includes(name)) return {};
  const exports = required(name);
  return name === 'jsonpath-plus' ? { JSONPath: query(exports.JSONPath) } : exports;
}

interface Query {
  path: string;
  json: unknown;
  wrap: false;
}

/**
 * Evaluates paths as jsonpath-plus does, in less time. Most paths only name keys and indices, such as
 * `$.poll.dueAt` and `$[0]`. Without `new`, jsonpath-plus throws and catches an error for each value that is no object.
 */
export function query(JSONPath: new (options: object) => { evaluate: () => unknown }) {
  const keysOfPaths = new Map<string, string[] | undefined>();
  return (options: Query): unknown => {
    const { path, json } = options;
    if (!keysOfPaths.has(path)) keysOfPaths.set(path, keysOf(path));
    const keys = keysOfPaths.get(path);
    return keys ? valueAt(json, keys) : new JSONPath({ ...options, autostart: false }).evaluate();
  };
}

/** The keys and indices that a path names, or `undefined` if it has anything else. */
function keysOf(path: string): string[] | undefined {
  if (!/^\$(\.[A-Za-z]\w*|\[\d+\])*$/.test(path)) return undefined;
  return path.match(/\w+/g) ?? [];
}

function valueAt(json: unknown, keys: string[]): unknown {
  let value = json;
  for (const key of keys) {
    if (!value || !Object.hasOwn(value, key)) return undefined;
    value = (value as Record<string, unknown>)[key];
  }
  // jsonpath-plus finds nothing in a document that is `null`, 0, `false` or an empty text.
  return json ? value : undefined;
}

/** The engine is written for Node.js 22. `withResolvers` is all that Node.js 20 lacks. */
const EnginePromise =
  'withResolvers' in Promise
    ? Promise
    : Object.assign(
        function promise(executor: ConstructorParameters<typeof Promise>[0]) {
          return new Promise(executor);
        },
        {
          all: (values: unknown[]) => Promise.all(values),
          race: (values: unknown[]) => Promise.race(values),
          resolve: (value: unknown) => Promise.resolve(value),
          reject: (reason: unknown) => Promise.reject(reason),
          withResolvers() {
            const settle: { resolve?: unknown; reject?: unknown } = {};
            const promise = new Promise((resolve, reject) => Object.assign(settle, { resolve, reject }));
            return { promise, ...settle };
          },
        },
      );
