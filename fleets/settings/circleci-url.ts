import { HOST_NAME, PORT } from './hosts.ts';

/**
 * Host and optional path, over HTTPS: the API's paths can be appended, a shell can quote it, and a token may be sent
 * there. A stand-in on this machine may have a port, and HTTP. functions/lib/circleci-url.ts checks it again.
 */
export const SERVER_URL = new RegExp(
  `^(?=.{1,261}$)(?!.*/\\.{1,2}(/|$))(https://${HOST_NAME}|https?://(localhost|127\\.0\\.0\\.1)(:${PORT})?)(/[A-Za-z0-9._~-]+)*/?$`,
);

export const SERVER_URL_FORM =
  'a URL such as https://runner.circleci.com: https, without a port, a query or a user';
