import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { missingForKeys, SigningKey } from '../support/signing-key.ts';
import { describeScript, Instance, realPath } from './instance.ts';

const missing = missingForKeys();

describeScript('ship-logs install', () => {
  if (missing !== undefined) return void it.skip(`verifies the agent (skipped: ${missing})`);
  const amazon = new SigningKey();
  const somebody = new SigningKey();
  afterAll(() => {
    amazon[Symbol.dispose]();
    somebody[Symbol.dispose]();
  });

  /** An instance whose agent is published as Amazon does it, with what `change` makes of that. */
  async function installed(change: (deb: string, publish: (key: SigningKey) => void) => void = () => {}) {
    const instance = await Instance.start({
      commands: {
        'apt-get': 'for last; do :; done; cat "$last" >"$STATE/installed"',
        dpkg: 'echo amd64',
        base64: `exec ${realPath('base64')} "$@"`,
        sed: `exec ${realPath('sed')} "$@"`,
        tr: `exec ${realPath('tr')} "$@"`,
        gpgv: `exec ${realPath('gpgv')} "$@"`,
      },
    });
    const folder = join(instance.folder, 'agent');
    const latest = join(folder, 'ubuntu/amd64/latest');
    for (const path of [latest, join(folder, 'assets')]) mkdirSync(path, { recursive: true });
    const deb = join(latest, 'amazon-cloudwatch-agent.deb');
    writeFileSync(deb, 'the agent');
    const publish = (key: SigningKey) => {
      key.sign(deb);
      writeFileSync(join(folder, 'assets/amazon-cloudwatch-agent.gpg'), key.armoured);
    };
    publish(amazon);
    change(deb, publish);
    instance.own();
    const environment = { AGENT_URL: `file://${folder}`, AGENT_KEY: amazon.fingerprint };
    const { status, stderr } = await instance.shell('"$LIB/ship-logs" install', environment);
    return { status, stderr, apt: instance.commands('apt-get'), instance };
  }

  it('installs a package that Amazon has signed', async () => {
    const { status, instance } = await installed();
    expect(status).toBe(0);
    expect(readFileSync(join(instance.state, 'installed'), 'utf8')).toBe('the agent');
  });

  it.each([
    {
      case: 'was changed after it was signed',
      change: (deb: string) => writeFileSync(deb, 'another agent'),
    },
    {
      case: 'is signed with the key of somebody who can publish a key, too',
      change: (_deb: string, publish: (key: SigningKey) => void) => publish(somebody),
    },
    {
      case: 'is signed with another key than the published one',
      change: (deb: string) => somebody.sign(deb),
    },
    { case: 'has no signature', change: (deb: string) => writeFileSync(`${deb}.sig`, '') },
  ])('installs nothing if the package $case', async ({ change }) => {
    const { status, stderr, apt } = await installed(change);
    expect(status).not.toBe(0);
    expect(stderr).toContain(`is not signed by Amazon's key ${amazon.fingerprint}`);
    expect(apt).toEqual([]);
  });
});

it('trusts the key that Amazon documents, unless a test says otherwise', () => {
  expect(readFileSync('userdata/ship-logs.sh', 'utf8')).toMatch(
    /^key=\$\{AGENT_KEY:-937616F3450B7D806CBD9725D58167303B789C72\}$/m,
  );
});
