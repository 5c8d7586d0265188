import { CsvTrace } from './csv-trace.ts';
import { JsonTrace } from './json-trace.ts';
import { readText } from './text.ts';
import type { Trace } from './trace.ts';

/** What reads a file piece by piece. */
interface Reader {
  push: (text: string) => void;
  end: () => Trace;
}

/**
 * Reads a trace from a file or a pipe, also if it is compressed with gzip. Its header or its keys decide the form: CSV
 * of seconds, or a CI service's export of jobs as CSV or JSON (one value, pages with `items` or `jobs`, or several
 * values one after the other).
 *
 * @throws TraceInvalid with file, line and fault. Records that are not jobs are left out and reported.
 */
export async function loadTrace(file: string): Promise<Trace> {
  let reader: Reader | undefined;
  let text = '';
  for await (const piece of readText(file)) {
    text += piece;
    if (text.trim() === '') continue;
    reader ??= readerOf(file, text);
    reader.push(text);
    text = '';
  }
  reader ??= readerOf(file, text);
  reader.push(text);
  return reader.end();
}

/** The first character tells JSON from CSV. */
const readerOf = (file: string, text: string): Reader =>
  /^\s*[[{]/.test(text) ? new JsonTrace(file) : new CsvTrace(file);
