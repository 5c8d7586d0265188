import { expect, it } from 'vitest';
import { describeLife, expectGone, launch, live, world } from '../harness.ts';

describeLife('an instance and its metadata', () => {
  const ASK = `for address in 169.254.169.254 '[fd00:ec2::254]'; do
curl -sS -m 3 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' -o /dev/null -w '%{http_code}\\n' \\
  "http://$address/latest/api/token" 2>&1
done`;

  it('are refused to tasks, by IPv4 and IPv6, and not to its own scripts', async () => {
    const instance = await launch({ task: ASK });
    await live(instance);
    expect(instance.heard().finished[0]?.output).not.toMatch(/^200$/m);
    expect(instance.heard().finished[0]?.output.match(/^000$/gm)).toHaveLength(2);
    await expectGone(instance, { hook: 'CONTINUE' });
  });

  it('are open to tasks if the fleet says so', async () => {
    const instance = await launch({ task: ASK, fleet: { allowInstanceMetadata: true } });
    await live(instance);
    expect(instance.heard().finished[0]?.output).toBe('200\n200\n');
  });

  it('end at the instance: a container behind it gets no answer', async () => {
    const instance = await launch({ task: 'sleep 8', fleet: { allowInstanceMetadata: true } });
    instance.machine.start();
    await instance.machine.shows('claimed a task', 90);
    const script = `ip netns add box
ip link add outer type veth peer name inner netns box
ip address add 172.30.0.1/24 dev outer; ip link set outer up
ip -n box address add 172.30.0.2/24 dev inner; ip -n box link set inner up
ip -n box route add default via 172.30.0.1
nft -f - <<'RULES'
table ip nat {
chain out { type nat hook postrouting priority 100; ip saddr 172.30.0.0/24 masquerade; }
}
RULES
ip netns exec box curl -s -m 2 -o /dev/null -w '%{http_code} ' ${world.circleciUrl}
ip netns exec box curl -s -m 2 -X PUT -o /dev/null -w '%{http_code}' http://169.254.169.254/latest/api/token
true`;
    expect(await instance.machine.run('sh', '-c', script)).toBe('401 000');
    await instance.machine.off(90);
  });
});
