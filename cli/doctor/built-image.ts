import { EC2Client } from '@aws-sdk/client-ec2';
import { ImagebuilderClient } from '@aws-sdk/client-imagebuilder';
import { SSMClient } from '@aws-sdk/client-ssm';
import { AWS_CLIENT } from '../aws/client.ts';
import { type Build, buildsOf, fleetsWithImage, imageVersionsOf, isAvailable } from '../deployed/images.ts';
import { bad, type Check, type Finding, ok } from './check.ts';

/**
 * @param image The image that the fleet's launches use, and whether it exists.
 * @param builds The builds of the fleet's image, the latest first.
 */
export function builtImageFindings(
  fleet: string,
  image: { id: string; available: boolean },
  builds: Pick<Build, 'build' | 'status'>[],
): Finding[] {
  const findings = [
    image.available
      ? ok(`image ${image.id} is available`, fleet)
      : bad('fail', `image ${image.id} does not exist any more`, `npm run image -- rollback ${fleet}`, fleet),
  ];
  const [last] = builds;
  if (last === undefined)
    findings.push(bad('warn', 'no image was built yet', `npm run image -- build ${fleet}`, fleet));
  if (last?.status === 'FAILED')
    findings.push(
      bad(
        'warn',
        `the last build of the image, ${last.build}, failed`,
        'see docs/operations.md, "Image Build Failed"',
        fleet,
      ),
    );
  return findings;
}

/** The images that EC2 Image Builder makes for deployed fleets. */
export const builtImages: Check = {
  name: 'built image',
  run: async ({ app, settings }) => {
    if ([...settings.values()].every(({ imageBuiltBy }) => imageBuiltBy === undefined)) return [];
    const ssm = new SSMClient(AWS_CLIENT);
    const { fleets } = await fleetsWithImage(app, ssm);
    const findings = fleets.map(async ({ fleet, pipeline }) => {
      const id = (await imageVersionsOf(app, fleet, ssm)).at(-1)?.image ?? '';
      const available = await isAvailable(id, new EC2Client(AWS_CLIENT));
      const builds = await buildsOf(pipeline, new ImagebuilderClient(AWS_CLIENT));
      return builtImageFindings(fleet, { id, available }, builds);
    });
    return (await Promise.all(findings)).flat();
  },
};
