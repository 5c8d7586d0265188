import type { Construct } from 'constructs';
import { ADDRESS, fileInRepository } from '../fleets/repository.ts';

/** The runbook in a checkout of this repository. */
const IN_CHECKOUT = 'docs/operations.md';

const OF_REPOSITORY = fileInRepository(IN_CHECKOUT);

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
