import { readFileSync } from 'node:fs';
import {
  type App,
  CloudFormationValidatePlugin,
  type IPolicyValidationContext,
  type PolicyValidationPluginReport,
  Validations,
} from 'aws-cdk-lib';
import type { FleetStack } from './fleet-stack.ts';

/**
 * Checks the templates against the rules of CloudFormation, as the CDK does by itself, but only one of those that differ in
 * nothing but the names of fleets and the second in which they poll: each check takes 25 ms, and a thousand fleets often have
 * a few kinds of settings.
 */
export class TemplateRules extends CloudFormationValidatePlugin {
  /** Replaces the default checks of an app, unless the app has none. */
  static addTo(app: App, fleets: FleetStack[]): void {
    if (app._builtinCloudFormationValidation && process.env.CDK_VALIDATION !== 'false')
      Validations.of(app).addPlugins(new TemplateRules(fleets));
  }

  private readonly stacks: Map<string, FleetStack>;

  private constructor(fleets: FleetStack[]) {
    super();
    this.stacks = new Map(fleets.map((stack) => [stack.node.path, stack]));
  }

  override get version(): string {
    return super.version ?? '0.0.0';
  }

  override get ruleIds(): string[] {
    return super.ruleIds ?? [];
  }

  override validate(context: IPolicyValidationContext): PolicyValidationPluginReport {
    const kinds = new Set<string>();
    const stackTemplates = context.stackTemplates.filter(({ stackConstructPath, templatePath }) => {
      const stack = this.stacks.get(stackConstructPath);
      if (stack === undefined) return true;
      const kind = kindOf(stack, readFileSync(templatePath, 'utf8'));
      return kinds.size !== kinds.add(kind).size;
    });
    return super.validate({ ...context, stackTemplates });
  }
}

/** The second from which a fleet polls. Fleets take turns, so it differs in most of them. */
const OWN_SECOND = /(spreadSeconds\\*":)\d+/g;

/** What fleets have in common that are of one kind: the settings, and the template without the names and the second. */
function kindOf({ config, stackName }: FleetStack, template: string): string {
  const { name, resourceClass, ...settings } = config;
  const nameless = [stackName, resourceClass, name].reduce(
    (text, each) => text.replaceAll(each, '?'),
    template.replaceAll(OWN_SECOND, '$1?'),
  );
  // The settings as they are: the name of a fleet may be a part of an instance type.
  return `${JSON.stringify(settings)}\n${nameless}`;
}
