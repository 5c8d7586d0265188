import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Annotations, Match } from 'aws-cdk-lib/assertions';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { findCaCertificates } from '../../fleets/ca-certificates.ts';
import { CircleCi } from '../../sandbox/circleci.ts';
import { type DeployedFunction, deployFunction, invokeFunction } from '../support/deployed-function.ts';
import { DoctorAws } from '../support/doctor-aws.ts';
import { fleetsOf, MINIMAL } from '../support/fleets.ts';
import { type OwnAuthority, ownAuthority, serverOptions } from '../support/own-authority.ts';
import { address } from '../support/serve.ts';
import { appOf, SynthesisedTemplate } from './template.ts';

const TOKEN = 'CCIPAT_tls_0123456789abcdef';

let authority: OwnAuthority;
const scaler = () => `scaler: { caCertificates: ca.pem }\n`;
const withAuthority = () => fleetsOf(scaler() + MINIMAL, { 'ca.pem': readFileSync(authority.file, 'utf8') });

beforeAll(() => {
  authority = ownAuthority(mkdtempSync(join(tmpdir(), 'authority-')));
});

describe('scaler.caCertificates', () => {
  it('is trusted by the functions of the workflows, and changes nothing else', () => {
    const trusting = SynthesisedTemplate.of(withAuthority());
    const variablesOf = (template: SynthesisedTemplate) =>
      template
        .all('AWS::Lambda::Function')
        .map(({ properties: { FunctionName, Environment } }) => [
          FunctionName,
          Object(Environment).Variables?.NODE_EXTRA_CA_CERTS,
        ]);
    const found = variablesOf(trusting);
    expect(found).toHaveLength(10);
    for (const [name, file] of found)
      expect([name, file]).toEqual([
        name,
        name === 'circleci-runners-group-settings' ? undefined : '/var/task/ca-certificates.pem',
      ]);
    const plain = SynthesisedTemplate.of(fleetsOf(MINIMAL));
    expect(variablesOf(plain).every(([, file]) => file === undefined)).toBe(true);
    const others = (template: SynthesisedTemplate) =>
      template.resources.filter(({ type }) => type !== 'AWS::Lambda::Function');
    expect(others(trusting)).toEqual(others(plain));
  });

  it('is a warning of the synthesis while its last 30 days run', () => {
    const ending = ownAuthority(mkdtempSync(join(tmpdir(), 'authority-')), { name: 'Old Root', days: 20 });
    const warned = (file: string) =>
      Annotations.fromStack(
        appOf(fleetsOf(scaler() + MINIMAL, { 'ca.pem': readFileSync(file, 'utf8') })).stacks.shared,
      ).findWarning(
        '*',
        Match.stringLikeRegexp('these certificates end soon: Old Root on \\d{4}-\\d\\d-\\d\\d;'),
      );
    expect(warned(ending.file)).toHaveLength(1);
    expect(warned(authority.file)).toEqual([]);
  });
});

describe('a CircleCI server with a certificate of a private authority', () => {
  const aws = new DoctorAws();
  const circleci = new CircleCi();
  let server: Server;

  beforeAll(async () => {
    await aws.listen();
    const http = await circleci.listen();
    server = createServer(serverOptions(authority), (request, response) => {
      http.emit('request', request, response);
    });
    server.listen(0, 'localhost');
    await once(server, 'listening');
    http.close();
    circleci.tokens.add(TOKEN);
    circleci.classes.set('acme/linux', { unclaimed: 7, running: 2 });
  });
  afterAll(() => {
    aws.close();
    server.close();
    server.closeAllConnections();
  });

  function deploy(name: string, top: string): DeployedFunction {
    const circleciUrl = `https://localhost:${Object(server.address()).port}`;
    const file = `${top}${MINIMAL}  circleciUrl: ${circleciUrl}\n`;
    const fleets = fleetsOf(file, { 'ca.pem': readFileSync(authority.file, 'utf8') });
    return deployFunction(aws, { name, fleets, token: TOKEN });
  }
  const invoke = (deployed: DeployedFunction) =>
    invokeFunction(deployed, { AWS_ENDPOINT_URL: address(aws.server) });

  it('is counted by the deployed code, which trusts the authority', { timeout: 60_000 }, async () => {
    const deployed = deploy('count-unclaimed', scaler());
    expect(existsSync(join(deployed.folder, 'ca-certificates.pem'))).toBe(true);
    expect(await invoke(deployed)).toMatchObject({ unclaimed: 7 });
  });

  it('is not counted without the setting, and the error says why', { timeout: 60_000 }, async () => {
    expect(await invoke(deploy('count-unclaimed', ''))).toMatchObject({
      name: 'CircleCiUnreachable',
      message: expect.stringMatching(/cannot be reached: (unable to verify|self-signed|unable to get)/),
    });
  });
});

