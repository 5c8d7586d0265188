import { existsSync, readFileSync } from 'node:fs';

/** An address without a fragment, which the headings are. */
export const ADDRESS = /^https:\/\/[^\s#"'<>\\]{1,300}$/;

/** How hosts of repositories show a file of the default branch. Of others it is not known, and a guess would be a dead link. */
const FILE_PAGES: Record<string, string> = { 'github.com': '/blob/HEAD/', 'gitlab.com': '/-/blob/HEAD/' };

/**
 * The address of a file in a repository, as `package.json` names it.
 *
 * @param repository The property `repository` of `package.json`: an address, an object with one, or `github:OWNER/NAME`.
 * @returns `undefined` if none is named, or if its host shows files in an unknown way.
 */
export function fileIn(repository: unknown, file: string): string | undefined {
  const named: unknown = Object(repository).url ?? repository;
  if (typeof named !== 'string') return undefined;
  const address = named
    .replace(/^(github:)?(?=[\w.-]+\/[\w.-]+$)/, 'https://github.com/')
    .replace(/^git\+/, '')
    .replace(/(\.git)?\/?$/, '');
  if (!ADDRESS.test(address)) return undefined;
  const pages = FILE_PAGES[new URL(address).host];
  return pages === undefined ? undefined : `${address}${pages}${file}`;
}

/** `package.json` of this project: beside this folder in the repository, above `dist/` in the package. */
const PACKAGE = ['../package.json', '../../package.json']
  .map((path) => new URL(path, import.meta.url))
  .find((file) => existsSync(file));

/** The address of a file in the repository of this project; `undefined` if `package.json` names none. */
export const fileInRepository = (file: string): string | undefined =>
  PACKAGE === undefined ? undefined : fileIn(JSON.parse(readFileSync(PACKAGE, 'utf8')).repository, file);
