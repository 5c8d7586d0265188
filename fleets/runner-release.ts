import * as z from 'zod';
import { type FleetConfig, FleetsInvalid } from './load.ts';
import { RunnerRelease, Sha256 } from './settings/runner.ts';
import { readSettingsText } from './settings-text.ts';

/** The file with the release of machine runner 3 that boots install by default. `npm run pin` writes it. */
export const RELEASE_FILE = 'runner-release.json';

/** Such a file: checksums for both architectures, because fleets can have either. */
const PinnedRelease = z.strictObject({
  version: RunnerRelease.shape.version,
  sha256: z.strictObject({ amd64: Sha256, arm64: Sha256 }),
});

/**
 * Reads the pinned release.
 *
 * @throws FleetsInvalid if there is none, or if it is not what `npm run pin` writes.
 */
export function readRelease(file: string): z.infer<typeof PinnedRelease> {
  let text: string;
  try {
    text = readSettingsText(file);
  } catch {
    throw new FleetsInvalid(
      `No release of CircleCI's runner is pinned: ${file} does not exist. Run npm run pin, which writes the current release's version and checksums, and commit the file. Or set runner: current in the settings of the fleet, and each boot installs what CircleCI has published by then.`,
    );
  }
  try {
    return PinnedRelease.parse(JSON.parse(text));
  } catch {
    throw new FleetsInvalid(
      `${file} must have the version and the SHA-256 of both archives, as npm run pin writes them. Run it again: npm run pin`,
    );
  }
}

/**
 * Gives the pinned release to the fleets that set none.
 *
 * @throws FleetsInvalid if such a fleet exists and no release is pinned.
 */
export function withRelease(fleets: FleetConfig[], file: string): FleetConfig[] {
  if (fleets.every(({ runner }) => runner !== undefined)) return fleets;
  const defaultRunner = readRelease(file);
  return fleets.map((fleet) => (fleet.runner === undefined ? { ...fleet, defaultRunner } : fleet));
}
