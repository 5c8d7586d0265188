/**
 * A text that somebody else wrote, as a sentence that another one can follow: it ends with one full stop, whether or not it
 * had one. Messages of the AWS SDK end with none, one or two.
 */
export function sentence(text: string): string {
  const trimmed = text.trim();
  return /[!?]$|\.{3}$/.test(trimmed) ? trimmed : `${trimmed.replace(/\.+$/, '')}.`;
}