describe('the file of scaler.caCertificates', () => {
  const said = (content: string) => {
    try {
      fleetsOf(scaler() + MINIMAL, { 'ca.pem': content });
      return 'nothing';
    } catch (error) {
      return (error as Error).message;
    }
  };

  it('may have several certificates, and text between them', () => {
    const pem = readFileSync(authority.file, 'utf8');
    expect(said(`# Acme Root\n${pem}\n# again\n${pem}`)).toBe('nothing');
  });

  it.each([
    { case: 'a key', content: () => readFileSync(authority.key, 'utf8'), says: 'it has a private key' },
    { case: 'nothing', content: () => '', says: 'it has none, or one that cannot be read' },
    { case: 'DER', content: () => '0\x82\x01', says: 'it has none, or one that cannot be read' },
    {
      case: 'half a certificate',
      content: () => readFileSync(authority.file, 'utf8').replace(/^M.{20}/m, ''),
      says: 'it has none, or one that cannot be read',
    },
    {
      case: 'one certificate, and the beginning of another',
      content: () => {
        const pem = readFileSync(authority.file, 'utf8');
        return pem + pem.slice(0, 200);
      },
      says: 'it has none, or one that cannot be read',
    },
    {
      case: 'one certificate, and another in a form of OpenSSL alone',
      content: () => {
        const pem = readFileSync(authority.file, 'utf8');
        return pem + pem.replaceAll('CERTIFICATE', 'TRUSTED CERTIFICATE');
      },
      says: 'it has none, or one that cannot be read',
    },
    {
      case: 'too much',
      content: () => readFileSync(authority.file, 'utf8').repeat(500),
      says: 'must be a file of at most 256 KB',
    },
  ])('is refused if it has $case', ({ content, says }) => {
    const message = said(content());
    expect(message).toContain('scaler.caCertificates: ');
    expect(message).toContain(says);
    expect(message).not.toContain('MII');
  });

  it.each([
    { given: 'missing.pem', says: 'must be the path of a PEM file, relative to this file' },
    {
      given: '/etc/ssl/certs/ca-certificates.crt',
      says: /must be the path of a (file in the folder|PEM file)/,
    },
    { given: '7', says: 'must be the path of a file, relative to this one' },
  ])('is refused if the setting is $given', ({ given, says }) => {
    expect(() => fleetsOf(`scaler: { caCertificates: ${given} }\n${MINIMAL}`)).toThrow(says);
  });

  it('is not a pipe, which would be read without an end', () => {
    const folder = mkdtempSync(join(tmpdir(), 'pipe-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    execFileSync('mkfifo', [join(folder, 'ca.pem')]);
    const { faults } = findCaCertificates(folder, { linux: { caCertificates: 'ca.pem' } }, Date.now());
    expect(faults.map(({ says }) => says)).toEqual([
      'linux.caCertificates: must be the path of a PEM file, relative to this file, got "ca.pem" (it is a pipe)',
    ]);
  });

  it('is refused if a certificate in it has ended', () => {
    const raw = { scaler: { caCertificates: 'ca.pem' } };
    const later = Date.now() + 366 * 86_400_000;
    const { ofFunctions: file, faults } = findCaCertificates(dirname(authority.file), raw, later);
    expect(file).toBeUndefined();
    expect(faults.map(({ says }) => says)).toEqual([
      expect.stringMatching(
        /^scaler\.caCertificates: must be a file of certificates that are valid, got "ca\.pem" \(Acme Root ended on \d{4}-\d\d-\d\d: replace it\)$/,
      ),
    ]);
  });

  it('needs no VPC', () => {
    expect(withAuthority()[0]).not.toHaveProperty('scaler');
  });
});
