import { readFileSync } from 'node:fs';
import { repositoryAddress } from '../../fleets/repository.ts';

/**
 * Where readers of the site find the files that are not part of it: `REPOSITORY_URL`, or the `repository` of package.json.
 * Without either, links to such files become plain text.
 */
export function repositoryUrl(env: Partial<Record<string, string>> = process.env): string | undefined {
  const { repository } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  return repositoryAddress(env.REPOSITORY_URL || repository);
}
