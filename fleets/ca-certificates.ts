import { X509Certificate } from 'node:crypto';
import { readFileSync, realpathSync } from 'node:fs';
import { resolve } from 'node:path';
import type { SettingFault } from './faults.ts';
import { quote } from './faults.ts';
import { fileThatEnds, isInFolders } from './install-scripts.ts';
import { isMap } from './settings/parts.ts';

/** The public authorities of an operating system together have 220 KB. */
const MOST_BYTES = 256 * 1024;

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g;

/** Also one in a form that instances do not read, such as `BEGIN TRUSTED CERTIFICATE`. */
const BEGIN = /-----BEGIN [A-Z0-9 ]*CERTIFICATE-----/g;

/** A certificate that ends within this time is a warning. */
const SOON_MS = 30 * 86_400_000;

/** The files of certificates that a `fleets.yaml` names. */
export interface CaCertificates {
  /** That of `scaler.caCertificates`. */
  ofFunctions: string | undefined;
  /** That of `caCertificates` of each fleet that has one. */
  ofFleets: Map<string, string>;
  faults: SettingFault[];
}

/**
 * Finds the files of `scaler.caCertificates` and of `caCertificates` of each fleet, whatever else is wrong with the file.
 *
 * @param directory Folder of `fleets.yaml`.
 * @param now Milliseconds since the epoch.
 */
export function findCaCertificates(directory: string, raw: unknown, now: number): CaCertificates {
  const found: CaCertificates = { ofFunctions: undefined, ofFleets: new Map(), faults: [] };
  for (const [name, settings] of Object.entries(isMap(raw) ? raw : {})) {
    const given = isMap(settings) ? settings.caCertificates : undefined;
    if (typeof given !== 'string') continue;
    const { file, faults } = check(directory, [name, 'caCertificates'], given, now);
    found.faults.push(...faults);
    if (file === undefined) continue;
    if (name === 'scaler') found.ofFunctions = file;
    else found.ofFleets.set(name, file);
  }
  return found;
}

function check(
  directory: string,
  path: string[],
  given: string,
  now: number,
): { file: string | undefined; faults: SettingFault[] } {
  // Without anything of the file's text, because a file given by mistake may hold a secret.
  const refused = (wanted: string, seen: string) => ({
    file: undefined,
    faults: [
      {
        path,
        says: `${path.join('.')}: must be ${wanted}, got ${quote(given)} (${seen})`,
      },
    ],
  });
  try {
    const file = realpathSync(resolve(directory, given));
    if (!isInFolders(directory, file))
      return refused(
        'the path of a file in the folder of this file or of the app, or below',
        `it is ${file}`,
      );
    const { size } = fileThatEnds(file);
    if (size > MOST_BYTES)
      return refused(`a file of at most ${MOST_BYTES / 1024} KB`, `it has ${Math.ceil(size / 1024)}`);
    const text = readFileSync(file, 'utf8');
    if (/PRIVATE KEY-----/.test(text))
      return refused('a file of certificates alone', 'it has a private key, which must not be deployed');
    const certificates = certificatesIn(text);
    if (certificates === undefined)
      return refused(
        'a PEM file, with -----BEGIN CERTIFICATE----- before each certificate',
        'it has none, or one that cannot be read',
      );
    const expired = certificates.find((each) => Date.parse(each.validTo) <= now);
    if (expired !== undefined)
      return refused(
        'a file of certificates that are valid',
        `${nameOf(expired)} ended on ${dayOf(expired)}: replace it`,
      );
    return { file, faults: [] };
  } catch (error) {
    return refused('the path of a PEM file, relative to this file', (error as Error).message);
  }
}

/** Which certificates of a file end within 30 days, each with its name and its last day. */
export function endingSoon(file: string, now: number): string[] {
  return (certificatesIn(readFileSync(file, 'utf8')) ?? [])
    .filter(({ validTo }) => Date.parse(validTo) <= now + SOON_MS)
    .map((each) => `${nameOf(each)} on ${dayOf(each)}`);
}

function certificatesIn(text: string): X509Certificate[] | undefined {
  const found = text.match(CERTIFICATE) ?? [];
  const begun = text.match(BEGIN) ?? [];
  try {
    // What is left out here, nothing would trust.
    return found.length === 0 || found.length < begun.length
      ? undefined
      : found.map((each) => new X509Certificate(each));
  } catch {
    return undefined;
  }
}

const nameOf = ({ subject, serialNumber }: X509Certificate) =>
  /^CN=(.*)$/m.exec(subject)?.[1] ?? `the certificate with the serial number ${serialNumber}`;

const dayOf = ({ validTo }: X509Certificate) => new Date(validTo).toISOString().slice(0, 10);
