import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { text } from 'node:stream/consumers';

/** A build of an image, as EC2 Image Builder knows it. */
export interface StandInBuild {
  arn: string;
  status: string;
  reason?: string;
  ami?: string;
  createdAt: string;
}

interface Version {
  value: string;
  at: number;
}

/** An instance in a warm pool. */
export interface StandInPoolMember {
  id: string;
  state: string;
  image: string;
  /** Whether its launch template gave it the tag by which it may be replaced. */
  tagged?: boolean;
}

interface Answer {
  status: number;
  body: string;
}

/**
 * A stand-in of the AWS in which images are built: EC2 Image Builder (REST), parameters with their versions (JSON), images
 * and topics (query APIs). It answers as the APIs do, errors included. A parameter of the type of an image refuses what is no
 * image's id; the real one checks later, and keeps the version with an error. It leaves out pages, limits and permissions.
 *
 * https://docs.aws.amazon.com/imagebuilder/latest/APIReference, https://docs.aws.amazon.com/systems-manager/latest/APIReference
 */
export class ImageAws {
  readonly region = 'eu-west-1';
  /** The versions of each parameter. */
  parameters = new Map<string, Version[]>();
  /** The images that exist, and their tags. */
  images = new Map<string, Map<string, string>>();
  builds: StandInBuild[] = [];
  pipelines: string[] = [];
  /** The warm pool of each group that has one. */
  pools = new Map<string, { suspended?: string[]; members: StandInPoolMember[] }>();
  terminated: string[] = [];
  messages: { topic: string; subject: string; message: string }[] = [];
  /** Topics that were deleted. */
  deletedTopics = new Set<string>();
  /** Operations that are refused, as for a person without the right. */
  denied = new Set<string>();
  /** Parameters that nobody may read or write. */
  deniedParameters = new Set<string>();
  readonly calls: string[] = [];
  now = () => Date.now();
  /** What happens after an operation. */
  after: (operation: string) => void = () => undefined;
  readonly server: Server = createServer(async (request, response) => {
    const body = await text(request);
    const target = `${request.headers['x-amz-target'] ?? ''}`;
    const path = new URL(request.url ?? '', 'http://aws').pathname.slice(1);
    const rest = path !== '';
    const operation = rest
      ? path
      : target === ''
        ? (new URLSearchParams(body).get('Action') ?? '')
        : (target.split('.')[1] ?? '');
    this.calls.push(operation);
    const { status, body: answer } = this.#answer(operation, rest, target !== '', body, request.url ?? '');
    const type = rest ? 'application/json' : target === '' ? 'text/xml' : 'application/x-amz-json-1.1';
    response.writeHead(status, { 'content-type': type }).end(answer);
    this.after(operation);
  });

  async listen(): Promise<this> {
    this.server.listen(0, '127.0.0.1');
    await once(this.server, 'listening');
    return this;
  }

  close(): void {
    this.server.close();
    this.server.closeAllConnections();
  }

  /** The id that launches read. */
  valueOf = (name: string) => this.parameters.get(name)?.at(-1)?.value;

  put(name: string, value: string, at = this.now()): void {
    this.parameters.set(name, [...(this.parameters.get(name) ?? []), { value, at }]);
  }

