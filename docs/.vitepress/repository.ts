import { readFileSync } from 'node:fs';
import * as z from 'zod';

const Package = z.object({
  repository: z.union([z.string(), z.object({ url: z.string() }).transform(({ url }) => url)]).optional(),
});

/**
 * Where readers of the site find the files that are not part of it: `REPOSITORY_URL`, or the `repository` of package.json.
 * Without either, links to such files become plain text.
 */
export function repositoryUrl(env: Partial<Record<string, string>> = process.env): string | undefined {
  const { repository } = Package.parse(
    JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')),
  );
  const url = env.REPOSITORY_URL || repository;
  return url
    ?.replace(/^git\+/, '')
    .replace(/\.git$/, '')
    .replace(/\/$/, '');
}
