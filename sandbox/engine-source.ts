import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

/** The module of the engine, whose text `engine.ts` compiles. The package has this text and its imports inside. */
export const FILE = createRequire(import.meta.url).resolve('aws-local-stepfunctions');

export const readSource = (): string => readFileSync(FILE, 'utf8');

/** Loads what the engine imports. */
export const required: (name: string) => { JSONPath: JsonPath } = createRequire(FILE);

type JsonPath = new (options: object) => { evaluate: () => unknown };
