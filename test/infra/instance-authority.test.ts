import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { builtImagesOf } from '../../fleets/built-images.ts';
import { trustingInstall } from '../../userdata/trusting-install.ts';
import { complaintsAbout, fleetsWith } from '../support/fleets.ts';
import { ownAuthority } from '../support/own-authority.ts';
import { SynthesisedTemplate } from './template.ts';

const INSTALL = '#!/bin/sh\napt-get install -y nodejs\n';
let pem = '';
beforeAll(() => {
  pem = readFileSync(ownAuthority(mkdtempSync(join(tmpdir(), 'authority-'))).file, 'utf8');
});

const trusting = (...settings: Record<string, string>[]) =>
  fleetsWith(
    Object.fromEntries(
      settings.map((each, index) => [`fleet-${index}`, { caCertificates: 'ca.pem', ...each }]),
    ),
    { 'ca.pem': pem, 'install.sh': INSTALL },
  );

describe('caCertificates of a fleet', () => {
  it.each([
    { with: 'an install script', settings: { install: 'install.sh' }, install: INSTALL },
    { with: 'no install script', settings: {}, install: undefined },
  ])('are in the script that instances download, of a fleet with $with', ({ settings, install }) => {
    const template = SynthesisedTemplate.of(trusting(settings));
    const script = trustingInstall(pem, install);
    const { properties } = template.the('AWS::EC2::LaunchTemplate', 'Fleet0Fleet');
    const userData = JSON.stringify(properties);
    expect(template.permissions('Role(Fleet0FleetInstanceRole)')).toContain(
      `s3:GetObject on arn:aws:s3:::${template.uploaded(script)}`,
    );
    expect(userData).toContain(createHash('sha256').update(script).digest('hex'));
    // The certificates take no room there.
    expect(userData).not.toContain(pem.split('\n')[1]);
  });

  it('are a part of an image that is built', () => {
    const build = { image: '{build: weekly}' };
    const [first, second] = trusting(build, build);
    if (first === undefined || second === undefined) throw new Error('There are two fleets.');
    const { authoritiesFile, ...without } = second;
    expect(authoritiesFile).toBe(first.authoritiesFile);
    expect(builtImagesOf([first, second])).toHaveLength(1);
    expect(builtImagesOf([first, without])).toHaveLength(2);
  });

  it('change nothing for the functions', () => {
    const functions = (of: SynthesisedTemplate) =>
      of
        .all('AWS::Lambda::Function')
        .map(({ properties: { FunctionName, Environment } }) => [FunctionName, Environment]);
    expect(functions(SynthesisedTemplate.of(trusting({})))).toEqual(
      functions(SynthesisedTemplate.of(fleetsWith({ 'fleet-0': {} }))),
    );
  });

  it.each([
    {
      given: 'missing.pem',
      says: 'linux.caCertificates: must be the path of a PEM file, relative to this file, got "missing.pem"',
    },
    { given: '7', says: 'linux.caCertificates: must be the path of a file, relative to this one, got 7' },
    {
      given: 'key.pem',
      says: 'linux.caCertificates: must be a file of certificates alone, got "key.pem" (it has a private key',
    },
  ])('are refused: $given', ({ given, says }) => {
    const text = `linux: {resourceClass: a/b, instanceTypes: [m7i.large], maxReplicas: 2, caCertificates: ${given}}\n`;
    const beside = { 'key.pem': '-----BEGIN PRIVATE KEY-----\nMII\n-----END PRIVATE KEY-----\n' };
    expect(complaintsAbout(text, beside)).toContain(says);
  });
});
