/**
 * Characters that control a terminal, and those that change the direction of the text around them, so that it reads as
 * something else: https://www.unicode.org/reports/tr9/#Directional_Formatting_Characters. Tabs and line ends stay.
 */
const CONTROLS = /(?![\t\n])[\p{Cc}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

/** The text with a sign in place of each character that could control a terminal or mislead a reader. */
export const printable = (text: string) => text.replaceAll('\r\n', '\n').replace(CONTROLS, '\ufffd');
