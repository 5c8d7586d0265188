import { execFileSync, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { createServer, request, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { trustingInstall } from '../../../userdata/trusting-install.ts';
import { ownAuthority, serverOptions } from '../../support/own-authority.ts';
import { describeLife, expectGone, launch, live, WITH_BOX } from '../harness.ts';
import { HOST } from '../world.ts';

const PROXY_PORT = 3_128;
const TLS_PORT = 8_443;

/**
 * A forward proxy for HTTP, as Squid is one: it is asked for whole URLs, resolves their names itself, and hands requests
 * and answers on. It leaves out CONNECT, because nothing in this world speaks TLS, and access rules.
 */
class ForwardProxy {
  readonly asked: string[] = [];
  readonly #server: Server = createServer((incoming, outgoing) => {
    const { hostname, port, pathname, search } = new URL(incoming.url ?? '');
    this.asked.push(hostname);
    const { method, headers } = incoming;
    const onward = request({ host: HOST, port, path: `${pathname}${search}`, method, headers }, (answer) =>
      answer.pipe(outgoing.writeHead(answer.statusCode ?? 502, answer.headers)),
    );
    onward.on('error', () => outgoing.writeHead(502).end());
    incoming.pipe(onward);
  });

  async listen(): Promise<void> {
    this.#server.listen(PROXY_PORT, HOST);
    await once(this.#server, 'listening');
  }

  close(): void {
    this.#server.close();
  }
}

/** A disk of 64 MB, which goes with the test, or `undefined` where there are no loop devices. */
function loopDevice(onTestFinished: (done: () => void) => void): string | undefined {
  const file = join(mkdtempSync(join(tmpdir(), 'disk-')), 'disk');
  writeFileSync(file, '');
  truncateSync(file, 64 << 20);
  const { status, stdout } = spawnSync('losetup', ['--find', '--show', file], { encoding: 'utf8' });
  if (status !== 0) return undefined;
  const device = stdout.trim();
  onTestFinished(() => {
    execFileSync('losetup', ['--detach', device]);
  });
  return device;
}

describeLife('an instance with settings of few fleets', () => {
  const proxy = new ForwardProxy();
  afterAll(() => proxy.close());

  it('boots by the proxy, hands it on to its jobs, and asks for its metadata directly', async () => {
    await proxy.listen();
    const instance = await launch({
      fleet: { httpProxy: `http://${HOST}:${PROXY_PORT}`, noProxy: ['direct.internal'] },
      stock: true,
      task: 'env | grep -i _proxy | sort; cat /etc/apt/apt.conf.d/99-autoscaler-proxy; sleep 6',
    });
    instance.machine.start();
    await instance.machine.shows('claimed a task', 90);
    const service = await instance.machine.run('systemd-run', '--quiet', '--pipe', '--wait', 'env');
    await instance.machine.off(90);
    const direct = 'localhost,127.0.0.1,::1,169.254.169.254,169.254.170.2,fd00:ec2::254,direct.internal';
    const url = `http://${HOST}:${PROXY_PORT}`;
    expect(instance.heard().finished).toEqual([
      {
        outcome: 0,
        output: [
          `HTTPS_PROXY=${url}`,
          `HTTP_PROXY=${url}`,
          `NO_PROXY=${direct}`,
          `http_proxy=${url}`,
          `https_proxy=${url}`,
          `no_proxy=${direct}`,
          `Acquire::http::Proxy "${url}";`,
          `Acquire::https::Proxy "${url}";`,
          '',
        ].join('\n'),
      },
    ]);
    // The runner and its token, its claim, and the group: nothing else was asked, and so no metadata.
    expect(new Set(proxy.asked)).toEqual(
      new Set(['downloads.internal', 'aws.internal', 'circleci.internal']),
    );
    // A service that has started since.
    expect(service.split('\n')).toEqual(expect.arrayContaining([`https_proxy=${url}`, `NO_PROXY=${direct}`]));
    await expectGone(instance, { hook: 'CONTINUE' });
  });

  it('trusts authorities of its own, and so do its install script and its jobs', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'authority-'));
    const authority = ownAuthority(folder, { hosts: ['circleci.internal'] });
    const server = createTlsServer(serverOptions(authority), (_, response) => response.end('trusted\n'));
    server.listen(TLS_PORT, HOST);
    await once(server, 'listening');
    const ask = `curl -sS -m 5 https://circleci.internal:${TLS_PORT}/`;
    const task = `${ask}; echo $?`;
    const install = trustingInstall(readFileSync(authority.file, 'utf8'), `#!/bin/sh\nset -e\n${ask}\n`);
    const [trusting, other] = [await launch({ install, task, stock: true }), await launch({ task })];
    try {
      await Promise.all([live(trusting), live(other)]);
    } finally {
      server.close();
      server.closeAllConnections();
    }
    expect(trusting.machine.console).toMatch(/^.*trusted$/m);
    expect(trusting.heard().finished).toEqual([{ outcome: 0, output: 'trusted\n0\n' }]);
    // curl's status for a certificate that nobody vouches for.
    expect(other.heard().finished).toEqual([{ outcome: 0, output: expect.stringMatching(/^60$/m) }]);
  });

  it('lets its jobs and its install script use Docker if the fleet asks for it', async () => {
    const instance = await launch({
      docker: true,
      fleet: { docker: true },
      install: WITH_BOX,
      task: 'id -nG; docker run --rm box /bin/sh -c "echo from the container"',
    });
    await live(instance, 250);
    expect(instance.heard().finished).toEqual([
      { outcome: 0, output: 'circleci docker\nfrom the container\n' },
    ]);
    await expectGone(instance, { hook: 'CONTINUE' });
  });

  it('advertises its address for SSH reruns to CircleCI', async () => {
    const instance = await launch({
      fleet: { sshRerun: { cidr: '203.0.113.0/24', address: 'public' } },
      task: 'sleep 3',
    });
    instance.metadata.set('public-ipv4', '203.0.113.9');
    await live(instance);
    expect(instance.heard().finished).toMatchObject([{ outcome: 0 }]);
    expect(instance.machine.console).toContain('"ssh": "203.0.113.9:54782"');
    await expectGone(instance, { hook: 'CONTINUE' });
  });

  it('runs its jobs on the empty disk of its own, and leaves one alone that holds something', async ({
    onTestFinished,
    skip,
  }) => {
    const [full, empty] = [loopDevice(onTestFinished), loopDevice(onTestFinished)];
    if (full === undefined || empty === undefined) return skip('there are no loop devices here');
    execFileSync('mkfs.ext4', ['-q', '-L', 'precious', full]);
    const instance = await launch({
      fleet: { workingDirectory: 'instance-store' },
      instanceStore: [full, empty],
      task: 'findmnt --noheadings --output SOURCE,FSTYPE --target .; stat --format=%U ..; echo done >file; sleep 3',
    });
    await live(instance);
    expect(instance.heard().finished).toEqual([{ outcome: 0, output: `${empty} ext4\ncircleci\n` }]);
    expect(instance.machine.console).toContain(`${full} is left alone: it is in use, or holds data`);
    expect(execFileSync('blkid', ['--probe', '--match-tag', 'LABEL', full], { encoding: 'utf8' })).toContain(
      'LABEL="precious"',
    );
    await expectGone(instance, { hook: 'CONTINUE' });
  });

  it('without disks of its own runs jobs on the root volume, and says so', async () => {
    const instance = await launch({ fleet: { workingDirectory: 'instance-store' }, task: 'sleep 3' });
    await live(instance);
    expect(instance.heard().finished).toMatchObject([{ outcome: 0 }]);
    expect(instance.machine.console).toContain(
      'instance-store: the working directory is on the root volume: this instance type has no instance store (NVMe)',
    );
    await expectGone(instance, { hook: 'CONTINUE' });
  });
});
