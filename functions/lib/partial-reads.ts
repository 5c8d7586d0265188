/** Reads that may fail without the others: what could not be read is in `missing`, with the reason. */
export interface PartialReads {
  missing: string[];
  /** What was read, or `otherwise`. */
  unless: <T>(what: string, otherwise: T, read: Promise<T>) => Promise<T>;
}

/** @param onError Throws for an error that ends all reads. */
export function partialReads(onError: () => void = () => {}): PartialReads {
  const missing: string[] = [];
  const unless = <T>(what: string, otherwise: T, read: Promise<T>): Promise<T> =>
    read.catch((error: Error) => {
      onError();
      missing.push(`${what} (${error.name})`);
      return otherwise;
    });
  return { missing, unless };
}
