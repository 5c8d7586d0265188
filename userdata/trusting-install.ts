import { readFileSync } from 'node:fs';

/**
 * An `install` script that first makes the machine trust authorities of your own, and then runs the fleet's script, if it has one.
 * Instances download it as any install script, so it takes no room in the user data.
 *
 * @param authorities Certificates as PEM.
 * @param install The text of the fleet's script, which may be in any language.
 */
export function trustingInstall(authorities: string, install: string | undefined): string {
  const certificates = authorities.match(CERTIFICATE) ?? [];
  const trust = readFileSync(new URL('trust.sh', import.meta.url), 'utf8').trimEnd();
  const trusting = [`${trust} <<'END'`, ...certificates, 'END', ''];
  if (install === undefined) return trusting.join('\n');
  return [
    ...trusting,
    // Beside this script, because /tmp may forbid to run programs.
    'script=$(mktemp -p "$(dirname "$0")")',
    'base64 -d >"$script" <<\'END\'',
    ...(Buffer.from(install)
      .toString('base64')
      .match(/.{1,76}/g) ?? []),
    'END',
    'chmod 0700 "$script"',
    'status=0',
    '"$script" || status=$?',
    'rm -f "$script"',
    'exit "$status"',
    '',
  ].join('\n');
}

/** Without the text around it, which may be anything. */
const CERTIFICATE = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]*-----END CERTIFICATE-----/g;
