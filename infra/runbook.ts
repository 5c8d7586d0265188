import { existsSync, readFileSync } from 'node:fs';
import type { Construct } from 'constructs';

/** The runbook in a checkout of this repository. */
const IN_CHECKOUT = 'docs/operations.md';

/** An address without a fragment, which the headings are. */
const ADDRESS = /^https:\/\/[^\s#"'<>\\]{1,300}$/;

/** How hosts of repositories show a file of the default branch. Of others it is not known, and a guess would be a dead link. */
const FILE_PAGES: Record<string, string> = { 'github.com': '/blob/HEAD/', 'gitlab.com': '/-/blob/HEAD/' };

/**
 * The address of the runbook in a repository, as `package.json` names it.
 *
 * @param repository The property `repository` of `package.json`: an address, an object with one, or `github:OWNER/NAME`.
 * @returns `undefined` if none is named, or if its host shows files in an unknown way.
 */
export function runbookIn(repository: unknown): string | undefined {
  const named: unknown = Object(repository).url ?? repository;
  if (typeof named !== 'string') return undefined;
  const address = named
    .replace(/^(github:)?(?=[\w.-]+\/[\w.-]+$)/, 'https://github.com/')
    .replace(/^git\+/, '')
    .replace(/(\.git)?\/?$/, '');
  if (!ADDRESS.test(address)) return undefined;
  const pages = FILE_PAGES[new URL(address).host];
  return pages === undefined ? undefined : `${address}${pages}${IN_CHECKOUT}`;
}

/** `package.json` of this project: beside this folder in the repository, above `dist/` in the package. */
const PACKAGE = ['../package.json', '../../package.json']
  .map((path) => new URL(path, import.meta.url))
  .find((file) => existsSync(file));

const OF_REPOSITORY =
  PACKAGE === undefined ? undefined : runbookIn(JSON.parse(readFileSync(PACKAGE, 'utf8')).repository);

/**
 * Where people without a checkout read the runbook: the context `runbookUrl` of the app, in `cdk.json` or by `-c`, or else the
 * repository that `package.json` names. It is no setting of `fleets.yaml`, because whoever is woken by an alarm trusts the
 * link.
 */
const runbookUrl = (scope: Construct): string | undefined =>
  scope.node.tryGetContext('runbookUrl') ?? OF_REPOSITORY;

/** What is wrong with the context `runbookUrl`; `undefined` if nothing is. */
export function faultOfRunbookUrl(scope: Construct): string | undefined {
  const url: unknown = runbookUrl(scope);
  if (url === undefined || (typeof url === 'string' && ADDRESS.test(url))) return undefined;
  return `-c runbookUrl must be the https address of docs/operations.md as your people read it, without #, got ${JSON.stringify(url)}`;
}

/** Says where the runbook has this heading. */
export function runbookReference(scope: Construct, heading: string): string {
  const url = runbookUrl(scope);
  return url === undefined
    ? `See ${IN_CHECKOUT}, "${heading}".`
    : `See ${url}#${heading.toLowerCase().replaceAll(' ', '-')}`;
}

/** Says in Markdown where the runbook is. */
export function runbookLink(scope: Construct): string {
  const url = runbookUrl(scope);
  return `Each alarm has a section in ${url === undefined ? `\`${IN_CHECKOUT}\`` : `[the runbook](${url})`}.`;
}

/** A text that names the runbook, with its address. */
export const withRunbook = (scope: Construct, text: string): string =>
  text.replaceAll(IN_CHECKOUT, runbookUrl(scope) ?? IN_CHECKOUT);
