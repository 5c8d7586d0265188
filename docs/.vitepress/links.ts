import { statSync } from 'node:fs';
import { posix } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** Where a link or an image of a document leads on the site. */
export type Target =
  | { kind: 'site' | 'elsewhere'; href: string }
  /** A file that is not part of the site, and nobody has said where the repository is. */
  | { kind: 'unreachable'; path: string };

/**
 * Finds where a link of a document leads on the site. In the repository, documents link to each other and to files by
 * paths. On the site, only the folder docs/ is there.
 *
 * @param file The document, by its path in docs/.
 * @param repository The address of the repository, without a slash at its end.
 */
export function targetOf(href: string, file: string, repository: string | undefined): Target {
  if (/^[a-z]+:|^#/.test(href)) return { kind: 'elsewhere', href };
  // The first page is the beginning of README.md.
  const folder = file === 'index.md' ? '.' : posix.join('docs', posix.dirname(file));
  const [path = '', anchor] = href.split('#');
  const full = posix.join(folder, path).replace(/\/$/, '');
  const hash = anchor === undefined ? '' : `#${anchor}`;
  if (full === 'README.md') return { kind: 'site', href: '/' };
  if (full === 'docs/decisions') return { kind: 'site', href: '/decisions/' };
  if (full.startsWith('docs/')) return { kind: 'site', href: `/${full.slice('docs/'.length)}${hash}` };
  if (repository === undefined) return { kind: 'unreachable', path: full };
  const kind = statSync(posix.join(ROOT, full)).isDirectory() ? 'tree' : 'blob';
  return { kind: 'elsewhere', href: `${repository}/${kind}/main/${full}${hash}` };
}

/** The anchor of a heading, as Git hosts make it, so that a link works in both places. */
export const anchorOf = (heading: string): string =>
  heading
    .trim()
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}_ -]/gu, '')
    .replaceAll(' ', '-');
