import { isAbsolute, relative } from 'node:path';
import type { Construct, IConstruct } from 'constructs';
import { type AdvisedApp, DEFAULT_FLEETS_FILE, UNKNOWN_FILE } from '../functions/lib/advice.ts';

/** The files that apps name as `fleetsFile`, by the root of their constructs and their names. */
const FILES = new WeakMap<IConstruct, Map<string, string>>();

/** Remembers the file of an app, for the advice of its constructs. Call this before they are made. */
export function rememberFleetsFile(scope: Construct, app: string, file: string): void {
  const { root } = scope.node;
  FILES.set(root, (FILES.get(root) ?? new Map<string, string>()).set(app, file));
}

/** The app that the advice of a construct is about, with the file that the app or the context names. */
export function advisedApp(scope: Construct, app: string): AdvisedApp {
  const file: unknown = FILES.get(scope.node.root)?.get(app) ?? scope.node.tryGetContext('fleets');
  return { app, fleetsFile: typeof file === 'string' ? fromHere(file) : DEFAULT_FLEETS_FILE };
}

/** A path that is the same on all machines: templates have it. */
function fromHere(file: string): string {
  const path = isAbsolute(file) ? relative(process.cwd(), file) : file;
  return path.startsWith('..') || isAbsolute(path) ? UNKNOWN_FILE : path;
}

/** The environment of a function by which `ownApp` knows the same. */
export function advisedEnvironment(scope: Construct, app: string): Record<string, string> {
  const { fleetsFile = DEFAULT_FLEETS_FILE } = advisedApp(scope, app);
  return { STACK_NAME: app, ...(fleetsFile !== DEFAULT_FLEETS_FILE && { FLEETS_FILE: fleetsFile }) };
}
