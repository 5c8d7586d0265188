import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** A private certificate authority, and a certificate that it has made for a server. */
export interface OwnAuthority {
  /** Path of the authority's certificate. */
  file: string;
  /** Paths of the key and of the certificate of the server. */
  key: string;
  certificate: string;
}

/**
 * Makes an authority in a folder, by OpenSSL.
 *
 * @param hosts The names of the server. Default: `localhost`.
 * @param days How long the authority's certificate is valid. Default: a year.
 */
export function ownAuthority(
  folder: string,
  { name = 'Acme Root', days = 365, hosts = ['localhost'] } = {},
): OwnAuthority {
  const path = (file: string) => join(folder, file);
  const openssl = (...words: string[]) => execFileSync('openssl', words, { cwd: folder, stdio: 'pipe' });
  const request = ['req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  openssl(
    ...[...request, '-x509', '-days', `${days}`, '-subj', `/O=Acme/CN=${name}`],
    ...['-addext', 'keyUsage=critical,keyCertSign,cRLSign', '-keyout', 'ca.key', '-out', 'ca.pem'],
  );
  openssl(...request, '-subj', `/CN=${hosts[0]}`, '-keyout', 'server.key', '-out', 'server.csr');
  writeFileSync(path('names'), `subjectAltName=${hosts.map((host) => `DNS:${host}`).join()}\n`);
  openssl(
    ...['x509', '-req', '-in', 'server.csr', '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial'],
    ...['-days', '30', '-extfile', 'names', '-out', 'server.pem'],
  );
  return { file: path('ca.pem'), key: path('server.key'), certificate: path('server.pem') };
}

/** What a server of TLS needs of them. */
export const serverOptions = ({ key, certificate }: OwnAuthority) => ({
  key: readFileSync(key),
  cert: readFileSync(certificate),
});
