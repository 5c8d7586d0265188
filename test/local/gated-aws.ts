import { LocalAws } from '../../cli/local-aws/local-aws.ts';
import { Gate } from './models/gate.ts';

/** Starts a local AWS, and lets all clients of this process and of its children use it through a gate. */
export async function startGatedAws(): Promise<{ aws: LocalAws; gate: Gate }> {
  const aws = await LocalAws.start(() => undefined);
  const gate = await Gate.before(aws.environment.AWS_ENDPOINT_URL ?? '');
  aws.environment.AWS_ENDPOINT_URL = gate.url;
  aws.adopt();
  return { aws, gate };
}
