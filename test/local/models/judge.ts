import type { Member, Model, Shape } from './model.ts';
import type { Recorded } from './recorded.ts';
import { asked } from './wire.ts';

export interface Judgement {
  /** Service and operation. */
  operation: string;
  /** Each names what was sent, and what the model allows. */
  faults: string[];
}

/** Compares a request with the model of its service: members, lengths, ranges, patterns and enumerations. */
export function judge(request: Recorded, modelOf: (service: string) => Model): Judgement {
  const { service, operation, input, unknown } = asked(request, modelOf);
  const model = modelOf(service);
  const faults = unknown.map((name) => `${name} is no member`);
  if (operation.input !== undefined) faults.push(...faultsOf(model, operation.input, input, ''));
  return { operation: `${service} ${operation.name}`, faults };
}

function faultsOf(model: Model, member: Member | undefined, value: unknown, at: string): string[] {
  const shape = model.shapes[member?.shape ?? ''];
  if (shape === undefined) return [`${at}: ${member?.shape} is no shape`];
  const wrong = (must: string) => [`${at} must ${must}, got ${JSON.stringify(value)?.slice(0, 100)}`];
  switch (shape.type) {
    case 'structure': {
      if (typeof value !== 'object' || value === null || Array.isArray(value)) return wrong('be a structure');
      const members = shape.members ?? {};
      const given = Object.entries(value).filter(([, inner]) => inner !== undefined && inner !== null);
      const names = new Map(
        Object.entries(members).flatMap(([name, inner]) => [
          [inner.locationName ?? name, inner],
          [name, inner],
        ]),
      );
      const missing = (shape.required ?? []).filter(
        (name) => !given.some(([key]) => key === name || key === members[name]?.locationName),
      );
      return [
        ...missing.map((name) => `${path(at, name)} is missing`),
        ...given.flatMap(([name, inner]) =>
          names.has(name)
            ? faultsOf(model, names.get(name), inner, path(at, name))
            : [`${path(at, name)} is no member`],
        ),
      ];
    }
    case 'list':
      if (!Array.isArray(value)) return wrong('be a list');
      return [
        ...outside(shape, value.length).flatMap((range) => wrong(`have ${range} items`)),
        ...value.flatMap((item, index) => faultsOf(model, shape.member, item, `${at}[${index}]`)),
      ];
    case 'map':
      if (typeof value !== 'object' || value === null) return wrong('be a map');
      return Object.entries(value).flatMap(([key, inner]) => [
        ...faultsOf(model, shape.key, key, `${at} key`),
        ...faultsOf(model, shape.value, inner, path(at, key)),
      ]);
    case 'string':
      return typeof value === 'string' ? faultsOfText(shape, value, wrong) : wrong('be a text');
    case 'integer':
    case 'long':
    case 'float':
    case 'double': {
      if (typeof value !== 'number') return wrong('be a number');
      if (/integer|long/.test(shape.type) && !Number.isInteger(value)) return wrong('be a whole number');
      return outside(shape, value).flatMap((range) => wrong(`be ${range}`));
    }
    case 'boolean':
      return typeof value === 'boolean' ? [] : wrong('be true or false');
    default:
      return [];
  }
}

const path = (at: string, name: string) => (at === '' ? name : `${at}.${name}`);

/** The range, if the number is outside. */
function outside({ min, max }: Shape, number: number): string[] {
  return (min !== undefined && number < min) || (max !== undefined && number > max)
    ? [`${min ?? 0} to ${max ?? 'any number'}`]
    : [];
}

function faultsOfText(shape: Shape, text: string, wrong: (must: string) => string[]): string[] {
  if (shape.enum !== undefined && !shape.enum.includes(text))
    return wrong(`be one of ${shape.enum.join(', ')}`);
  return [
    ...outside(shape, [...text].length).flatMap((range) => wrong(`have ${range} characters`)),
    ...(shape.pattern === undefined || matches(shape.pattern, text) ? [] : wrong(`match ${shape.pattern}`)),
  ];
}

/** Patterns are of Java, where a text is UTF-16, and must match the whole text. */
function matches(pattern: string, text: string): boolean {
  const whole = `^(?:${pattern})$`;
  try {
    return new RegExp(whole, 'u').test(text);
  } catch {
    return new RegExp(whole).test(text);
  }
}
