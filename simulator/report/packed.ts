/** Counts as text, so that weeks of them fit into the page: the same number of digits to the base 64 for each. */
export interface Packed {
  digits: number;
  text: string;
}

const DIGITS = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_';

/** @param counts Whole numbers of at least 0. */
export function pack(counts: readonly number[]): Packed {
  const most = counts.reduce((largest, count) => Math.max(largest, count), 0);
  let digits = 1;
  while (64 ** digits <= most) digits += 1;
  const written = (count: number) =>
    Array.from(
      { length: digits },
      (_, place) => DIGITS[Math.floor(count / 64 ** (digits - 1 - place)) % 64],
    ).join('');
  return { digits, text: counts.map(written).join('') };
}

export function unpack({ digits, text }: Packed): number[] {
  return Array.from({ length: text.length / digits }, (_, index) =>
    [...text.slice(index * digits, (index + 1) * digits)].reduce(
      (value, digit) => value * 64 + DIGITS.indexOf(digit),
      0,
    ),
  );
}
