import { readFileSync } from 'node:fs';
import { gzipSync, strToU8 } from 'fflate';

/** The files of this folder, as instances and the builders of images get them. */

/** Where the scripts lie on an instance. */
export const LIB = '/opt/autoscaler';

/** The scripts that prepare a machine, by their names there. A boot runs them, and the build of an image does. */
export const PREPARING = {
  'aws.sh': 'aws.sh',
  'packages.sh': 'packages.sh',
  'prepare.sh': 'prepare.sh',
  'install-runner': 'install-runner.sh',
  proxy: 'proxy.sh',
  docker: 'docker.sh',
};

/** The shell commands that write files, by their paths, from one compressed text. */
export const writing = (files: Record<string, string>): string[] => [
  "base64 -d <<'END' | gzip -d | bash -e",
  ...compressed(
    Object.entries(files)
      .map(([path, text]) => `cat >${path} <<'END'\n${text}END\n`)
      .join(''),
  ),
  'END',
];

/** Automatic updates of Ubuntu and Amazon Linux. A timer that was due while a warm instance was stopped fires when it starts. */
export const UPDATES = [
  'apt-daily.timer',
  'apt-daily-upgrade.timer',
  'apt-daily.service',
  'apt-daily-upgrade.service',
  'dnf-makecache.timer',
];

/** An environment as systemd and shells read it. */
export const linesOf = (environment: Record<string, unknown>) =>
  Object.entries(environment)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('');

/** Compressed the same on every machine, so that a template changes only with the text. */
const compressed = (text: string) =>
  Buffer.from(gzipSync(strToU8(text), { level: 9, mtime: 0 }))
    .toString('base64')
    .match(/.{1,4000}/g) ?? [];

/**
 * A file without empty lines, without its comments, except those for shellcheck, and without indentation, except in
 * here-documents and in Python.
 */
export function userdata(file: string): string {
  const text = readFileSync(new URL(file, import.meta.url), 'utf8').replaceAll(COMMENT, '');
  let until: RegExp | undefined;
  return text
    .split('\n')
    .map((line) => {
      if (until !== undefined) {
        if (until.test(line)) until = undefined;
        return line;
      }
      const [, document] = /(?:^|[^<])<<'?([A-Z]+)'?/.exec(line) ?? [];
      if (document !== undefined) until = new RegExp(`^${document}$`);
      else if (line.endsWith("-c '")) until = /'/;
      return line.trimStart();
    })
    .join('\n');
}

const COMMENT = /^(?: *#(?!!| shellcheck ).*)?\n/gm;
