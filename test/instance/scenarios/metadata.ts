import { expect, it } from 'vitest';
import { describeLife, expectGone, launch, live, WITH_BOX, world } from '../harness.ts';

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
    const script = `echo 1 >/proc/sys/net/ipv4/ip_forward
ip netns add box
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

  it('are refused to other accounts that a task can act as, and to its subordinate ids', async () => {
    const instance = await launch({
      install: `#!/bin/sh
set -e
id circleci >/dev/null 2>&1 || useradd --create-home --shell /bin/bash circleci
echo 'circleci ALL=(ubuntu) NOPASSWD: ALL' >/etc/sudoers.d/circleci
`,
      task: `cat <<'END' >/tmp/ask
${ASK}
END
sudo -nu ubuntu sh -c 'id -un; sh /tmp/ask'
cat <<'END' >/tmp/attack.py
import ctypes, os, time
CLONE_NEWUSER = 0x10000000
if ctypes.CDLL(None).unshare(CLONE_NEWUSER):
    raise SystemExit("no user namespace")
while not os.path.exists("/tmp/go"):
    time.sleep(0.1)
os.setgid(0)
os.setuid(0)
os.system("cat /proc/self/uid_map; id -u; sh /tmp/ask")
END
python3 /tmp/attack.py &
attack=$!
sleep 1
ids=$(sed -n 's/^circleci:\\([0-9]*\\):.*/\\1/p' /etc/subuid)
newuidmap $attack 0 $ids 65536 && newgidmap $attack 0 $ids 65536
touch /tmp/go
wait $attack`,
    });
    await live(instance);
    const output = instance.heard().finished[0]?.output ?? instance.machine.console;
    const [asUbuntu = '', asSubordinate = ''] = output.split(/ +0 +\d+ +65536\n/);
    expect(asUbuntu, output).toMatch(/^ubuntu\n/);
    expect(asSubordinate, output).toMatch(/^0\n/);
    for (const answers of [asUbuntu, asSubordinate])
      expect(answers.match(/^\d{3}$/gm)).toEqual(['000', '000']);
  });

  it('are refused to containers on the bridge of Docker, whatever the hop limit is', async () => {
    const request =
      'printf "PUT /latest/api/token HTTP/1.1\\r\\nHost: imds\\r\\nX-aws-ec2-metadata-token-ttl-seconds: 60\\r\\nConnection: close\\r\\n\\r\\n"';
    const ask = (host: string) => `docker run --rm box /bin/sh -c '${request} | nc -w 3 ${host}'`;
    const scenario = {
      docker: true,
      fleet: { docker: true },
      metadataForContainers: true,
      install: WITH_BOX,
      task: `${ask('169.254.169.254 80')}\necho\n${ask(world.circleciUrl.replace(/.*\/(.*):/, '$1 '))}`,
    };
    const [closed, open] = await Promise.all([
      launch(scenario),
      launch({ ...scenario, fleet: { ...scenario.fleet, allowInstanceMetadata: true } }),
    ]);
    await Promise.all([live(closed, 250), live(open, 250)]);
    const status = /HTTP\/1.1 \d+/g;
    expect(open.heard().finished[0]?.output.match(status), open.machine.console).toEqual([
      'HTTP/1.1 200',
      'HTTP/1.1 401',
    ]);
    expect(closed.heard().finished[0]?.output.match(status)).toEqual(['HTTP/1.1 401']);
  });
});
