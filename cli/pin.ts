import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { Command } from 'commander';
import * as z from 'zod';
import { FleetsInvalid } from '../fleets/load.ts';
import { RELEASE_FILE, readRelease } from '../fleets/runner-release.ts';
import { RunnerRelease } from '../fleets/settings/runner.ts';
import { faultOfCircleCiUrl } from '../functions/lib/circleci-url.ts';
import { boundedText } from '../functions/lib/http-answers.ts';
import { sentence } from '../functions/lib/sentence.ts';
import { UsageError } from './command-line/arguments.ts';
import { checkOutFile } from './command-line/out-file.ts';
import type { CliCommand, Shell } from './command-line/run.ts';
import type { Terminal } from './terminal/terminal.ts';

const RELEASES = 'https://circleci-binary-releases.s3.amazonaws.com/circleci-runner';

const ARCHITECTURES = ['amd64', 'arm64'] as const;
type Sha256 = Record<(typeof ARCHITECTURES)[number], string>;

const MANIFEST_BYTES = 2 ** 22;
const ARCHIVE_BYTES = 2 ** 29;
const DEADLINE_SECONDS = 300;
const MB = 1_000_000;

/** CircleCI does not document it; docs/decisions/0015 says where the form is from. */
const Archive = z.object({ url: z.string(), sha256: z.string().regex(/^[0-9a-f]{64}$/) });
const Manifest = z.object({
  releases: z.record(
    z.string(),
    z.object({ linux: z.object({ amd64: Archive, arm64: Archive }).optional() }),
  ),
});
type Manifest = z.infer<typeof Manifest>;

/** An app that uses the library has no fleets.yaml. */
const BY_HAND = 'set runner of each fleet, in fleets.yaml or in your app (docs/configuration.md)';

/** CircleCI's releases are not as they should be, or cannot be reached. Nothing is pinned. */
class PinFailed extends Error {
  override readonly name = 'PinFailed';
}

/** Not 1, so that a scheduled pipeline can tell a newer release from a network that is down. */
const OUTDATED = 3;

interface Options {
  check?: boolean;
  out: string;
  url?: string;
}

const define = (shell: Shell) =>
  new Command('npm run pin --')
    .description(
      `Pins the release of CircleCI's runner that instances install. It downloads the release for both architectures, compares them with CircleCI's manifest, and writes their version and checksums into ${RELEASE_FILE}. Commit that file. Each boot then refuses any other archive. Run the command again to update the runner, and deploy.`,
    )
    .argument('[version]', "version of the release, such as 3.1.13 (default: CircleCI's current release)")
    .option('--check', 'write nothing; say whether the pinned release is still the current one')
    .option('--out <file>', 'the file to write or check', RELEASE_FILE)
    .option('--url <url>', "where the releases are (default: CircleCI's bucket)")
    .allowExcessArguments(false)
    .action((version: string | undefined, options: Options) => pin(version, options, shell));

async function pin(asked: string | undefined, options: Options, shell: Shell): Promise<void> {
  const { terminal } = shell;
  const { url: given = RELEASES } = options;
  const fault = faultOfCircleCiUrl(given);
  if (fault !== undefined) throw new UsageError(`--url ${fault}, got ${JSON.stringify(given)}`);
  const url = given.replace(/\/+$/, '');
  if (asked !== undefined && !RunnerRelease.shape.version.safeParse(asked).success) {
    throw new UsageError(`The version must be one such as 3.1.13, got ${JSON.stringify(asked)}`);
  }
  if (!options.check) checkOutFile('--out', options.out, RELEASE_FILE);
  if (options.check) {
    if (asked !== undefined) throw new UsageError('--check takes no version: it compares the pinned one.');
    const { version, sha256 } = readRelease(options.out);
    const manifest = await readManifest(url);
    const current = checksumsIn(manifest, 'current');
    if (current === undefined) throw new PinFailed(`${url}/manifest.json lists no current release.`);
    if (ARCHITECTURES.every((each) => sha256[each] === current[each])) {
      terminal.printProse(`Runner ${version} is pinned, which is CircleCI's current release.`);
      return;
    }
    terminal.printProse(
      `Runner ${version} is pinned, and CircleCI's current release is ${versionIn(manifest) ?? 'another one'}. To update: npm run pin`,
    );
    shell.exitCode = OUTDATED;
    return;
  }
  const manifest = await readManifest(url);
  const version = asked ?? versionIn(manifest);
  if (version === undefined) {
    throw new UsageError(
      "CircleCI's manifest does not say which version is current. Name one, from https://circleci.com/changelog: npm run pin -- 3.1.13",
    );
  }
  const sha256 = await download(url, version, terminal);
  const listed = checksumsIn(manifest, asked === undefined ? 'current' : version);
  const differs = ARCHITECTURES.find((each) => listed !== undefined && listed[each] !== sha256[each]);
  if (differs !== undefined) {
    throw new PinFailed(
      `The archive of runner ${version} for ${differs} has SHA-256 ${sha256[differs]}, and CircleCI's manifest says ${listed?.[differs]}. Nothing was written. Try again later; if they still differ, ask CircleCI.`,
    );
  }
  writeFileSync(options.out, `${JSON.stringify({ version, sha256 }, null, 2)}\n`);
  terminal.print(`${options.out}: runner ${version}`);
  for (const each of ARCHITECTURES) terminal.print(`  ${each}  ${sha256[each]}`);
  if (listed === undefined) {
    terminal.note(
      `CircleCI's manifest does not list runner ${version}: these are the checksums of what was downloaded now.`,
    );
  }
  terminal.print('Commit the file and deploy: npx cdk deploy --all');
}

