/** Patterns of `guardrails.yaml`. */

/** Whether a text is one of these, in which `*` stands for any text. */
export const fits = (text: string, patterns: readonly string[]) =>
  patterns.some((pattern) => matches(text, pattern));

export function matches(text: string, pattern: string): boolean {
  const [first = '', ...others] = pattern.split('*');
  const last = others.pop();
  if (last === undefined) return text === pattern;
  if (!text.startsWith(first)) return false;
  // Each part as early as possible, so a long pattern takes no longer than its length times that of the text.
  let from = first.length;
  for (const part of others) {
    const at = text.indexOf(part, from);
    if (at === -1) return false;
    from = at + part.length;
  }
  return text.length - last.length >= from && text.endsWith(last);
}
