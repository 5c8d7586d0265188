import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App, type AppProps } from 'aws-cdk-lib';
import * as z from 'zod';
import type { FleetConfig } from '../../fleets/load.ts';
import { logicalId, STACK_NAME } from '../../fleets/names.ts';
import { type AppStacks, stacksOf } from '../../infra/stacks.ts';
import { PolicyStatement } from '../support/policies.ts';

const { context } = z
  .object({ context: z.record(z.string(), z.unknown()) })
  .parse(JSON.parse(readFileSync('cdk.json', 'utf8')));

interface AppOptions {
  /** Whether the synthesis validates the template by CloudFormation's rules, which takes most of its time. */
  validated: boolean;
}

/**
 * The app as cdk.json runs it, but without bundling the functions' code, and by default without validation:
 * validation.test.ts validates templates with every setting.
 */
export function appOf(
  fleets: FleetConfig[],
  options: AppOptions = { validated: false },
): { app: App; stacks: AppStacks } {
  const app = emptyApp(options);
  return { app, stacks: stacksOf(app, STACK_NAME, fleets) };
}

/** The same with nothing in it yet. */
export function emptyApp({ validated }: AppOptions = { validated: false }): App {
  return leanApp({
    builtinCloudFormationValidation: validated,
    context: { ...context, 'aws:cdk:bundling-stacks': [] },
  });
}

/**
 * An app in a folder of its own. It leaves out what takes a third of a synthesis and is not in a template: where each
 * resource is made, the tree of the constructs, and the validation.
 */
export const leanApp = (props: AppProps = {}): App =>
  new App({
    builtinCloudFormationValidation: false,
    treeMetadata: false,
    outdir: mkdtempSync(join(tmpdir(), 'app-')),
    ...props,
    context: { 'aws:cdk:disable-creation-stack-traces': true, ...props.context },
  });

/** A resource with every reference in its properties written out. */
interface Resource {
  id: string;
  type: string;
  properties: Record<string, unknown>;
  /** What stands beside the properties, such as `DependsOn` and `UpdatePolicy`. */
  attributes: Record<string, unknown>;
}

const Synthesised = z.object({
  Resources: z.record(
    z.string(),
    z.looseObject({
      Type: z.string(),
      Properties: z.record(z.string(), z.unknown()).default({}),
    }),
  ),
  Outputs: z.record(z.string(), z.object({ Value: z.unknown() })).default({}),
  Mappings: z.record(z.string(), z.record(z.string(), z.record(z.string(), z.string()))).default({}),
});

const Statement = z.object({
  Effect: z.literal('Allow'),
  Action: z.union([z.string(), z.array(z.string())]),
  Resource: z.union([z.string(), z.array(z.string())]),
  Condition: z.unknown().optional(),
});
const Policy = z.object({
  Roles: z.array(z.string()),
  PolicyDocument: z.object({ Statement: z.array(Statement) }),
});

const UserData = z.object({ LaunchTemplateData: z.object({ UserData: z.string() }) });

const Assets = z.object({
  files: z.record(
    z.string(),
    z.object({
      source: z.object({ path: z.string(), packaging: z.enum(['file', 'zip']) }),
      destinations: z.record(z.string(), z.object({ bucketName: z.string(), objectKey: z.string() })),
    }),
  ),
});

const PSEUDO_PARAMETERS: Record<string, string> = {
  'AWS::AccountId': '111122223333',
  'AWS::Partition': 'aws',
  'AWS::Region': 'eu-west-1',
  'AWS::StackName': STACK_NAME,
  'AWS::URLSuffix': 'amazonaws.com',
};

/** What `Fn::Sub` makes of a text that refers to pseudo parameters alone. */
const substituted = (text: string) =>
  text.replace(/\$\{([\w:]+)\}/g, (_, name) => PSEUDO_PARAMETERS[name] ?? name);

/** The single files that a deployment uploads: bucket and key of each by its content. */
function uploadsOf(outdir: string, stack: string): Map<string, string> {
  const { files } = Assets.parse(JSON.parse(readFileSync(join(outdir, `${stack}.assets.json`), 'utf8')));
  const single = Object.values(files).filter(({ source }) => source.packaging === 'file');
  return new Map(
    single.flatMap(({ source, destinations }) =>
      Object.values(destinations).map(({ bucketName, objectKey }) => [
        readFileSync(join(outdir, source.path), 'utf8'),
        `${substituted(bucketName)}/${objectKey}`,
      ]),
    ),
  );
}

const NAMES = [
  'FunctionName',
  'LogGroupName',
  'LaunchTemplateName',
  'AutoScalingGroupName',
  'StateMachineName',
  'QueueName',
  'TopicName',
  'AlarmName',
];

/**
 * The templates of an app as a reader of promises sees them: the resources of all stacks in one list. The ids of a fleet's
 * resources begin with the fleet's name, such as `LinuxFleetGroup`.
 */
