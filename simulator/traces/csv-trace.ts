import { CsvRows, type Row } from './csv.ts';
import { ExportTrace } from './export-trace.ts';
import { EXPECTED } from './forms.ts';
import { SecondsTrace, TRACE_HEADER } from './seconds-trace.ts';
import { shown, type Trace, TraceFaults, TraceInvalid } from './trace.ts';

/** A CSV file as a trace. Its header decides whether it has seconds or is an export. */
export class CsvTrace {
  readonly #file: string;
  readonly #rows = new CsvRows();
  readonly #faults = new TraceFaults();
  #keys: string[] | undefined;
  #seconds: SecondsTrace | undefined;
  #export: ExportTrace;

  constructor(file: string) {
    this.#file = file;
    this.#export = new ExportTrace(file);
  }

  push(text: string): void {
    for (const row of this.#rows.push(text)) this.#add(row);
  }

  end(): Trace {
    for (const row of this.#rows.end()) this.#add(row);
    if (this.#keys === undefined) this.#readHeader({ line: 1, text: '', values: [''] });
    this.#faults.refuse();
    return (this.#seconds ?? this.#export).end();
  }

  #readHeader({ line, text, values = [] }: Row): void {
    this.#keys = values.map((key) => key.trim().toLowerCase());
    if (text.trim() === TRACE_HEADER) this.#seconds = new SecondsTrace(this.#file);
    else if (this.#keys.length < 2)
      throw new TraceInvalid(`${this.#file}:${line}: must be ${EXPECTED}, got ${shown(text.slice(0, 80))}`);
  }

  #add(row: Row): void {
    if (this.#keys === undefined) this.#readHeader(row);
    else if (this.#seconds !== undefined) this.#seconds.add(row);
    else this.#addToExport(row, this.#keys);
  }

  #addToExport({ line, values }: Row, keys: string[]): void {
    const place = `${this.#file}:${line}`;
    if (values?.length !== keys.length) {
      const got = values?.length ?? 'an open quote';
      this.#faults.add(`${place}: must have ${keys.length} fields as the header has, got ${got}`);
      return;
    }
    const record: Record<string, string> = {};
    for (const [index, key] of keys.entries()) record[key] = values[index] as string;
    this.#export.add({ record, place });
  }
}
