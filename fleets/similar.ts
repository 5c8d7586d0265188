import { closest, distance } from 'fastest-levenshtein';

/** The largest part of a name that may be mistyped. A larger one makes another name of it. */
const MISTYPED = 0.45;

/** The most similar of some names, if it is so similar that it may be meant. */
export function similarTo(given: string, names: readonly string[]): string | undefined {
  if (given.length < 2 || names.length === 0) return undefined;
  const nearest = closest(given, names);
  const [a, b] = [given.toLowerCase(), nearest.toLowerCase()];
  const isSimilar = distance(a, b) <= MISTYPED * a.length || b.startsWith(a) || a.startsWith(b);
  return isSimilar ? nearest : undefined;
}

/** The end of a message about a name that is not known: the name that may be meant, or nothing. */
export const orSimilar = (given: string, names: readonly string[]): string => {
  const nearest = similarTo(given, names);
  return nearest === undefined ? '' : `; the nearest one is ${nearest}`;
};
