import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { describeScript, Instance } from './instance.ts';

/** An `nft` that keeps what it reads. */
const KEEPS_RULES = 'cat >"$STATE/rules"';

describeScript('block-metadata', () => {
  it.each(['ip daddr 169.254.169.254', 'ip6 daddr fd00:ec2::254'])(
    'keeps the task user, and nobody else, from %s',
    async (address) => {
      const instance = await Instance.start({ commands: { nft: KEEPS_RULES } });
      const { status } = await instance.run('block-metadata', { ALLOW_INSTANCE_METADATA: 'false' });
      expect(status).toBe(0);
      expect(instance.commands('nft')).toEqual(['-f -']);
      const rules = readFileSync(join(instance.state, 'rules'), 'utf8');
      expect(rules).toContain(`meta skuid circleci ${address} reject\n`);
      expect(rules.match(/reject|drop/g)).toHaveLength(2);
      expect(rules.match(/skuid circleci/g)).toHaveLength(2);
    },
  );

  it('replaces the rules of a run before it', async () => {
    const instance = await Instance.start({ commands: { nft: KEEPS_RULES } });
    await instance.run('block-metadata', { ALLOW_INSTANCE_METADATA: 'false' });
    const rules = readFileSync(join(instance.state, 'rules'), 'utf8');
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
    { case: 'it is not told whether to', environment: {}, nft: { nft: KEEPS_RULES } },
  ])('fails, and so does the start of the runner, if $case', async ({ environment, nft }) => {
    const instance = await Instance.start({ commands: nft });
    const { status } = await instance.run('block-metadata', environment);
    expect(status).not.toBe(0);
  });
});