export class SynthesisedTemplate {
  /** As they are deployed, the shared one first. */
  readonly templates: { stack: string; json: z.infer<typeof Synthesised> }[];
  /** All of them in one, with the ids of `resources`. */
  readonly json: { Resources: Record<string, unknown>; Outputs: Record<string, unknown> };
  readonly #uploads: Map<string, string>;
  readonly resources: Resource[];
  readonly outputs: Record<string, unknown>;

  static readonly #synthesised = new Map<string, SynthesisedTemplate>();

  /** The templates for these fleets. They are synthesised once for all tests of a worker. */
  static of(fleets: FleetConfig[]): SynthesisedTemplate {
    const key = JSON.stringify(fleets);
    const template = SynthesisedTemplate.#synthesised.get(key) ?? new SynthesisedTemplate(fleets);
    SynthesisedTemplate.#synthesised.set(key, template);
    return template;
  }

  private constructor(fleets: FleetConfig[]) {
    const { app, stacks } = appOf(fleets);
    // Not by `Template.fromStack`, which visits all constructs of the app for each stack.
    const assembly = app.synth();
    const parts = [
      { prefix: '', stack: stacks.shared },
      ...stacks.fleets.map((stack, index) => ({ prefix: logicalId(fleets[index]?.name ?? ''), stack })),
    ].map(({ prefix, stack }) => {
      const json = Synthesised.parse(assembly.getStackArtifact(stack.artifactId).template);
      return {
        prefix,
        stack: stack.stackName,
        json,
        names: new Names(prefix, stack.stackName, json),
      };
    });
    this.templates = parts;
    const merged = (what: 'Resources' | 'Outputs') =>
      Object.fromEntries(
        parts.flatMap(({ prefix, json }) => Object.entries(json[what]).map(([id, of]) => [prefix + id, of])),
      );
    this.json = { Resources: merged('Resources'), Outputs: merged('Outputs') };
    this.#uploads = new Map(parts.flatMap(({ stack }) => [...uploadsOf(app.outdir, stack)]));
    this.resources = parts.flatMap(({ prefix, json, names }) =>
      Object.entries(json.Resources).map(([id, { Type: type, Properties, ...attributes }]) => ({
        id: prefix + id,
        type,
        properties: names.resolve(Properties) as Record<string, unknown>,
        attributes: prefixed(prefix, attributes),
      })),
    );
    this.outputs = Object.fromEntries(
      parts.flatMap(({ prefix, json, names }) =>
        Object.entries(json.Outputs).map(([id, output]) => [prefix + id, names.resolve(output.Value)]),
      ),
    );
  }

  all(type: string): Resource[] {
    return this.resources.filter((resource) => resource.type === type);
  }

  /** The only resource of the type whose id begins so. */
  the(type: string, idPrefix = ''): Resource {
    const found = this.all(type).filter(({ id }) => id.startsWith(idPrefix));
    const [resource] = found;
    if (resource === undefined || found.length > 1)
      throw new Error(`${found.length} of ${type} ${idPrefix}: ${found.map(({ id }) => id)}`);
    return resource;
  }

  /** The resources of a fleet's stack. */
  ofFleet(id: string): Resource[] {
    return this.resources.filter((resource) =>
      new RegExp(`^${id}(Fleet|Settings|Schedule|ReconcileSchedule|Parameter|Alarms)`).test(resource.id),
    );
  }

  /** Bucket and key of the file with this content that a deployment uploads. */
  uploaded(content: string): string {
    const object = this.#uploads.get(content);
    if (object === undefined) throw new Error(`Nothing is uploaded that says ${content}`);
    return object;
  }

  /** What a role may do, as `action on resource`, in order. */
  permissions(role: unknown): string[] {
    return this.statements()
      .filter((statement) => statement.roles.includes(String(role)))
      .flatMap(({ actions, resources, condition }) =>
        actions.flatMap((action) =>
          resources.map(
            (resource) =>
              `${action} on ${resource}${condition === undefined ? '' : ` if ${JSON.stringify(condition)}`}`,
          ),
        ),
      )
      .toSorted();
  }

  /** The user data of the fleet of that id, as its instances get it. */
  userData(id: string): string {
    return UserData.parse(this.the('AWS::EC2::LaunchTemplate', `${id}Fleet`).properties).LaunchTemplateData
      .UserData;
  }

  /** The policies of all roles: nothing else gives a role of ours a permission, or it is an error. */
  policies(): Resource[] {
    return policiesAmong(this.resources);
  }

  /** Every statement of every role's policy. */
  statements(): { roles: string[]; actions: string[]; resources: string[]; condition: unknown }[] {
    return this.policies().flatMap(({ properties }) => {
      const { Roles, PolicyDocument } = Policy.parse(properties);
      return PolicyDocument.Statement.map((statement) => ({
        roles: Roles,
        actions: [statement.Action].flat(),
        resources: [statement.Resource].flat(),
        condition: statement.Condition,
      }));
    });
  }
}

