import { AutoScalingClient } from '@aws-sdk/client-auto-scaling';
import { connectionSettings } from '../../functions/lib/client-settings.ts';

export interface StandInInstance {
  id: string;
  state: string;
  protected: boolean;
}

/**
 * A stand-in of one Auto Scaling group, for the function of the group settings: https://docs.aws.amazon.com/autoscaling/ec2/APIReference
 * It leaves out pages, limits and permissions.
 */
export class GroupSettingsAws {
  /** The group's instances; without them it is gone. */
  instances: StandInInstance[] | undefined = [];
  tags: Record<string, string> = {};
  /** The API's actions in the order in which they were called, with the group that each named. */
  calls: { action: string; parameters: URLSearchParams }[] = [];
  /** An error instead of an action's true answer. */
  fault: { action: string; status: number; code: string } | undefined;
  /** What happens behind the handler's back after an action. */
  meanwhile: (action: string) => void = () => undefined;
  readonly #group: string;

  constructor(group: string) {
    this.#group = group;
  }

  /** A client of this AWS, as the function makes its own. */
  client(): AutoScalingClient {
    const client = new AutoScalingClient({
      ...connectionSettings,
      maxAttempts: 3,
      region: 'eu-west-1',
      endpoint: 'http://127.0.0.1:1', // nobody listens there
      credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
    });
    client.config.requestHandler = {
      handle: async (request: { body: string }) => {
        const parameters = new URLSearchParams(request.body);
        const action = parameters.get('Action') ?? '';
        this.calls.push({ action, parameters });
        const { status, body } = this.#answer(action, parameters);
        this.meanwhile(action);
        const headers = { 'content-type': 'text/xml' };
        return { response: { statusCode: status, headers, body: new TextEncoder().encode(body) } };
      },
    } as never;
    return client;
  }

  #answer(action: string, parameters: URLSearchParams): { status: number; body: string } {
    const error = (status: number, code: string, message: string) => ({
      status,
      body: `<ErrorResponse><Error><Type>Sender</Type><Code>${code}</Code><Message>${message}</Message></Error></ErrorResponse>`,
    });
    const result = (content: string) => ({
      status: 200,
      body: `<${action}Response xmlns="http://autoscaling.amazonaws.com/doc/2011-01-01/"><${action}Result>${content}</${action}Result></${action}Response>`,
    });
    const { instances, tags, fault } = this;
    if (fault?.action === action) return error(fault.status, fault.code, 'as the test wants it');
    if (action === 'DescribeAutoScalingGroups') {
      const members = instances?.map(
        (instance) =>
          `<member><InstanceId>${instance.id}</InstanceId><LifecycleState>${instance.state}</LifecycleState><ProtectedFromScaleIn>${instance.protected}</ProtectedFromScaleIn></member>`,
      );
      const named = Object.entries(tags).map(
        ([key, value]) => `<member><Key>${key}</Key><Value>${value}</Value></member>`,
      );
      const group = `<member><AutoScalingGroupName>${this.#group}</AutoScalingGroupName><Instances>${members?.join('')}</Instances><Tags>${named.join('')}</Tags></member>`;
      return result(`<AutoScalingGroups>${members === undefined ? '' : group}</AutoScalingGroups>`);
    }
    if (instances === undefined) return error(400, 'ValidationError', 'AutoScalingGroup name not found');
    if (action === 'CreateOrUpdateTags')
      tags[parameters.get('Tags.member.1.Key') ?? ''] = parameters.get('Tags.member.1.Value') ?? '';
    if (action === 'SetInstanceProtection') {
      const ids = listed(parameters, 'InstanceIds');
      if (ids.length > 50) return error(400, 'ValidationError', 'more than 50 instances');
      const named = instances.filter((instance) => ids.includes(instance.id));
      const unfit = named.find((instance) => !/^(InService|EnteringStandby|Standby)$/.test(instance.state));
      if (unfit !== undefined) {
        const message = `The instance ${unfit.id} is not in InService or EnteringStandby or Standby.`;
        return error(400, 'ValidationError', message);
      }
      for (const instance of named) instance.protected = parameters.get('ProtectedFromScaleIn') === 'true';
    }
    return result('');
  }
}

/** The items of a list in a request of the query API. */
export const listed = (parameters: URLSearchParams, name: string) =>
  [...parameters].flatMap(([key, value]) => (key.startsWith(`${name}.member.`) ? [value] : []));
