/** Folds texts to the width of a terminal. Pure. */

/** The value of an option, without what ends a sentence after it. In single quotes if it has a space, as for a shell. */
const VALUE = String.raw`(?:(?:[\w-]+=)?'[^'\n]{1,300}'|(?!-)\S*[^\s.,;:)])`;

/** What follows the name of a command: options with their values, files, placeholders, paths, keys with their values. */
const ARGUMENT = String.raw` (?:-[\w-]*(?: ${VALUE})?|[<>] ${VALUE}|[A-Z][A-Z_-]+\b|\S*[/=]${VALUE})`;

/** Options with their values, and the fleet or another word that the command is about. */
const ABOUT = String.raw`(?:--[\w-]+ ${VALUE} )*${VALUE}`;

/** Commands that messages name. The commands of AWS have two words: the service and the operation. */
const PROGRAM = [
  // Not "npm run": a test of the package looks for commands that only the repository has.
  String.raw`npm +run (?:--silent )?[\w:-]+ -- ${ABOUT}`,
  `npx circleci-runners [a-z]+ ${ABOUT}`,
  String.raw`npm (?:run (?:--silent )?[\w:-]+|start|ci)`,
  String.raw`npx [\w./@-]*\w(?: [a-z][\w-]*)?`,
  String.raw`aws configure set region \S*\w`,
  String.raw`aws [a-z0-9-]+ [a-z][\w-]*`,
].join('|');

/** Commands and quoted values, which a reader copies: a shell takes a line end for the end of the command. */
const WHOLE = new RegExp(String.raw`\b(?:${PROGRAM})(?:${ARGUMENT})*|"[^"\n]{1,60}"`, 'g');

// biome-ignore lint/suspicious/noControlCharactersInRegex: the sequences of colours begin with one
const COLOURS = /\x1b\[\d+m/g;

/** How many columns a text takes on a terminal. */
const widthOf = (text: string): number => text.replaceAll(COLOURS, '').length;

/** Stands for a space at which no line may end. No text has it: see `printable`. */
const FIXED = '\0';

/** A text in parts between which a line may end: words, and commands and quoted values as a whole. */
export const foldable = (text: string): string[] =>
  text
    .replaceAll(WHOLE, (whole) => whole.replaceAll(' ', FIXED))
    .split(/(?<=\S) /)
    .map((part) => part.replaceAll(FIXED, ' '));

/**
 * A text in lines of at most this many columns; those after the first are indented.
 *
 * @param runsOn Whether a command that is longer than a line stays whole, so that it can be copied. Otherwise it is broken
 * between its words, for a screen with a fixed number of lines.
 */
export function wrapped(
  text: string,
  columns: number,
  indent: number,
  { runsOn = false }: { runsOn?: boolean } = {},
): string[] {
  const lines: string[] = [];
  let line = '';
  const parts = foldable(text).flatMap((part) =>
    runsOn || indent + widthOf(part.trim()) <= columns ? part : part.split(/(?<=\S) /),
  );
  for (const part of parts) {
    if (line !== '' && widthOf(line) + 1 + widthOf(part) > columns) {
      lines.push(line);
      line = ' '.repeat(indent) + part;
    } else line = line === '' ? part : `${line} ${part}`;
  }
  return [...lines, line];
}

/** A line that shows where in a file something is. Folded, the mark would be below another place. */
const EXCERPT = /^\s*\d*\s*\|/;

/** A text of one or more lines, for a terminal of this width. Each line keeps its indentation. */
export function folded(text: string, columns: number): string {
  return text
    .split('\n')
    .flatMap((line) => {
      if (widthOf(line) <= columns || EXCERPT.test(line)) return line;
      const indent = /^ */.exec(line)?.[0].length ?? 0;
      return wrapped(line, columns, indent === 0 ? 0 : indent + 2, { runsOn: true });
    })
    .join('\n');
}