/** `DependsOn` names resources of the same stack. */
const prefixed = (prefix: string, { DependsOn, ...attributes }: Record<string, unknown>) => ({
  ...attributes,
  ...(DependsOn !== undefined && { DependsOn: [DependsOn].flat().map((id) => `${prefix}${id}`) }),
});

/** Writes the references of one template out. */
class Names {
  constructor(
    readonly prefix: string,
    readonly stack: string,
    readonly template: z.infer<typeof Synthesised>,
  ) {}

  /** Writes references out: the pseudo parameters as one account's, a resource as `Type(name)`. */
  resolve(value: unknown): unknown {
    if (Array.isArray(value)) return value.map((item) => this.resolve(item));
    if (typeof value !== 'object' || value === null) return value;
    const [[key, argument] = [], ...others] = Object.entries(value);
    if (others.length === 0) {
      if (key === 'Ref') return this.#pseudo(String(argument)) ?? this.#named(String(argument));
      if (key === 'Fn::GetAtt') {
        const [id, attribute] = z.tuple([z.string(), z.string()]).parse(argument);
        return `${this.#named(id)}.${attribute}`;
      }
      if (key === 'Fn::Join') {
        const [separator, parts] = z.tuple([z.string(), z.array(z.unknown())]).parse(argument);
        return parts.map((part) => this.resolve(part)).join(separator);
      }
      // Tests compare user data as an instance gets it: with a log group's name, not with `LogGroup(name)`.
      if (key === 'Fn::Base64') return String(this.resolve(argument)).replace(/\bLogGroup\((.*?)\)/g, '$1');
      if (key === 'Fn::Sub') return substituted(String(argument));
      if (key === 'Fn::FindInMap') {
        const [map, first, second] = z
          .tuple([z.string(), z.string(), z.string()])
          .parse(this.resolve(argument));
        return this.template.Mappings[map]?.[first]?.[second];
      }
    }
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, this.resolve(item)]));
  }

  #pseudo(name: string): string | undefined {
    if (name === 'AWS::StackName') return this.stack;
    if (name === 'AWS::StackId') return `arn:aws:cloudformation:eu-west-1:111122223333:stack/${this.stack}/1`;
    return PSEUDO_PARAMETERS[name];
  }

  #named(id: string): string {
    const resource = this.template.Resources[id];
    const name = NAMES.map((key) => resource?.Properties[key]).find((value) => value !== undefined);
    return `${resource?.Type.split('::').at(-1)}(${name === undefined ? `${this.prefix}${id.replace(/[0-9A-F]{8}$/, '')}` : this.resolve(name)})`;
  }
}

/** The CDK moves statements into managed policies if they outgrow the 10,240 characters of those that a role has inline. */
const POLICIES = ['AWS::IAM::Policy', 'AWS::IAM::ManagedPolicy'];
const WITHOUT_PERMISSIONS = ['AWS::IAM::Role', 'AWS::IAM::InstanceProfile'];

/**
 * The policies of roles among the resources of templates.
 *
 * @throws Error if permissions come from somewhere else, where nobody would look at them.
 */
export function policiesAmong<Among extends Pick<Resource, 'type' | 'properties'>>(
  resources: Among[],
): Among[] {
  const unread = resources.filter(
    ({ type, properties }) =>
      (type.startsWith('AWS::IAM::') && ![...POLICIES, ...WITHOUT_PERMISSIONS].includes(type)) ||
      (type === 'AWS::IAM::Role' && ('Policies' in properties || 'ManagedPolicyArns' in properties)),
  );
  if (unread.length > 0) throw new Error(`Permissions that nobody evaluates: ${JSON.stringify(unread)}`);
  return resources.filter(({ type }) => POLICIES.includes(type));
}

/** Every statement of the policies of the role whose written-out name begins so, for the evaluator. */
export const statementsOf = (template: SynthesisedTemplate, rolePrefix: string): PolicyStatement[] =>
  template.policies().flatMap(({ properties }) => {
    const { Roles, PolicyDocument } = RolePolicy.parse(properties);
    return Roles.some((role) => role.startsWith(rolePrefix)) ? PolicyDocument.Statement : [];
  });

const RolePolicy = z.object({
  Roles: z.array(z.string()),
  PolicyDocument: z.object({ Statement: z.array(PolicyStatement) }),
});

/** Templates without the file that advice in them names: it is outside this folder, so that they say FILE. */
export const withoutFile = (templates: string): string =>
  templates.replaceAll(
    / -c fleets=FILE| -- --fleets FILE(?=\\n)| --fleets FILE|,?"FLEETS_FILE": ?"FILE"/g,
    '',
  );
