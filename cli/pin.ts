import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { Command } from 'commander';
import * as z from 'zod';
import { FleetsInvalid } from '../fleets/load.ts';
import { RELEASE_FILE, readRelease } from '../fleets/runner-release.ts';
import { RunnerRelease } from '../fleets/settings/runner.ts';
import { faultOfCircleCiUrl } from '../functions/lib/circleci-url.ts';
import { boundedText } from '../functions/lib/http-answers.ts';
import { UsageError } from './command-line/arguments.ts';
import type { CliCommand, Shell } from './command-line/run.ts';

const RELEASES = 'https://circleci-binary-releases.s3.amazonaws.com/circleci-runner';

const ARCHITECTURES = ['amd64', 'arm64'] as const;
type Sha256 = Record<(typeof ARCHITECTURES)[number], string>;

const MANIFEST_BYTES = 2 ** 22;
const ARCHIVE_BYTES = 2 ** 29;
const DEADLINE_SECONDS = 300;

/** CircleCI does not document it; docs/decisions/0015 says where the form is from. */
const Archive = z.object({ url: z.string(), sha256: z.string().regex(/^[0-9a-f]{64}$/) });
const Manifest = z.object({
  releases: z.record(
    z.string(),
    z.object({ linux: z.object({ amd64: Archive, arm64: Archive }).optional() }),
  ),
});
type Manifest = z.infer<typeof Manifest>;

/** CircleCI's releases are not as they should be, or cannot be reached. Nothing is pinned. */
class PinFailed extends Error {
  override readonly name = 'PinFailed';
}

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
    .option('--check', 'write nothing; exit code 1 if the pinned release is not the current one any more')
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
  const manifest = await readManifest(url);
  const current = checksumsIn(manifest, 'current');
  if (options.check) {
    const { version, sha256 } = readRelease(options.out);
    if (current === undefined) throw new PinFailed(`${url}/manifest.json lists no current release.`);
    if (ARCHITECTURES.every((each) => sha256[each] === current[each])) {
      terminal.print(`Runner ${version} is pinned, which is CircleCI's current release.`);
      return;
    }
    terminal.print(
      `Runner ${version} is pinned, and CircleCI's current release is ${versionIn(manifest) ?? 'another one'}. To update: npm run pin`,
    );
    shell.exitCode = 1;
    return;
  }
  const version = asked ?? versionIn(manifest);
  if (version === undefined) {
    throw new UsageError(
      "CircleCI's manifest does not say which version is current. Name one, from https://circleci.com/changelog: npm run pin -- 3.1.13",
    );
  }
  if (!RunnerRelease.shape.version.safeParse(version).success) {
    throw new UsageError(`The version must be one such as 3.1.13, got ${JSON.stringify(version)}`);
  }
  const sha256 = await download(url, version);
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
  terminal.print('Commit the file and deploy: npx cdk deploy');
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
      `${url}/manifest.json is not the manifest that this command knows. Pin a release by hand: set runner in fleets.yaml.`,
    );
  }
}

async function download(url: string, version: string): Promise<Sha256> {
  const [amd64 = '', arm64 = ''] = await Promise.all(
    ARCHITECTURES.map((each) => sha256Of(`${url}/${version}/circleci-runner_linux_${each}.tar.gz`)),
  );
  return { amd64, arm64 };
}

async function sha256Of(address: string): Promise<string> {
  const response = await get(address);
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > ARCHIVE_BYTES) throw new PinFailed(`${address} does not end.`);
    hash.update(chunk);
  }
  return hash.digest('hex');
}

async function get(address: string): Promise<Response> {
  const response = await fetch(address, {
    redirect: 'error',
    signal: AbortSignal.timeout(DEADLINE_SECONDS * 1_000),
  }).catch((error: Error) => {
    const cause = error.cause instanceof Error ? error.cause.message : error.message;
    throw new PinFailed(`${address} cannot be reached: ${cause}`);
  });
  if (response.ok) return response;
  // S3 answers 403 if an object does not exist.
  const missing = response.status === 403 || response.status === 404 ? ': there is no such release' : '';
  throw new PinFailed(`${address} answered ${response.status}${missing}.`);
}

export const pinCommand: CliCommand = {
  define,
  usageErrors: [FleetsInvalid],
  expectedErrors: [PinFailed],
  endsProcess: true,
};
