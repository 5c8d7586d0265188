import { expect, it } from 'vitest';
import { describeLife, expectGone, launch, live } from '../harness.ts';
import type { BootFaults } from '../world.ts';

describeLife('an instance becomes a runner although, at first,', () => {
  const cases: { case: string; faults: BootFaults }[] = [
    { case: 'no name is resolved', faults: { dnsSilentFor: 20 } },
    { case: 'the metadata service is unavailable', faults: { metadataUnavailableFor: 25 } },
    { case: 'its clock is ten minutes behind', faults: { clock: { behind: 600, for: 35 } } },
    { case: 'its clock is ten minutes ahead', faults: { clock: { behind: -600, for: 35 } } },
    {
      case: 'all of that is so',
      faults: { dnsSilentFor: 15, metadataUnavailableFor: 30, clock: { behind: 600, for: 45 } },
    },
  ];

  it.each(cases)('$case', async ({ faults }) => {
    const install = '#!/bin/sh\nset -e\napt-get update\napt-get install -y compiler\n';
    const instance = await launch({ faults, install, fleet: { bootTimeout: 240 }, task: 'compiler' });
    await live(instance, 280);
    expect(instance.heard(), instance.machine.console).toMatchObject({
      claims: 1,
      finished: [{ outcome: 0, output: 'compiled\n' }],
    });
    await expectGone(instance, { hook: 'CONTINUE' });
  });
});

describeLife('an instance whose disk is full', () => {
  const FILL = 'dd if=/dev/zero of=/var/fill bs=64k 2>/dev/null';

  it('leaves and abandons its launch, if it is full before the runner is installed', async () => {
    const install = `#!/bin/sh\n${FILL}\nsync\nexit 0\n`;
    const fleet = { bootTimeout: 40 };
    const instance = await launch({ diskMegabytes: 80, install, task: 'true', fleet, stock: true });
    await live(instance, 280);
    expect(instance.heard().claims).toBe(0);
    await expectGone(instance, { hook: 'ABANDON' });
  });

  it('ends the task that filled it, and leaves once', async () => {
    const install = '#!/bin/sh\nmkdir -m 0777 /var/open\n';
    const fill = FILL.replace('/var/fill', '/var/open/fill');
    const instance = await launch({ diskMegabytes: 80, install, task: `sleep 4; ${fill}; echo full` });
    await live(instance, 280);
    expect(instance.heard()).toMatchObject({ claims: 1, finished: [{ outcome: 0, output: 'full\n' }] });
    await expectGone(instance, { hook: 'CONTINUE' });
  });
});
