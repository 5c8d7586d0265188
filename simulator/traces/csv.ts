/** A row of a CSV file. */
export interface Row {
  line: number;
  text: string;
  /** Without their quotes; `undefined` if a quote is not closed. */
  values: string[] | undefined;
}

/** The longest row, in characters. A quote that is never closed must not collect the rest of the file. */
const LONGEST_ROW = 1 << 20;

/** Splits CSV into rows, as its text comes in. Quoted fields may have line breaks. Empty lines at the end are no rows. */
export class CsvRows {
  #rest = '';
  #line = 1;
  /** Where to look for the next line break. */
  #from = 0;
  /** Whether a quote is open there. */
  #isOpen = false;
  #emptyLines: number[] = [];

  push(text: string): Row[] {
    this.#rest += text;
    return this.#rows(false);
  }

  end(): Row[] {
    return this.#rows(true);
  }

  #rows(ends: boolean): Row[] {
    const rows: Row[] = [];
    let start = 0;
    for (;;) {
      const found = this.#rest.indexOf('\n', this.#from);
      const end = found === -1 ? this.#rest.length : found;
      if (found === -1 && !ends && end - start <= LONGEST_ROW) break;
      if (hasOddQuotes(this.#rest, this.#from, end)) this.#isOpen = !this.#isOpen;
      this.#from = end + 1;
      // A quote that is open goes on in the next line.
      if (this.#isOpen && found !== -1 && end - start <= LONGEST_ROW) continue;
      this.#isOpen = false;
      this.#add(rows, this.#rest.slice(start, end).replace(/\r$/, ''));
      start = end + 1;
      if (found === -1) break;
    }
    this.#rest = this.#rest.slice(start);
    this.#from = Math.max(this.#from - start, 0);
    return rows;
  }

  #add(rows: Row[], text: string): void {
    if (text.trim() === '') this.#emptyLines.push(this.#line);
    else {
      rows.push(...this.#emptyLines.map((line) => ({ line, text: '', values: [''] })));
      this.#emptyLines = [];
      rows.push({ line: this.#line, text, values: fields(text) });
    }
    this.#line += text.includes('\n') ? text.split('\n').length : 1;
  }
}

function hasOddQuotes(text: string, from: number, to: number): boolean {
  let odd = false;
  for (let at = text.indexOf('"', from); at !== -1 && at < to; at = text.indexOf('"', at + 1)) odd = !odd;
  return odd;
}

/** The fields of a row, without their quotes; `undefined` if a quote is not closed. */
function fields(row: string): string[] | undefined {
  if (!row.includes('"')) return row.split(',');
  const found: string[] = [];
  const field = /(?:"((?:[^"]|"")*)"|([^",]*))(,|$)/gy;
  for (;;) {
    const match = field.exec(row);
    if (match === null) return undefined;
    const [, quoted, plain = '', end] = match;
    found.push(quoted === undefined ? plain : quoted.replaceAll('""', '"'));
    if (end === '') return found;
  }
}
