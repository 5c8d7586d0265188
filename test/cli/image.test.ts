import { ImagebuilderClient } from '@aws-sdk/client-imagebuilder';
import { SSMClient } from '@aws-sdk/client-ssm';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readBuiltImage } from '../../cli/deployed/images.ts';
import { ImageAws } from '../support/image-aws.ts';
import { runAgainstAws } from '../support/in-process.ts';
import { address } from '../support/serve.ts';

const STOCK = 'ami-00000000000000001';
const FIRST = 'ami-00000000000000002';
const SECOND = 'ami-00000000000000003';
const PIPELINE = 'arn:aws:imagebuilder:eu-west-1:111122223333:image-pipeline/circleci-runners-linux';

const parameter = (fleet: string) => `/circleci-runners/images/${fleet}`;
const at = (day: number) => Date.UTC(2026, 10, day);

let aws: ImageAws;
/** Runs `npm run image -- ...` against the stand-in. */
const command = (...words: string[]) => runAgainstAws(address(aws.server), 'image', words);

beforeEach(async () => {
  aws = await new ImageAws().listen();
  aws.pipelines = [PIPELINE];
  aws.images = new Map([STOCK, FIRST, SECOND].map((id) => [id, new Map()]));
  for (const fleet of ['linux', 'large']) {
    aws.put(`/circleci-runners/fleets/${fleet}`, JSON.stringify({ imageBuiltBy: 'circleci-runners-linux' }));
    aws.put(parameter(fleet), STOCK, at(1));
    aws.put(parameter(fleet), FIRST, at(8));
  }
  aws.put('/circleci-runners/fleets/stock', '{}');
  aws.put(parameter('linux'), SECOND, at(15));
  const arn = (build: number) =>
    `arn:aws:imagebuilder:eu-west-1:111122223333:image/circleci-runners-linux/1.0.7/${build}`;
  aws.builds = [
    { arn: arn(1), status: 'AVAILABLE', ami: FIRST, createdAt: '2026-11-08T03:00:00.000Z' },
    { arn: arn(2), status: 'AVAILABLE', ami: SECOND, createdAt: '2026-11-15T03:00:00.000Z' },
    { arn: arn(3), status: 'FAILED', reason: 'apt-get failed', createdAt: '2026-11-22T03:00:00.000Z' },
  ];
});
afterEach(() => aws.close());

describe('npm run image -- list', () => {
  it('shows the image of each fleet and the builds, the latest first', async () => {
    const { status, stdout, stderr } = await command('list');
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout.trimEnd().split('\n')).toEqual([
      `linux: ${SECOND} since 2026-11-15T00:00:00.000Z`,
      `large: ${FIRST} since 2026-11-08T00:00:00.000Z`,
      '',
      '1.0.7/3  FAILED        2026-11-22 03:00',
      `1.0.7/2  AVAILABLE     2026-11-15 03:00  ${SECOND}  linux`,
      `1.0.7/1  AVAILABLE     2026-11-08 03:00  ${FIRST}  large`,
    ]);
  });

  it('says the same as JSON', async () => {
    const { stdout } = await command('list', 'large', '--json');
    const { fleets, builds } = JSON.parse(stdout);
    expect(fleets).toEqual([
      { fleet: 'large', pipeline: PIPELINE, image: FIRST, since: '2026-11-08T00:00:00.000Z' },
    ]);
    expect(
      builds.map(({ status, usedBy }: { status: string; usedBy: string[] }) => [status, usedBy]),
    ).toEqual([
      ['FAILED', []],
      ['AVAILABLE', []],
      ['AVAILABLE', ['large']],
    ]);
  });

  it('says what to do if nothing was built yet', async () => {
    aws.builds = [];
    const { stdout } = await command('list', 'large');
    expect(stdout.replaceAll(/\s+/g, ' ')).toContain(
      `large: ${FIRST} since 2026-11-08T00:00:00.000Z, which no build here has made `,
    );
    expect(stdout).toContain('Nothing was built yet. Build now: npm run image -- build FLEET');
  });
});

