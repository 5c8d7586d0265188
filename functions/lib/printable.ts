/**
 * Characters without a glyph of their own: those that control a terminal, those that change the direction of the text
 * around them, so that it reads as something else, those that are not seen, and separators of lines that are no `\n`.
 * Tabs and line ends stay. https://www.unicode.org/reports/tr36/#Bidirectional_Text_Spoofing
 */
const UNSEEN = /(?![\t\n])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\u115f\u1160\u3164\uffa0]/gu;

/** The text with a sign in place of each character that could control a terminal or mislead a reader. */
export const printable = (text: string) => text.replaceAll('\r\n', '\n').replace(UNSEEN, '\ufffd');

/** The same for a part of a line, such as a name: at most this many characters, and no tab or line end. */
export function printableName(text: string, longest: number): string {
  const shown = printable(text.slice(0, longest)).replace(/[\t\n]/g, '\ufffd');
  return text.length > longest ? `${shown}...` : shown;
}
