import { ExportTrace } from './export-trace.ts';
import { JsonRecords } from './json.ts';
import type { Trace } from './trace.ts';

/** A JSON file as a trace. */
export class JsonTrace {
  readonly #file: string;
  readonly #records: JsonRecords;
  readonly #export: ExportTrace;

  constructor(file: string) {
    this.#file = file;
    this.#records = new JsonRecords(file);
    this.#export = new ExportTrace(file);
  }

  push(text: string): void {
    this.#add(this.#records.push(text));
  }

  end(): Trace {
    this.#add(this.#records.end());
    return this.#export.end();
  }

  #add(records: ReturnType<JsonRecords['push']>): void {
    for (const { record, line, path } of records) {
      this.#export.add({ record, place: `${this.#file}:${line}${path === '' ? '' : ` (${path})`}` });
    }
  }
}
