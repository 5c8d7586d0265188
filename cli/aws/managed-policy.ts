import { text } from 'node:stream/consumers';
import type { STSClient } from '@aws-sdk/client-sts';

/**
 * Where each partition has IAM, which is in one region of it. Of others it is not known.
 * https://docs.aws.amazon.com/general/latest/gr/iam-service.html
 */
const IAM: Partial<Record<string, { host: string; region: string }>> = {
  aws: { host: 'iam.amazonaws.com', region: 'us-east-1' },
  'aws-cn': { host: 'iam.cn-north-1.amazonaws.com.cn', region: 'cn-north-1' },
  'aws-us-gov': { host: 'iam.us-gov.amazonaws.com', region: 'us-gov-west-1' },
};

/** IAM did not say whether it has a policy. The name is that of the error. */
class IamFailed extends Error {
  constructor(override readonly name: string) {
    super(`iam:GetPolicy was refused`);
  }
}

/**
 * Whether IAM has a managed policy; `undefined` if it is not known where the partition has IAM. The SDK's client of IAM is larger
 * than all of this command, and this is the only call: so the client of STS signs and sends it.
 *
 * @throws Error with the name of IAM's error
 */
export async function hasManagedPolicy(arn: string, { config }: STSClient): Promise<boolean | undefined> {
  const [, partition = ''] = arn.split(':');
  const iam = IAM[partition];
  if (iam === undefined) return undefined;
  const { AWS_ENDPOINT_URL_IAM, AWS_ENDPOINT_URL } = process.env;
  const { protocol, hostname, port } = new URL(
    AWS_ENDPOINT_URL_IAM || AWS_ENDPOINT_URL || `https://${iam.host}`,
  );
  const signing = { signingName: 'iam', signingRegion: iam.region };
  const signer = await config.signer({ name: 'sigv4', ...signing, properties: {} });
  const request = await signer.sign(
    {
      method: 'POST',
      protocol,
      hostname,
      ...(port !== '' && { port: Number(port) }),
      path: '/',
      query: {},
      headers: {
        host: port === '' ? hostname : `${hostname}:${port}`,
        'content-type': 'application/x-www-form-urlencoded',
      },
      body: new URLSearchParams({ Action: 'GetPolicy', Version: '2010-05-08', PolicyArn: arn }).toString(),
    },
    { signingService: 'iam', signingRegion: iam.region },
  );
  const { response } = await config.requestHandler.handle(request as never);
  const body = await text(response.body);
  if (response.statusCode === 200) return true;
  const [, code = `HTTP ${response.statusCode}`] = /<Code>(\w+)<\/Code>/.exec(body) ?? [];
  if (code === 'NoSuchEntity') return false;
  throw new IamFailed(code);
}
