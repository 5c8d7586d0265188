import * as z from 'zod';
import type { Architecture } from './instance.ts';
import { text } from './parts.ts';

/** The SHA-256 of an archive. */
export const Sha256 = text('the SHA-256 of the archive for Linux, 64 hexadecimal digits', /^[0-9a-f]{64}$/);

const Both = z
  .strictObject({ amd64: Sha256.optional(), arm64: Sha256.optional() })
  .refine(({ amd64, arm64 }) => amd64 !== undefined || arm64 !== undefined, {
    error: 'must have the SHA-256 for amd64, for arm64, or for both',
  });

/** A release of machine runner 3, and the SHA-256 of its archives. */
export const RunnerRelease = z.strictObject(
  {
    version: text(
      'a version of machine runner 3, such as 3.1.13',
      // It becomes part of a URL.
      /^(?!.*\.\.)(?!current$)[0-9A-Za-z][0-9A-Za-z.+-]{0,31}$/,
    ).describe('Version of the release.'),
    sha256: z
      .union([Sha256, Both], {
        error: 'must be the SHA-256 of the archive for Linux, 64 hexadecimal digits',
      })
      .describe(
        "SHA-256 of the release's archive for Linux and the fleet's architecture, or of both: `{ amd64: ..., arm64: ... }`.",
      ),
  },
  { error: 'must be the version and sha256 of a release of machine runner 3, or current' },
);
export type RunnerRelease = z.infer<typeof RunnerRelease>;

/** The SHA-256 of a release's archive for an architecture, if the release has it. */
export const sha256For = ({ sha256 }: RunnerRelease, architecture: Architecture): string | undefined =>
  typeof sha256 === 'string' ? sha256 : sha256[architecture === 'arm64' ? 'arm64' : 'amd64'];

/** The setting `runner`. */
export const Runner = z.union([z.literal('current'), RunnerRelease], {
  error: 'must be the version and sha256 of a release of machine runner 3, or current',
});
