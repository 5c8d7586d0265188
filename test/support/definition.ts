import { readFileSync } from 'node:fs';
import * as z from 'zod';
import { DEFINITION } from '../../sandbox/workflow.ts';

/** The workflow's definition as it stands in the repository, before any substitution. */
export const source = readFileSync(DEFINITION, 'utf8');

const Names = z.array(z.string());

const Retrier = z.object({
  ErrorEquals: Names,
  IntervalSeconds: z.number(),
  MaxAttempts: z.number(),
  BackoffRate: z.number(),
  MaxDelaySeconds: z.optional(z.number()),
  JitterStrategy: z.string(),
});

const Catcher = z.object({ ErrorEquals: Names, Next: z.string(), ResultPath: z.string() });

const Task = z.object({
  Type: z.literal('Task'),
  Resource: z.string(),
  Parameters: z.record(z.string(), z.unknown()),
  TimeoutSeconds: z.optional(z.number()),
  TimeoutSecondsPath: z.optional(z.string()),
  ResultPath: z.optional(z.nullable(z.string())),
  Retry: z.array(Retrier).default([]),
  Catch: z.array(Catcher).default([]),
  Next: z.optional(z.string()),
});

/** What a Choice asks; strict, so that a question that the tests cannot answer is noticed. */
const Condition = z.union([
  z.strictObject({ Variable: z.string(), BooleanEquals: z.boolean() }),
  z.strictObject({ Variable: z.string(), StringEquals: z.string() }),
  z.strictObject({ Variable: z.string(), StringMatches: z.string() }),
  z.strictObject({ Variable: z.string(), StringLessThan: z.string() }),
  z.strictObject({ Variable: z.string(), IsPresent: z.literal(true) }),
  z.strictObject({
    get And() {
      return z.array(Condition);
    },
  }),
  z.strictObject({
    get Or() {
      return z.array(Condition);
    },
  }),
]);
type Condition = z.infer<typeof Condition>;

const Rule = z
  .looseObject({ Next: z.string() })
  .transform(({ Next, ...condition }) => ({ Next, condition: Condition.parse(condition) }));

const Choice = z.object({ Type: z.literal('Choice'), Choices: z.array(Rule), Default: z.string() });

const Pass = z.object({
  Type: z.literal('Pass'),
  Parameters: z.optional(z.record(z.string(), z.unknown())),
  ResultPath: z.optional(z.nullable(z.string())),
  Next: z.string(),
});

const Wait = z.object({
  Type: z.literal('Wait'),
  TimestampPath: z.optional(z.string()),
  Seconds: z.optional(z.int().min(1)),
  OutputPath: z.optional(z.string()),
  Next: z.string(),
});
const Succeed = z.object({ Type: z.literal('Succeed') });
const Fail = z.object({ Type: z.literal('Fail'), ErrorPath: z.string(), CausePath: z.string() });

const Parallel = z.object({
  Type: z.literal('Parallel'),
  Parameters: z.record(z.string(), z.unknown()),
  get Branches() {
    return z.array(Machine);
  },
  Catch: z.array(Catcher),
  Next: z.string(),
});

const State = z.discriminatedUnion('Type', [Task, Choice, Pass, Wait, Succeed, Fail, Parallel]);

const Machine = z.object({
  StartAt: z.string(),
  TimeoutSeconds: z.optional(z.number()),
  get States(): z.ZodRecord<z.ZodString, typeof State> {
    return z.record(z.string(), State);
  },
});

export type Task = z.infer<typeof Task>;
export type State = z.infer<typeof State>;
export type Machine = z.infer<typeof Machine>;

/** The workflow's definition, parsed. */
export const definition: Machine = Machine.parse(JSON.parse(source));

export const seconds = z.number().parse(definition.TimeoutSeconds);

/** @throws Error if the machine has no state of that name. */
export function state(machine: Machine, name: string): State {
  const found = machine.States[name];
  if (found === undefined) throw new Error(`There is no state ${name}`);
  return found;
}

/** A machine and the branches of its Parallel states, each with its own states. */
export function machines(machine: Machine = definition): Machine[] {
  const branches = Object.values(machine.States).flatMap((state) =>
    state.Type === 'Parallel' ? state.Branches : [],
  );
  return [machine, ...branches.flatMap(machines)];
}

/** Where a state may lead. */
export function successors(state: State): string[] {
  const caught = 'Catch' in state ? state.Catch.map(({ Next }) => Next) : [];
  const chosen = state.Type === 'Choice' ? [...state.Choices.map(({ Next }) => Next), state.Default] : [];
  const next = 'Next' in state && state.Next !== undefined ? [state.Next] : [];
  return [...next, ...chosen, ...caught];
}

const StateData = z.record(z.string(), z.unknown());

/** The value at a reference path such as `$.poll.dueAt`. */
export function at(data: unknown, path: string): unknown {
  return path
    .split('.')
    .slice(1)
    .reduce((value, key) => StateData.parse(value)[key], data);
}

/** https://docs.aws.amazon.com/step-functions/latest/dg/state-choice.html */
function holds(condition: Condition, data: unknown): boolean {
  if ('And' in condition) return condition.And.every((each) => holds(each, data));
  if ('Or' in condition) return condition.Or.some((each) => holds(each, data));
  const value = at(data, condition.Variable);
  if ('BooleanEquals' in condition) return value === condition.BooleanEquals;
  if ('StringEquals' in condition) return value === condition.StringEquals;
  if ('IsPresent' in condition) return value !== undefined;
  if ('StringLessThan' in condition) return typeof value === 'string' && value < condition.StringLessThan;
  const parts = condition.StringMatches.split('*').map((part) => part.replaceAll(/[^\w]/g, '\\$&'));
  return typeof value === 'string' && new RegExp(`^${parts.join('.*')}$`, 's').test(value);
}

/** Where a Choice leads with that state data. */
export function chosen({ Choices, Default }: Extract<State, { Type: 'Choice' }>, data: unknown): string {
  return Choices.find(({ condition }) => holds(condition, data))?.Next ?? Default;
}
