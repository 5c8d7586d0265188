/** Patterns of `guardrails.yaml`. */

/** Whether a text is one of these, in which `*` stands for any text. */
export const fits = (text: string, patterns: readonly string[]) =>
  patterns.some((pattern) => matches(text, pattern));

export const matches = (text: string, pattern: string) =>
  new RegExp(`^${pattern.split('*').map(escaped).join('.*')}$`).test(text);

const escaped = (text: string) => text.replace(/[.+]/g, '\\$&');
