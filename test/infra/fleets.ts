import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type FleetConfig, FleetsInvalid, loadFleets } from '../../infra/config.ts';

/** A fleet with nothing but what it must have, to which a test adds what it is about. */
export const MINIMAL = `
linux:
  resourceClass: acme/linux
  instanceTypes: [m7i.large]
  maxReplicas: 20
`;

/** The fleets of a `fleets.yaml` with this text, and with these files beside it. */
export function fleetsOf(text: string, beside: Record<string, string> = {}): FleetConfig[] {
  const directory = mkdtempSync(join(tmpdir(), 'fleets-'));
  try {
    for (const [name, content] of Object.entries({ 'fleets.yaml': text, ...beside })) {
      writeFileSync(join(directory, name), content);
    }
    return loadFleets(join(directory, 'fleets.yaml'));
  } catch (error) {
    if (error instanceof FleetsInvalid) error.message = error.message.replaceAll(`${directory}/`, '');
    throw error;
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** What is said of a `fleets.yaml` that cannot be used. */
export function complaintsAbout(text: string, beside: Record<string, string> = {}): string {
  try {
    fleetsOf(text, beside);
  } catch (error) {
    if (error instanceof FleetsInvalid) return error.message;
    throw error;
  }
  throw new Error(`Nothing is wrong with\n${text}`);
}