describe('the image of a fleet, for its status', () => {
  const read = (fleet: string) => {
    const client = {
      region: aws.region,
      endpoint: address(aws.server),
      credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
    };
    return readBuiltImage('circleci-runners', fleet, PIPELINE, {
      ssm: new SSMClient(client),
      imageBuilder: new ImagebuilderClient(client),
    });
  };

  it('is the one in use, with the last build', async () => {
    expect(await read('linux')).toEqual({
      image: SECOND,
      at: at(15),
      lastBuild: expect.objectContaining({ build: '1.0.7/3', status: 'FAILED' }),
    });
  });

  it('has no last build before the first one', async () => {
    aws.builds = [];
    expect(await read('large')).toEqual({ image: FIRST, at: at(8), lastBuild: undefined });
  });
});

describe('npm run image -- build', () => {
  /** The build goes through these states, one for each look. */
  const goesThrough = (...statuses: { status: string; ami?: string; reason?: string }[]) => {
    aws.after = (operation) => {
      const build = aws.builds.at(-1);
      const next = operation === 'GetImage' ? statuses.shift() : undefined;
      if (build !== undefined && next !== undefined) Object.assign(build, next);
    };
  };

  /** The build has failed before the first look. */
  const failsAtOnce = (reason: string) => {
    aws.after = (operation) => {
      const build = aws.builds.at(-1);
      if (operation === 'StartImagePipelineExecution' && build !== undefined)
        Object.assign(build, { status: 'FAILED', reason });
    };
  };

  it('waits, and shows each state once', async () => {
    goesThrough(
      { status: 'BUILDING' },
      { status: 'BUILDING' },
      { status: 'AVAILABLE', ami: 'ami-00000000000000004' },
    );
    const { status, stdout, stderr } = await command('build', 'large', '--every', '1s');
    expect(status).toBe(0);
    expect(stdout).toBe(
      'The image ami-00000000000000004 is built. It reaches the fleets that have it within a minute.\n',
    );
    expect(stderr.trimEnd().split('\n')).toEqual([
      'Build 1.0.7/4, log group /aws/imagebuilder/circleci-runners-linux',
      expect.stringMatching(/^pending, after \ds$/),
      expect.stringMatching(/^building, after \ds$/),
      expect.stringMatching(/^available, after \ds$/),
    ]);
  });

  it('ends with code 1 and the log if the build fails', async () => {
    failsAtOnce('image-build: failed in line 14');
    const { status, stderr } = await command('build', 'linux', '--every', '1s');
    expect(status).toBe(1);
    expect(stderr).toContain(
      'The build 1.0.7/4 of fleet linux has ended as FAILED: image-build: failed in line 14. Its log is the stream 1.0.7/4 of /aws/imagebuilder/circleci-runners-linux. The fleet keeps its image.',
    );
  });

  it('prints one JSON object, also of a failure', async () => {
    failsAtOnce('no');
    const { status, stdout } = await command('build', 'linux', '--every', '1s', '--json');
    expect(status).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({
      fleet: 'linux',
      build: '1.0.7/4',
      status: 'FAILED',
      reason: 'no',
    });
  });

  it('does not wait with --no-wait', async () => {
    const { status, stdout } = await command('build', 'linux', '--no-wait');
    expect({ status, stdout }).toEqual({
      status: 0,
      stdout: 'The build 1.0.7/4 has started. See: npm run image -- list linux\n',
    });
  });
});

