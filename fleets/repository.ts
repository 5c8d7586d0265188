import { existsSync, readFileSync } from 'node:fs';

/** An address without a fragment, which the headings are. */
export const ADDRESS = /^https:\/\/[^\s#"'<>\\]{1,300}$/;

/** How hosts of repositories show a file of the default branch. Of others it is not known, and a guess would be a dead link. */
const FILE_PAGES: Record<string, string> = { 'github.com': '/blob/HEAD/', 'gitlab.com': '/-/blob/HEAD/' };

/** What npm takes for an address: https://docs.npmjs.com/cli/configuring-npm/package-json#repository */
const SHORT = /^(?:(github|gitlab):)?(?!\.)([\w.-]+(?:\/[\w.-]+)+)$/;
/** An address of Git by SSH, with a user, in both forms. */
const BY_SSH = /^(?:ssh:\/\/[\w.-]+@([\w.-]+)(?::\d+)?\/|[\w.-]+@([\w.-]+):)(.+)$/;

/**
 * The address at which people read a repository: by HTTPS, without user and password, and without a slash at its end.
 *
 * @param repository The property `repository` of `package.json`: an address for people or for Git, an object with one,
 *   `OWNER/NAME`, `github:OWNER/NAME` or `gitlab:GROUP/NAME`.
 * @returns `undefined` if none is named.
 */
export function repositoryAddress(repository: unknown): string | undefined {
  const named: unknown = Object(repository).url ?? repository;
  if (typeof named !== 'string') return undefined;
  const address = named
    // A branch, tag or commit.
    .replace(/#[^#]*$/, '')
    .replace(SHORT, (_, host = 'github', path) => `https://${host}.com/${path}`)
    .replace(/^git\+|^git(?=:\/\/)/, (found) => (found === 'git' ? 'https' : ''))
    .replace(BY_SSH, (_, host, otherHost, path) => `https://${host ?? otherHost}/${path}`);
  if (!ADDRESS.test(address) || !URL.canParse(address)) return undefined;
  const { host, pathname } = new URL(address);
  return `https://${host}${ofRepository(host, pathname).replace(/(\.git)?\/*$/, '')}`;
}

/** The part of a path that is of the repository, and not of one of its pages, such as `/tree/main`. */
function ofRepository(host: string, path: string): string {
  if (host === 'github.com') return path.split('/').slice(0, 3).join('/');
  return path.replace(/\/-\/.*$/, '');
}

/**
 * The address of a file in a repository, as `package.json` names it.
 *
 * @param repository As for `repositoryAddress`.
 * @returns `undefined` if none is named, or if its host shows files in an unknown way.
 */
export function fileIn(repository: unknown, file: string): string | undefined {
  const address = repositoryAddress(repository);
  const pages = address && FILE_PAGES[new URL(address).host];
  if (!pages || !/^\/[^/]+\/[^/]/.test(new URL(address).pathname)) return undefined;
  // The folder of the package in its repository.
  const { directory } = Object(repository);
  const folders =
    typeof directory === 'string' ? directory.split('/').filter((each) => !/^\.?$/.test(each)) : [];
  if (folders.includes('..')) return undefined;
  return `${address}${pages}${[...folders.map(encodeURIComponent), file].join('/')}`;
}

/** `package.json` of this project: beside this folder in the repository, above `dist/` in the package. */
const PACKAGE = ['../package.json', '../../package.json']
  .map((path) => new URL(path, import.meta.url))
  .find((file) => existsSync(file));

/** The address of a file in the repository of this project; `undefined` if `package.json` names none. */
export const fileInRepository = (file: string): string | undefined =>
  PACKAGE === undefined ? undefined : fileIn(JSON.parse(readFileSync(PACKAGE, 'utf8')).repository, file);