const checksumsIn = (manifest: Manifest, release: string): Sha256 | undefined => {
  const linux = manifest.releases[release]?.linux;
  return linux && { amd64: linux.amd64.sha256, arm64: linux.arm64.sha256 };
};

/** The version of the current release, from the address of its archive. */
function versionIn(manifest: Manifest): string | undefined {
  const address = manifest.releases.current?.linux?.amd64.url ?? '';
  const [, version] = /\/([^/]+)\/circleci-runner_linux_amd64\.tar\.gz$/.exec(address) ?? [];
  return RunnerRelease.shape.version.safeParse(version).data;
}

async function readManifest(url: string): Promise<Manifest> {
  const response = await get(`${url}/manifest.json`);
  try {
    return Manifest.parse(JSON.parse((await boundedText(response, MANIFEST_BYTES)) ?? ''));
  } catch {
    throw new PinFailed(
      `${url}/manifest.json is not the manifest that this command knows. Pin a release by hand: ${BY_HAND}.`,
    );
  }
}

async function download(url: string, version: string, terminal: Terminal): Promise<Sha256> {
  const archives = await Promise.all(
    ARCHITECTURES.map((each) => get(`${url}/${version}/circleci-runner_linux_${each}.tar.gz`)),
  );
  const total = archives.reduce((sum, { headers }) => sum + Number(headers.get('content-length')), 0);
  const progress = terminal.progress('MB', total > 0 ? { total: Math.ceil(total / MB) } : {});
  let bytes = 0;
  try {
    const [amd64 = '', arm64 = ''] = await Promise.all(
      archives.map((archive) =>
        sha256Of(archive, (more) => {
          bytes += more;
          progress.to(Math.floor(bytes / MB));
        }),
      ),
    );
    return { amd64, arm64 };
  } finally {
    progress.stop();
  }
}

/** @param received Called with the number of bytes of each part of the archive. */
async function sha256Of(archive: Response, received: (bytes: number) => void): Promise<string> {
  const hash = createHash('sha256');
  let bytes = 0;
  try {
    for await (const chunk of archive.body ?? []) {
      bytes += chunk.byteLength;
      if (bytes > ARCHIVE_BYTES) throw new PinFailed(`${archive.url} does not end.`);
      hash.update(chunk);
      received(chunk.byteLength);
    }
  } catch (error) {
    if (error instanceof PinFailed) throw error;
    throw new PinFailed(
      `${archive.url} broke off after ${bytes} bytes: ${sentence(causeOf(error as Error))} Nothing was written. Try again.`,
    );
  }
  return hash.digest('hex');
}

async function get(address: string): Promise<Response> {
  const response = await fetch(address, {
    redirect: 'error',
    signal: AbortSignal.timeout(DEADLINE_SECONDS * 1_000),
  }).catch((error: Error) => {
    throw new PinFailed(
      `${address} cannot be reached: ${sentence(causeOf(error))} Run the command on a machine that reaches it, and commit the file there, or ${BY_HAND}.`,
    );
  });
  if (response.ok) return response;
  // S3 answers 403 if an object does not exist.
  const missing = response.status === 403 || response.status === 404 ? ': there is no such release' : '';
  throw new PinFailed(`${address} answered ${response.status}${missing}.`);
}

const causeOf = ({ cause, message }: Error) => (cause instanceof Error ? cause.message : message);

export const pinCommand: CliCommand = {
  define,
  usageErrors: [FleetsInvalid],
  expectedErrors: [PinFailed],
  otherCodes: { [OUTDATED]: 'with --check: the pinned release is not the current one' },
  endsProcess: true,
};
