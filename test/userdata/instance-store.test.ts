import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { describeScript, Instance, realPath } from './instance.ts';

const NAME = 'nvme-Amazon_EC2_NVMe_Instance_Storage_AWS';

/** A disk as the tools see it: what wipefs and blkid find on it, and whether something is made of it or mounted. */
interface Disk {
  signature?: string;
  label?: string;
  used?: boolean;
  partition?: boolean;
}

/** A stand-in of a tool that looks at a disk: it prints what a file beside the disk holds. */
const looks = (what: string) =>
  `for disk; do :; done; while read -r line; do echo "$line"; done <"$disk.${what}"`;

const COMMANDS = {
  readlink: `exec ${realPath('readlink')} "$@"`,
  wc: `exec ${realPath('wc')} "$@"`,
  mountpoint: 'exit 1',
  wipefs: looks('signature'),
  blkid: looks('label'),
  lsblk: looks('users'),
  mount: '',
  'mkfs.ext4': '',
};

/** An instance with these disks as its instance store. */
async function withDisks(disks: Disk[], commands: Record<string, string> = {}, without: string[] = []) {
  const own = Object.entries({ ...COMMANDS, ...commands }).filter(([name]) => !without.includes(name));
  const instance = await Instance.start({ commands: Object.fromEntries(own) });
  const byId = join(instance.folder, 'by-id');
  mkdirSync(byId);
  disks.forEach(({ signature = '', label = '', used = false, partition = false }, index) => {
    const disk = join(instance.folder, `nvme${index + 1}n1`);
    const files = {
      '': '',
      '.signature': signature,
      '.label': label,
      '.users': used ? 'disk\npart' : 'disk',
    };
    for (const [suffix, text] of Object.entries(files))
      writeFileSync(`${disk}${suffix}`, text === '' ? '' : `${text}\n`);
    symlinkSync(disk, join(byId, `${NAME}${index}`));
    // Each disk has a name more, by its namespace.
    symlinkSync(disk, join(byId, `${NAME}${index}-ns-1`));
    if (!partition) return;
    for (const [suffix, text] of Object.entries({
      '': '',
      '.signature': '',
      '.label': '',
      '.users': 'part\n',
    }))
      writeFileSync(`${disk}p1${suffix}`, text);
    symlinkSync(`${disk}p1`, join(byId, `${NAME}${index}-part1`));
  });
  instance.own();
  const run = async () => {
    const ended = await instance.run('instance-store', {
      DISKS: byId,
      STRIPED: join(instance.folder, 'striped'),
    });
    const named = (line: string) => line.replaceAll(`${instance.folder}/`, '');
    return {
      ...ended,
      said: named(ended.stderr),
      did: ['mdadm', 'mkfs.ext4', 'mkfs.xfs', 'mount'].flatMap((name) =>
        instance.commands(name).map((line) => `${name} ${named(line)}`),
      ),
    };
  };
  return run();
}

const FORMAT = 'mkfs.ext4 -q -F -m 0 -E nodiscard -L autoscaler';

describeScript('instance-store', () => {
  it('formats the disk of the instance, and mounts it where tasks run', async () => {
    const { status, did, said } = await withDisks([{}]);
    expect(status).toBe(0);
    expect(did).toEqual([`${FORMAT} nvme1n1`, 'mount -o noatime nvme1n1 work']);
    expect(said).toContain('the working directory is on nvme1n1\n');
  });

  it('makes XFS where there is no ext4', async () => {
    const { did } = await withDisks([{}], { 'mkfs.xfs': '' }, ['mkfs.ext4']);
    expect(did).toEqual(['mkfs.xfs -q -f -K -L autoscaler nvme1n1', 'mount -o noatime nvme1n1 work']);
  });

  it('stripes several disks', async () => {
    const { did } = await withDisks([{}, {}], { mdadm: '' });
    expect(did).toEqual([
      'mdadm --create striped --run --quiet --level=0 --homehost=any --name=autoscaler --raid-devices=2 nvme1n1 nvme2n1',
      `${FORMAT} striped`,
      'mount -o noatime striped work',
    ]);
  });

  it('takes the first of several disks where there is no mdadm, and says so', async () => {
    const { did, said } = await withDisks([{}, {}]);
    expect(did).toEqual([`${FORMAT} nvme1n1`, 'mount -o noatime nvme1n1 work']);
    expect(said).toMatch(/only nvme1n1 of 2 disks is used: there is no mdadm to stripe them\n/);
  });

  it('mounts what an earlier boot made, as it is', async () => {
    const { did } = await withDisks([{ signature: 'ext4', label: 'autoscaler' }]);
    expect(did).toEqual(['mount -o noatime nvme1n1 work']);
  });

  it('does nothing if the disk is mounted already', async () => {
    const { status, did } = await withDisks([{}], { mountpoint: '' });
    expect({ status, did }).toEqual({ status: 0, did: [] });
  });

  it.each([
    { case: 'with a file system of somebody else', disk: { signature: 'ext4', label: 'data' } },
    { case: 'with a partition table', disk: { signature: 'gpt', used: true, partition: true } },
    { case: 'of an array', disk: { signature: 'linux_raid_member' } },
    { case: 'that something is made of', disk: { used: true } },
  ])('leaves a disk alone $case', async ({ disk }) => {
    const alone = await withDisks([disk]);
    expect(alone).toMatchObject({ status: 0, did: [] });
    expect(alone.said).toContain('nvme1n1 is left alone: it is in use, or holds data\n');
    expect(alone.said).toContain(
      'the working directory is on the root volume: no disk of the instance store is empty\n',
    );
    const beside = await withDisks([disk, {}]);
    expect(beside.did).toEqual([`${FORMAT} nvme2n1`, 'mount -o noatime nvme2n1 work']);
  });

  it('leaves a disk alone that cannot be looked at', async () => {
    expect((await withDisks([{}], { wipefs: 'exit 1' })).did).toEqual([]);
    expect((await withDisks([{}], { lsblk: 'exit 1' })).did).toEqual([]);
  });

  it.each([
    {
      case: 'the instance type has none',
      disks: [],
      commands: {},
      because: 'this instance type has no instance store (NVMe)',
    },
    {
      case: 'it cannot be formatted',
      disks: [{}],
      commands: { 'mkfs.ext4': 'exit 1' },
      because: 'nvme1n1 cannot be formatted',
    },
    {
      case: 'it cannot be mounted',
      disks: [{}],
      commands: { mount: 'exit 32' },
      because: 'nvme1n1 cannot be mounted',
    },
    {
      case: 'it cannot be striped',
      disks: [{}, {}],
      commands: { mdadm: 'exit 1' },
      because: 'its disks cannot be striped',
    },
  ])('falls back to the root volume, and says so, if $case', async ({ disks, commands, because }) => {
    const { status, said } = await withDisks(disks, commands);
    expect(status).toBe(0);
    expect(said).toContain(`instance-store: the working directory is on the root volume: ${because}\n`);
  });
});
