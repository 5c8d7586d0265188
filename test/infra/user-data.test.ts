import { execFileSync, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import type { FleetConfig } from '../../infra/config.ts';
import { fleetsOf, INSTALL, minimalNamed, threeFleets } from './fleets.ts';
import { SynthesisedTemplate } from './template.ts';

const UserData = z.object({ LaunchTemplateData: z.object({ UserData: z.string() }) });

/** The user data of each fleet. */
const userDataOf = (fleets: FleetConfig[]) =>
  new SynthesisedTemplate(fleets)
    .all('AWS::EC2::LaunchTemplate')
    .map(({ properties }) => UserData.parse(properties).LaunchTemplateData.UserData);

describe('user data', () => {
  const LIB = '/usr/local/lib/circleci-runner-autoscaler';
  const texts = userDataOf(threeFleets());
  const files = readdirSync('userdata').map((file) => ({
    file,
    text: readFileSync(`userdata/${file}`, 'utf8'),
  }));

  it.each(files)('contains $file as it is', ({ file, text }) => {
    const here = new RegExp(`^cat >${LIB}/${file.replace('.sh', '')} <<'(\\w+)'\\n([\\s\\S]*?\\n)\\1$`, 'm');
    for (const userData of texts) expect(here.exec(userData)?.[2]).toBe(text);
  });

  it('contains the script that installs what jobs need, or one that does nothing', () => {
    const install = (text: string) =>
      text.match(/\/install <<'END_OF_INSTALL'\n([\s\S]*?)END_OF_INSTALL\n/)?.[1];
    expect(texts.map(install)).toEqual(['#!/bin/sh\n', INSTALL, '#!/bin/sh\n']);
  });

  it("hands the fleet's settings to the scripts", () => {
    const exported = (text: string) =>
      Object.fromEntries(
        [...text.matchAll(/^export (\w+)='(.*)'$/gm)].map(([, name, value]) => [name, value]),
      );
    expect(texts.map(exported)).toEqual([
      {
        AWS_REGION: 'eu-west-1',
        GROUP_NAME: 'circleci-runners-arm',
        RUNNER_SECRET_NAME: 'circleci-runners/arm/runner',
        CIRCLECI_URL: 'https://runner.circleci.com',
        IDLE_TIMEOUT_SECONDS: '300',
        MAX_RUN_TIME_SECONDS: '18000',
      },
      {
        AWS_REGION: 'eu-west-1',
        GROUP_NAME: 'circleci-runners-linux-large',
        RUNNER_SECRET_NAME: 'existing/runner',
        CIRCLECI_URL: 'https://circleci.acme.example',
        IDLE_TIMEOUT_SECONDS: '600',
        MAX_RUN_TIME_SECONDS: '7200',
      },
      expect.objectContaining({ RUNNER_SECRET_NAME: 'circleci-runners/owned/runner' }),
    ]);
  });

  it('fits into the 16 KB that EC2 takes, with all settings as long as they may be', () => {
    const longest = minimalNamed('a'.repeat(32)).concat(
      `  circleciUrl: https://${'a'.repeat(253)}\n`,
      `  runnerSecretName: ${'a'.repeat(512)}\n`,
      '  install: install.sh\n',
    );
    const [text] = userDataOf(fleetsOf(longest, { 'install.sh': '#'.repeat(6 * 1024) }));
    expect(Buffer.byteLength(text ?? '')).toBeGreaterThan(6 * 1024);
    expect(Buffer.byteLength(text ?? '')).toBeLessThanOrEqual(16 * 1024);
  });

  const scripts = [...texts, ...files.map(({ text }) => text)];

  it('is sound to bash, as a whole and file by file', () => {
    for (const script of scripts) execFileSync('bash', ['-n'], { input: script });
  });

  const shellcheck = spawnSync('shellcheck', ['--version']).error === undefined;
  it.skipIf(!shellcheck)('is sound to shellcheck, if that is installed', () => {
    for (const script of scripts) {
      const { stdout } = spawnSync('shellcheck', ['-'], { input: script, encoding: 'utf8' });
      expect(stdout).toBe('');
    }
  });
});
