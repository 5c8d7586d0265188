/** What docs/operations.md tells its reader to do, read from the page itself. */
export interface Remedy {
  /** Heading of the section. */
  heading: string;
  /** The first cell of a row of a table, or `step 1`. */
  key: string;
  text: string;
}

/** A table of remedies has one of these as a column. */
const DO = /^(do|go to|what to do)$/;

/** The remedies of the runbook: the steps and rows of each section that says "Do this", and of each table with a column of what to do. */
export function remediesOf(page: string): Remedy[] {
  return page
    .split(/^## /m)
    .slice(1)
    .flatMap((section) => {
      const heading = section.slice(0, section.indexOf('\n'));
      return [...rowsOf(section), ...stepsOf(section)].map((remedy) => ({ heading, ...remedy }));
    });
}

const cells = (line: string) =>
  line
    .slice(1, -1)
    .split(/(?<!\\)\|/)
    .map((cell) => cell.trim());

function rowsOf(section: string): Omit<Remedy, 'heading'>[] {
  const tables = section.match(/(?:^\|.*\|\n)+/gm) ?? [];
  return tables.flatMap((table) => {
    const [head = '', , ...rows] = table.trimEnd().split('\n');
    const column = cells(head).findIndex((cell) => DO.test(cell));
    return column === -1
      ? []
      : rows.map((row) => ({ key: cells(row)[0] ?? '', text: cells(row)[column] ?? '' }));
  });
}

function stepsOf(section: string): Omit<Remedy, 'heading'>[] {
  const [, ...after] = section.split('**Do this.**');
  return after
    .join('\n')
    .split(/^### /m)
    .flatMap((part, index) => {
      const prefix = index === 0 ? '' : `${part.slice(0, part.indexOf('\n'))}, `;
      return [...part.matchAll(/^(\d+)\. (.*)/gm)].map(([, number, text = '']) => ({
        key: `${prefix}step ${number}`,
        text,
      }));
    });
}
