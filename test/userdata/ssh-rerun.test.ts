import { expect, it } from 'vitest';
import { describeScript, Instance } from './instance.ts';

describeScript('ssh-rerun', () => {
  it.each([
    { item: 'public-ipv4', address: '203.0.113.9', advertised: '203.0.113.9:54782' },
    { item: 'local-ipv4', address: '10.0.3.7', advertised: '10.0.3.7:54782' },
    { item: 'ipv6', address: '2001:db8::7', advertised: '[2001:db8::7]:54782' },
  ])(
    'prints the lines of runner.yaml with the $item of the instance',
    async ({ item, address, advertised }) => {
      const instance = await Instance.start({ metadata: { [item]: address } });
      const { status, stdout } = await instance.run('ssh-rerun', { SSH_RERUN_ADDRESS: item });
      expect(status).toBe(0);
      expect(stdout).toBe(`  ssh:\n    advertise_addr: "${advertised}"\n`);
    },
  );

  it('prints nothing, and says why, on an instance without such an address', async () => {
    const instance = await Instance.start();
    const { status, stdout, stderr } = await instance.run('ssh-rerun', { SSH_RERUN_ADDRESS: 'public-ipv4' });
    expect(status).toBe(0);
    expect(stdout).toBe('');
    expect(stderr).toContain('no SSH reruns here: the instance has no public-ipv4 address\n');
  });
});
