import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

/** What a project that has installed the package needs beside `fleets.yaml`, so that `npx cdk` finds an app. */

/** The compiled app of the package. In the repository there is none: its `cdk.json` says how to run the source. */
const APP = fileURLToPath(new URL('../../infra/app.js', import.meta.url));

/** The `cdk.json` of the repository, with the feature flags that the CDK recommends. The package has a copy. */
const CDK_JSON = fileURLToPath(new URL('../../cdk.json', import.meta.url));

/** The major version of the CDK's command line that reads what this project synthesises. */
const CDK = 'aws-cdk@2';

/**
 * The text of `cdk.json` for a folder in which the package is installed.
 *
 * @param app Path of the app that the package has.
 * @returns `undefined` if the folder has a `cdk.json`, or if this is the repository.
 */
export function cdkJson(folder = process.cwd(), app = APP): string | undefined {
  if (!existsSync(app) || existsSync(join(folder, 'cdk.json'))) return undefined;
  const { context } = JSON.parse(readFileSync(CDK_JSON, 'utf8'));
  const path = relative(folder, app).replaceAll('\\', '/');
  return `${JSON.stringify({ app: `node ${path}`, context }, undefined, 2)}\n`;
}

/** What to say if `cdk.json` names another app than that of this project; `undefined` otherwise. */
export function otherApp(folder = process.cwd()): string | undefined {
  try {
    const { app } = JSON.parse(readFileSync(join(folder, 'cdk.json'), 'utf8'));
    if (typeof app !== 'string' || /\binfra\/app\.[jt]s\b/.test(app)) return undefined;
    return `cdk.json names an app of yours (${app}). Add the fleets to it: docs/library.md says how.`;
  } catch {
    return undefined;
  }
}

/** The command that installs the CDK's command line; nothing if it is installed. */
export function cdkInstallation(folder = process.cwd()): string[] {
  try {
    createRequire(join(folder, 'package.json')).resolve('aws-cdk/package.json');
    return [];
  } catch {
    return [`npm install --save-dev ${CDK}`];
  }
}
