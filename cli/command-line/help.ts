import type { AddHelpTextContext } from 'commander';

/** Longer lines are hard to read, however wide the terminal is. */
const WIDEST = 100;

/** The width of a help text on a terminal of this width. */
export const helpWidth = (columns: number): number => Math.min(columns, WIDEST);

/** A part of a help text below the options: a paragraph, or terms with their explanations. */
export type HelpPart = string | { heading: string; rows: readonly (readonly [string, string])[] };

/**
 * A help text for `addHelpText` that is wrapped to the width of the terminal, as the options are. Commander writes
 * the texts that it gets as they are.
 *
 * @param parts Called only when somebody asks for help.
 */
export const wrappedHelp =
  (parts: () => readonly HelpPart[]) =>
  ({ command }: AddHelpTextContext): string => {
    const help = command.createHelp();
    const width = command.configureOutput().getOutHelpWidth?.() ?? WIDEST;
    help.prepareContext({ helpWidth: width });
    const texts = parts().map((part) => {
      if (typeof part === 'string') return help.boxWrap(part, width);
      const widest = Math.max(...part.rows.map(([term]) => term.length));
      const rows = part.rows.map(([term, about]) => help.formatItem(term, widest, about, help));
      return [help.boxWrap(part.heading, width), ...rows].join('\n');
    });
    return `\n${texts.join('\n\n')}`;
  };