  #answer(operation: string, rest: boolean, json: boolean, body: string, url: string): Answer {
    if (this.denied.has(operation)) {
      if (rest || json)
        return { status: 403, body: JSON.stringify({ __type: 'AccessDeniedException', message: 'no' }) };
      return {
        status: 403,
        body: '<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>no</Message></Error></Errors></Response>',
      };
    }
    if (rest) return this.#imageBuilder(operation, body === '' ? {} : JSON.parse(body), url);
    return json
      ? this.#parameterStore(operation, JSON.parse(body))
      : this.#query(operation, new URLSearchParams(body));
  }

  #imageBuilder(operation: string, asked: Record<string, string>, url: string): Answer {
    const done = (content: object): Answer => ({ status: 200, body: JSON.stringify(content) });
    const refused = (code: string, message: string): Answer => ({
      status: 400,
      body: JSON.stringify({ code, __type: code, message }),
    });
    const described = ({ arn, status, reason, ami, createdAt }: StandInBuild) => ({
      arn,
      name: /image\/([^/]+)/.exec(arn)?.[1],
      version: /image\/[^/]+\/(.+)$/.exec(arn)?.[1],
      state: { status, ...(reason !== undefined && { reason }) },
      dateCreated: createdAt,
      outputResources: {
        amis: [
          { region: 'us-east-1', image: 'ami-0fffffffffffffff0' },
          ...(ami === undefined ? [] : [{ region: this.region, image: ami }]),
        ],
      },
    });
    switch (operation) {
      case 'GetImage': {
        const arn = new URL(url, 'http://aws').searchParams.get('imageBuildVersionArn');
        const build = this.builds.find((candidate) => candidate.arn === arn);
        return build === undefined
          ? refused('ResourceNotFoundException', `${arn} cannot be found`)
          : done({ image: described(build) });
      }
      case 'ListImagePipelineImages':
        if (!this.pipelines.includes(asked.imagePipelineArn ?? ''))
          return refused('ResourceNotFoundException', 'The pipeline cannot be found');
        return done({ imageSummaryList: this.builds.map(described) });
      case 'StartImagePipelineExecution': {
        if (!this.pipelines.includes(asked.imagePipelineArn ?? ''))
          return refused('ResourceNotFoundException', 'The pipeline cannot be found');
        const name = asked.imagePipelineArn?.split('/').at(-1);
        const arn = `arn:aws:imagebuilder:${this.region}:111122223333:image/${name}/1.0.7/${this.builds.length + 1}`;
        this.builds.push({ arn, status: 'PENDING', createdAt: new Date(this.now()).toISOString() });
        return done({ imageBuildVersionArn: arn });
      }
      default:
        return { status: 404, body: '{}' };
    }
  }

  #parameterStore(operation: string, asked: Record<string, string>): Answer {
    const done = (content: object): Answer => ({ status: 200, body: JSON.stringify(content) });
    const refused = (code: string): Answer => ({ status: 400, body: JSON.stringify({ __type: code }) });
    const { Name = '', Value = '', Path = '' } = asked;
    const versions = this.parameters.get(Name);
    if (this.deniedParameters.has(Name)) return refused('AccessDeniedException');
    switch (operation) {
      case 'GetParameter':
        return versions === undefined
          ? refused('ParameterNotFound')
          : done({ Parameter: { Name, Value: versions.at(-1)?.value } });
      case 'GetParameterHistory':
        return versions === undefined
          ? refused('ParameterNotFound')
          : done({
              Parameters: versions.map(({ value, at }, index) => ({
                Name,
                Value: value,
                Version: index + 1,
                LastModifiedDate: at / 1_000,
              })),
            });
      case 'GetParametersByPath':
        return done({
          Parameters: [...this.parameters].flatMap(([name, all]) =>
            name.startsWith(`${Path}/`)
              ? [
                  {
                    Name: name,
                    Value: all.at(-1)?.value,
                    ARN: `arn:aws:ssm:${this.region}:111122223333:parameter${name}`,
                  },
                ]
              : [],
          ),
        });
      case 'PutParameter':
        if (versions !== undefined && !asked.Overwrite) return refused('ParameterAlreadyExists');
        if (asked.DataType === 'aws:ec2:image' && !/^ami-[0-9a-f]{17}$/.test(Value))
          return refused('ValidationException');
        this.put(Name, Value);
        return done({ Version: (versions?.length ?? 0) + 1 });
      default:
        return refused('UnknownOperation');
    }
  }

  #query(operation: string, asked: URLSearchParams): Answer {
    const done = (content: string): Answer => ({ status: 200, body: content });
    switch (operation) {
      case 'DescribeImages': {
        const ids = [...asked].flatMap(([key, value]) => (/^Filter\.1\.Value\./.test(key) ? [value] : []));
        const tag = /^tag:(.*)/.exec(asked.get('Filter.2.Name') ?? '')?.[1];
        const items = ids
          .filter((id) => this.images.has(id))
          .filter(
            (id) => tag === undefined || this.images.get(id)?.get(tag) === asked.get('Filter.2.Value.1'),
          )
          .map((id) => {
            const made = this.builds.find(({ ami }) => ami === id)?.createdAt;
            return `<item><imageId>${id}</imageId><imageState>available</imageState>${made ? `<creationDate>${made}</creationDate>` : ''}</item>`;
          });
        return done(
          `<DescribeImagesResponse><imagesSet>${items.join('')}</imagesSet></DescribeImagesResponse>`,
        );
      }
      case 'CreateTags':
        for (const [key, id] of asked)
          if (key.startsWith('ResourceId.'))
            this.images.get(id)?.set(asked.get('Tag.1.Key') ?? '', asked.get('Tag.1.Value') ?? '');
        return done('<CreateTagsResponse><return>true</return></CreateTagsResponse>');
      case 'DeleteTags':
        for (const [key, id] of asked)
          if (key.startsWith('ResourceId.')) this.images.get(id)?.delete(asked.get('Tag.1.Key') ?? '');
        return done('<DeleteTagsResponse><return>true</return></DeleteTagsResponse>');
      case 'DescribeAutoScalingGroups': {
        const name = asked.get('AutoScalingGroupNames.member.1') ?? '';
        const pool = this.pools.get(name);
        const suspended = (pool?.suspended ?? []).map(
          (process) => `<member><ProcessName>${process}</ProcessName></member>`,
        );
        return done(
          `<DescribeAutoScalingGroupsResponse><DescribeAutoScalingGroupsResult><AutoScalingGroups><member><AutoScalingGroupName>${name}</AutoScalingGroupName><SuspendedProcesses>${suspended.join('')}</SuspendedProcesses>${pool === undefined ? '' : '<WarmPoolConfiguration><MinSize>1</MinSize></WarmPoolConfiguration>'}</member></AutoScalingGroups></DescribeAutoScalingGroupsResult></DescribeAutoScalingGroupsResponse>`,
        );
      }
      case 'DescribeWarmPool': {
        const members = this.pools.get(asked.get('AutoScalingGroupName') ?? '')?.members ?? [];
        const items = members.map(
          ({ id, state }) =>
            `<member><InstanceId>${id}</InstanceId><LifecycleState>${state}</LifecycleState></member>`,
        );
        return done(
          `<DescribeWarmPoolResponse><DescribeWarmPoolResult><Instances>${items.join('')}</Instances></DescribeWarmPoolResult></DescribeWarmPoolResponse>`,
        );
      }
      case 'DescribeInstances': {
        const ids = [...asked].flatMap(([key, value]) => (/^Filter\.1\.Value\./.test(key) ? [value] : []));
        const items = [...this.pools.values()]
          .flatMap(({ members }) => members)
          .filter(({ id }) => ids.includes(id))
          .map(
            ({ id, image, tagged = true }) =>
              `<item><instanceId>${id}</instanceId><imageId>${image}</imageId><tagSet>${tagged ? '<item><key>circleci-runners:pool-image</key><value>refresh</value></item>' : ''}</tagSet></item>`,
          );
        return done(
          `<DescribeInstancesResponse><reservationSet><item><instancesSet>${items.join('')}</instancesSet></item></reservationSet></DescribeInstancesResponse>`,
        );
      }
      case 'TerminateInstances': {
        const ids = [...asked].flatMap(([key, value]) => (key.startsWith('InstanceId.') ? [value] : []));
        for (const pool of this.pools.values())
          pool.members = pool.members.filter(({ id }) => !ids.includes(id));
        this.terminated.push(...ids);
        return done('<TerminateInstancesResponse><instancesSet/></TerminateInstancesResponse>');
      }
      case 'Publish':
        if (this.deletedTopics.has(asked.get('TopicArn') ?? ''))
          return {
            status: 404,
            body: '<ErrorResponse><Error><Type>Sender</Type><Code>NotFound</Code><Message>Topic does not exist</Message></Error></ErrorResponse>',
          };
        this.messages.push({
          topic: asked.get('TopicArn') ?? '',
          subject: asked.get('Subject') ?? '',
          message: asked.get('Message') ?? '',
        });
        return done(
          '<PublishResponse><PublishResult><MessageId>1</MessageId></PublishResult></PublishResponse>',
        );
      case 'GetCallerIdentity':
        return done(
          '<GetCallerIdentityResponse><GetCallerIdentityResult><Account>111122223333</Account></GetCallerIdentityResult></GetCallerIdentityResponse>',
        );
      default:
        return {
          status: 400,
          body: '<ErrorResponse><Error><Code>InvalidAction</Code></Error></ErrorResponse>',
        };
    }
  }
}
