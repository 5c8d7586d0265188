import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';

/** What AWS publishes about a service's requests, as botocore has it: https://github.com/boto/botocore */
export interface Model {
  metadata: { protocol: string; protocols?: string[]; apiVersion: string; targetPrefix?: string };
  operations: Record<string, Operation>;
  shapes: Record<string, Shape>;
}

export interface Operation {
  name: string;
  http?: { method: string; requestUri: string };
  input?: { shape: string };
}

export interface Shape {
  type: string;
  members?: Record<string, Member>;
  required?: string[];
  member?: Member;
  key?: Member;
  value?: Member;
  min?: number;
  max?: number;
  pattern?: string;
  enum?: string[];
  flattened?: boolean;
  /** The member that is the whole body of a request, such as the event of a function. */
  payload?: string;
}

export interface Member {
  shape: string;
  location?: string;
  locationName?: string;
  queryName?: string;
  flattened?: boolean;
}

/** Folders of botocore by the names with which requests are signed, where the two differ. */
const FOLDERS: Record<string, string> = {
  states: 'stepfunctions',
  monitoring: 'cloudwatch',
  servicequotas: 'service-quotas',
};

/** Reads the models of a Python environment that has botocore: the emulators need it, so nothing else is installed. */
export function modelsOf(bin: string): (service: string) => Model {
  const lib = join(bin, '..', 'lib');
  const python = readdirSync(lib).find((name) => existsSync(join(lib, name, 'site-packages', 'botocore')));
  if (python === undefined) throw new Error(`There is no botocore in ${lib}`);
  const data = join(lib, python, 'site-packages', 'botocore', 'data');
  const read = new Map<string, Model>();
  return (service) => {
    const known = read.get(service);
    if (known !== undefined) return known;
    const folder = join(data, FOLDERS[service] ?? service);
    const newest =
      readdirSync(folder)
        .filter((name) => /^\d/.test(name))
        .sort()
        .at(-1) ?? '';
    const model: Model = JSON.parse(
      gunzipSync(readFileSync(join(folder, newest, 'service-2.json.gz'))).toString(),
    );
    read.set(service, model);
    return model;
  };
}
