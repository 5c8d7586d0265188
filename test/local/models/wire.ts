import { fromCbor } from './cbor.ts';
import type { Member, Model, Operation, Shape } from './model.ts';
import type { Recorded } from './recorded.ts';

/** The input of an operation as a request carries it, and what the request has beside it. */
export interface Asked {
  service: string;
  operation: Operation;
  input: unknown;
  /** Parameters that no member of the input has. */
  unknown: string[];
}

/** Services by the prefix of their target, for requests without a signature. */
const TARGETS: Record<string, string> = { secretsmanager: 'secretsmanager', AmazonSSM: 'ssm' };

/** A request that is in no model: a file in S3 is its path. */
export const isFile = (request: Recorded) => 'url' in request && request.headers.scope === 's3';

export function asked(request: Recorded, modelOf: (service: string) => Model): Asked {
  if ('service' in request) {
    const { service, input } = request;
    return { service, operation: operationOf(modelOf(service), request.operation), input, unknown: [] };
  }
  const { headers, url, body } = request;
  const [prefix = '', target] = (headers['x-amz-target'] ?? '').split('.');
  if (target !== undefined) {
    const service = headers.scope ?? TARGETS[prefix] ?? `with the target ${prefix}`;
    const model = modelOf(service);
    if (prefix !== model.metadata.targetPrefix)
      throw new Error(`${service} has the target ${model.metadata.targetPrefix}, got ${prefix}`);
    return { service, operation: operationOf(model, target), input: JSON.parse(body || '{}'), unknown: [] };
  }
  const service = headers.scope ?? 'autoscaling';
  const model = modelOf(service);
  const [, rpc] = /\/operation\/(\w+)$/.exec(url) ?? [];
  if (rpc !== undefined) {
    const input = fromCbor(Buffer.from(body, 'base64'));
    return { service, operation: operationOf(model, rpc), input, unknown: [] };
  }
  return /^(query|ec2)$/.test(model.metadata.protocol)
    ? fromQuery(service, model, new URLSearchParams(body))
    : fromRest(service, model, request);
}

function operationOf(model: Model, name: string): Operation {
  const operation = model.operations[name];
  if (operation === undefined) throw new Error(`There is no operation ${name}`);
  return operation;
}

function shapeOf(model: Model, { shape }: { shape: string }): Shape {
  const found = model.shapes[shape];
  if (found === undefined) throw new Error(`There is no shape ${shape}`);
  return found;
}

/** https://smithy.io/2.0/aws/protocols/aws-query-protocol.html, https://smithy.io/2.0/aws/protocols/aws-ec2-query-protocol.html */
function fromQuery(service: string, model: Model, parameters: URLSearchParams): Asked {
  const operation = operationOf(model, parameters.get('Action') ?? '');
  const version = parameters.get('Version');
  if (version !== model.metadata.apiVersion)
    throw new Error(`${service} has the version ${model.metadata.apiVersion}, got ${version}`);
  const left = new Set([...parameters.keys()].filter((key) => key !== 'Action' && key !== 'Version'));
  const ec2 = model.metadata.protocol === 'ec2';
  const nameIn = (name: string, member: Member) => {
    if (!ec2) return member.locationName ?? name;
    const upper = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);
    return member.queryName ?? upper(member.locationName ?? name);
  };
  const present = (prefix: string) =>
    parameters.has(prefix) || [...parameters.keys()].some((key) => key.startsWith(`${prefix}.`));
  const numbered = <Value>(prefix: string, read: (at: string) => Value): Value[] => {
    const values: Value[] = [];
    while (present(`${prefix}.${values.length + 1}`)) values.push(read(`${prefix}.${values.length + 1}`));
    return values;
  };
  const read = (member: Member, prefix: string): unknown => {
    const shape = shapeOf(model, member);
    if (shape.type === 'structure') {
      const inside = prefix === '' ? '' : `${prefix}.`;
      const members = Object.entries(shape.members ?? {}).map(([name, inner]) => ({
        name,
        inner,
        at: inside + nameIn(name, inner),
      }));
      return Object.fromEntries(
        members.filter(({ at }) => present(at)).map(({ name, inner, at }) => [name, read(inner, at)]),
      );
    }
    if (shape.type === 'list') {
      const flat = ec2 || shape.flattened === true;
      const inner = shape.member ?? { shape: '' };
      const at = flat ? prefix : `${prefix}.${inner.locationName ?? 'member'}`;
      if (parameters.get(prefix) === '') left.delete(prefix);
      return numbered(at, (item) => read(inner, item));
    }
    if (shape.type === 'map') {
      const at = shape.flattened === true ? prefix : `${prefix}.entry`;
      return Object.fromEntries(
        numbered(at, (entry) => [
          String(read(shape.key ?? { shape: '' }, `${entry}.${shape.key?.locationName ?? 'key'}`)),
          read(shape.value ?? { shape: '' }, `${entry}.${shape.value?.locationName ?? 'value'}`),
        ]),
      );
    }
    left.delete(prefix);
    return fromText(shape, parameters.get(prefix) ?? '');
  };
  const input = operation.input === undefined ? {} : read(operation.input, '');
  return { service, operation, input, unknown: [...left] };
}

/** A value that travels as text. */
function fromText(shape: Shape, text: string): unknown {
  if (/^(integer|long|float|double)$/.test(shape.type))
    return /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : text;
  if (shape.type === 'boolean') return text === 'true' ? true : text === 'false' ? false : text;
  return text;
}

/** https://smithy.io/2.0/aws/protocols/aws-restjson1-protocol.html */
function fromRest(
  service: string,
  model: Model,
  { method, url, body }: { method: string; url: string; body: string },
): Asked {
  const { pathname, searchParams } = new URL(url, 'http://localhost');
  for (const operation of Object.values(model.operations)) {
    if (operation.http?.method !== method) continue;
    const path = operation.http.requestUri.replace(/\{(\w+)\+?\}/g, '(?<$1>[^/]+)');
    const found = new RegExp(`^${path}/?$`).exec(pathname);
    if (found === null) continue;
    const left = new Set(searchParams.keys());
    const { members = {}, payload }: Partial<Shape> =
      operation.input === undefined ? {} : shapeOf(model, operation.input);
    const input: Record<string, unknown> =
      body === '' ? {} : payload === undefined ? JSON.parse(body) : { [payload]: body };
    for (const [name, member] of Object.entries(members)) {
      const at = member.locationName ?? name;
      const text =
        member.location === 'uri'
          ? decodeURIComponent(found.groups?.[at] ?? '')
          : member.location === 'querystring'
            ? searchParams.get(at)
            : null;
      if (text === null) continue;
      left.delete(at);
      input[name] = fromText(shapeOf(model, member), text);
    }
    return { service, operation, input, unknown: [...left] };
  }
  throw new Error(`${service} has no operation for ${method} ${pathname}`);
}