describe('npm run image -- use', () => {
  it('gives one fleet an image, and keeps it from being deleted', async () => {
    const { status, stdout } = await command('use', FIRST, 'linux');
    expect(status).toBe(0);
    expect(stdout).toBe(
      `Fleet linux has the image ${FIRST}, and had ${SECOND}. New launches use it. Idle instances get it by: npm run recycle -- linux\n`,
    );
    expect(aws.valueOf(parameter('linux'))).toBe(FIRST);
    expect(aws.images.get(FIRST)?.get('circleci-runners:image-in-use')).toBe('circleci-runners');
  });

  it('takes the mark from the image before', async () => {
    aws.put(parameter('large'), STOCK);
    await command('use', FIRST, 'linux');
    await command('use', SECOND, 'linux');
    expect(aws.images.get(FIRST)?.size).toBe(0);
    expect(aws.images.get(SECOND)?.size).toBe(1);
  });

  it('leaves the mark to an image that another fleet still has', async () => {
    await command('use', FIRST, 'linux');
    await command('use', FIRST, 'large');
    await command('use', SECOND, 'linux');
    expect(aws.images.get(FIRST)?.size).toBe(1);
    await command('use', SECOND, 'large');
    expect(aws.images.get(FIRST)?.size).toBe(0);
  });

  it('refuses an image that does not exist, and changes nothing', async () => {
    const { status, stderr } = await command('use', 'ami-0000000000000dead', 'linux');
    expect(status).toBe(2);
    expect(stderr).toContain('The image must be one that this account can launch in this region');
    expect(aws.valueOf(parameter('linux'))).toBe(SECOND);
  });
});

describe('npm run image -- rollback', () => {
  it('goes back one image at a time, for one fleet', async () => {
    expect((await command('rollback', 'linux', '--json')).stdout).toBe(
      `${JSON.stringify({ fleet: 'linux', image: FIRST, before: SECOND })}\n`,
    );
    expect(JSON.parse((await command('rollback', 'linux', '--json')).stdout).image).toBe(STOCK);
    expect(aws.valueOf(parameter('large'))).toBe(FIRST);
  });

  it('leaves out images that were deleted', async () => {
    aws.images.delete(FIRST);
    expect((await command('rollback', 'linux')).stdout).toContain(`Fleet linux has the image ${STOCK}`);
  });

  it('ends with code 1 if there is none', async () => {
    aws.images.delete(FIRST);
    aws.images.delete(STOCK);
    const { status, stderr } = await command('rollback', 'linux');
    expect(status).toBe(1);
    expect(stderr).toContain(`Fleet linux has had no image before ${SECOND} that still exists.`);
    expect(aws.valueOf(parameter('linux'))).toBe(SECOND);
  });
});

describe('npm run image', () => {
  it.each([
    {
      words: ['list', 'gone'],
      fault: 'The fleet must be a deployed one (linux, large, stock), got "gone"',
    },
    {
      words: ['build', 'stock'],
      fault: 'No image is built for fleet stock. Set image: {build: weekly}',
    },
    {
      words: ['build'],
      fault: 'The words after build must be FLEET, got none. For example: npm run image -- build FLEET',
    },
    { words: ['use', 'linux'], fault: 'The words after use must be IMAGE FLEET, got linux.' },
    { words: ['remove', 'linux'], fault: 'Allowed choices are list, build, use, rollback' },
    {
      words: ['list', '--no-wait'],
      fault: '--no-wait only works with build: add that, or leave --no-wait out.',
    },
    { words: ['rollback', 'linux', '--every', '5s'], fault: '--every only works with build' },
    {
      words: ['build', 'linux', '--no-wait', '--every', '5s'],
      fault: '--every only works with build and without --no-wait',
    },
    {
      words: ['list', '--fleets', 'x.yaml'],
      fault: "unknown option '--fleets': this command reads what is deployed, not the file. Leave it out.",
    },
    { words: ['list', '--stack', 'other'], fault: 'Stack other has no fleets. Deploy it first' },
  ])('refuses $words with exit code 2', async ({ words, fault }) => {
    const { status, stderr } = await command(...words);
    expect(status).toBe(2);
    expect(stderr).toContain(fault);
    expect(aws.builds).toHaveLength(3);
  });

  it('says what AWS refused', async () => {
    aws.denied.add('PutParameter');
    const { status, stderr } = await command('use', FIRST, 'linux');
    expect(status).not.toBe(0);
    expect(stderr).toContain('AccessDenied');
  });
});
