import type * as z from 'zod/mini';
import { keyPath } from './key-path.ts';
import { printable } from './printable.ts';

type Issue = z.core.$ZodIssue;

const LONGEST_VALUE = 80;

/** A value as a message shows it. What is inside a map or a list is left out. */
function quoted(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object' && value !== null) return 'a map';
  const text = printable(JSON.stringify(value) ?? String(value));
  return text.length > LONGEST_VALUE ? `${text.slice(0, LONGEST_VALUE)}...` : text;
}

function allowed(issue: Issue): string {
  switch (issue.code) {
    case 'invalid_type':
      return `be of type ${issue.expected}`;
    case 'invalid_value':
      return `be ${issue.values.map((value) => JSON.stringify(value)).join(' or ')}`;
    case 'invalid_format':
      return `match ${issue.pattern ?? issue.format}`;
    case 'too_small':
      return issue.origin === 'string'
        ? `have at least ${issue.minimum} character${issue.minimum === 1 ? '' : 's'}`
        : `be at least ${issue.minimum}`;
    case 'too_big':
      return issue.origin === 'string'
        ? `have at most ${issue.maximum} characters`
        : `be at most ${issue.maximum}`;
    case 'unrecognized_keys':
      return `not have ${issue.keys.join(', ')}`;
    default:
      return `be as its contract says (${issue.message})`;
  }
}

/** Of all faults together, in characters: an input can have as many keys as fit into 256 KB. */
const LONGEST_TEXT = 2_000;

/** What is wrong with the input of a step: where, what is allowed, and what was given. Needs `reportInput`. */
export function faultsOfInput(issues: readonly Issue[]): string {
  const text = issues
    .map((issue) => {
      const given = issue.code === 'unrecognized_keys' ? '' : `, got ${quoted(issue.input)}`;
      return `${keyPath(issue.path) || 'the input'} must ${allowed(issue)}${given}`;
    })
    .join('; ');
  // The input may have named the keys.
  const shown = printable(text.slice(0, LONGEST_TEXT));
  return text.length > LONGEST_TEXT ? `${shown}...` : shown;
}
