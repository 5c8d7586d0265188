/** Parts of patterns for hosts and ports, as URLs have them. */

/** From 1 to 65535. */
export const PORT = '([1-9]\\d{0,3}|[1-5]\\d{4}|6[0-4]\\d{3}|65[0-4]\\d{2}|655[0-2]\\d|6553[0-5])';

/** Letters, digits, and hyphens inside: https://www.rfc-editor.org/rfc/rfc1123#section-2 */
const LABEL = '[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?';

export const HOST_NAME = `(?=[A-Za-z0-9.-]{1,253}(:|/|$))${LABEL}(\\.${LABEL})*`;
