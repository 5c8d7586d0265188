import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { describeScript, Instance } from './instance.ts';

/** An `nft` that keeps what it reads. */
const KEEPS_RULES = 'cat >"$STATE/rules"';

describeScript('block-metadata', () => {
  const rulesOf = (instance: Instance) => readFileSync(join(instance.state, 'rules'), 'utf8');

  it.each([
    { case: 'root alone', id: 'exit 1', allowed: '0' },
    { case: 'root and EC2 Instance Connect, where it is', id: 'echo 117', allowed: '0, 117' },
  ])('lets $case reach the metadata, by IPv4 and IPv6', async ({ id, allowed }) => {
    const instance = await Instance.start({ commands: { nft: KEEPS_RULES, id } });
    const { status } = await instance.run('block-metadata', { ALLOW_INSTANCE_METADATA: 'false' });
    expect(status).toBe(0);
    expect(instance.commands('nft')).toEqual(['-f -']);
    expect(instance.commands('id')).toEqual(['-u ec2-instance-connect']);
    const rules = rulesOf(instance);
    expect(rules).toContain(`    meta skuid { ${allowed} } accept\n    jump refuse\n`);
    expect(rules.match(/reject|drop/g)).toHaveLength(2);
    for (const address of ['ip daddr 169.254.169.254', 'ip6 daddr fd00:ec2::254'])
      expect(rules).toContain(`    ${address} reject\n`);
  });

  it('keeps containers behind a bridge from them', async () => {
    const instance = await Instance.start({ commands: { nft: KEEPS_RULES, id: 'exit 1' } });
    await instance.run('block-metadata', { ALLOW_INSTANCE_METADATA: 'false' });
    expect(rulesOf(instance)).toMatch(/type filter hook forward priority 0;\n {4}jump refuse\n/);
  });

  it('replaces the rules of a run before it', async () => {
    const instance = await Instance.start({ commands: { nft: KEEPS_RULES } });
    await instance.run('block-metadata', { ALLOW_INSTANCE_METADATA: 'false' });
    const rules = rulesOf(instance);
    const [, table] = /^table (inet \w+)\n/.exec(rules) ?? [];
    expect(rules).toMatch(new RegExp(`^table ${table}\\ndelete table ${table}\\ntable ${table} {\\n`));
  });

  it('leaves the metadata to jobs if the fleet lets them', async () => {
    const instance = await Instance.start({ commands: { nft: KEEPS_RULES } });
    const { status } = await instance.run('block-metadata', { ALLOW_INSTANCE_METADATA: 'true' });
    expect(status).toBe(0);
    expect(instance.commands('nft')).toEqual([]);
  });

  it.each([
    {
      case: 'the rules cannot be set',
      environment: { ALLOW_INSTANCE_METADATA: 'false' },
      nft: { nft: 'exit 1' },
    },
    { case: 'there is no nft', environment: { ALLOW_INSTANCE_METADATA: 'false' }, nft: {} },
    { case: 'the setting is missing', environment: {}, nft: { nft: KEEPS_RULES } },
  ])('fails, and so does the start of the runner, if $case', async ({ environment, nft }) => {
    const instance = await Instance.start({ commands: nft });
    const { status } = await instance.run('block-metadata', environment);
    expect(status).not.toBe(0);
  });
});
