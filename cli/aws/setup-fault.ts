/**
 * What is wrong with the set-up of AWS on this machine, and what to do about it: in one place for all commands. Pure.
 */

/** The set-up that a command ran with. */
export interface AwsSetup {
  /** `AWS_PROFILE`. */
  profile: string | undefined;
  /** The profiles in the configuration files of this machine. */
  profiles: readonly string[];
  /** `AWS_ENDPOINT_URL`. */
  endpoint: string | undefined;
  /** Whether the environment has temporary credentials: `AWS_SESSION_TOKEN`. */
  hasSessionToken: boolean;
}

type Describe = (error: Error, setup: AwsSetup) => string;

interface SetupFaultKind {
  /** Error names of the SDK and of the services. */
  names?: readonly string[];
  /** What the message must have as well, for names that mean several things. */
  text?: RegExp;
  /** Error codes of Node.js. */
  codes?: readonly string[];
  says: Describe;
}

const profileOption = ({ profile }: AwsSetup) => (profile === undefined ? '' : ` --profile ${profile}`);

const signIn: Describe = (_, setup) =>
  `Your sign-in to AWS has expired. Sign in again: aws sso login${profileOption(setup)}`;

const noCredentials: Describe = ({ message }, { profile, profiles }) => {
  if (profile !== undefined && !profiles.includes(profile)) {
    const others = profiles.length === 0 ? 'It has no profiles.' : `It has ${profiles.join(', ')}.`;
    return `AWS_PROFILE is ${JSON.stringify(profile)}, and this machine has no such profile. ${others} Set AWS_PROFILE to an existing profile, or make this one: aws configure sso --profile ${profile}`;
  }
  return profile === undefined
    ? 'There are no AWS credentials on this machine. Set AWS_PROFILE to one of your profiles, or sign in: aws configure sso'
    : `Profile ${profile} gives no credentials. Sign in (aws sso login --profile ${profile}), or correct the profile in ~/.aws/config. The AWS SDK says: ${message}`;
};

const unanswered: Describe = (error, { endpoint }) => {
  const [code = ''] = codesOf(error);
  if (endpoint !== undefined)
    return `The endpoint ${endpoint} does not answer (${code}). AWS_ENDPOINT_URL names it: start what listens there, or unset AWS_ENDPOINT_URL.`;
  const host = /\b[\w.-]+\.amazonaws\.com(\.cn)?\b/.exec(error.message)?.[0] ?? 'AWS';
  return code === 'ENOTFOUND'
    ? `${host} does not exist, or this machine has no network. Check the region (--region, AWS_REGION), then the network.`
    : `${host} does not answer (${code}). Check the network, the proxy and the VPN of this machine.`;
};

/** What the SDK throws if no source of credentials has any. */
const NO_CREDENTIALS = ['CredentialsProviderError', 'ProviderError'];

const SIGN_IN_AGAIN = ['TokenProviderError', 'UnauthorizedException', 'InvalidGrantException'];

const wrongClock: Describe = () =>
  'The clock of this machine is wrong, so AWS refuses its requests. Set the clock.';

/** A certificate that this machine does not trust. */
export const UNTRUSTED = [
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'CERT_HAS_EXPIRED',
  'ERR_TLS_CERT_ALTNAME_INVALID',
];

/** The first one that fits counts: a name with a text comes before the same name alone. */
const KINDS: readonly SetupFaultKind[] = [
  {
    names: ['Error'],
    text: /^Region is missing/,
    says: (_, setup) =>
      setup.profile !== undefined && !setup.profiles.includes(setup.profile)
        ? noCredentials(new Error(), setup)
        : 'No AWS region is set. Name it with --region, in AWS_REGION, or in your profile: aws configure set region eu-west-1',
  },
  {
    names: ['Error'],
    text: /^Region not accepted/,
    says: ({ message }) =>
      `The AWS region must be one such as eu-west-1, got ${/region=(".*?")/.exec(message)?.[1] ?? 'another text'}. Correct AWS_REGION, or the region of your profile.`,
  },
  {
    codes: ['ERR_INVALID_URL'],
    says: (_, { endpoint }) =>
      `AWS_ENDPOINT_URL must be a URL such as http://localhost:4566, got ${JSON.stringify(endpoint)}.`,
  },
  { names: ['RequestTimeTooSkewed', 'RequestInTheFuture'], says: wrongClock },
  {
    names: ['InvalidSignatureException', 'SignatureDoesNotMatch', 'AuthFailure'],
    text: /Signature (expired|not yet current)/,
    says: wrongClock,
  },
  {
    names: NO_CREDENTIALS,
    text: /aws login|aws\/login\/cache/,
    says: (_, setup) => `Your sign-in to AWS has expired. Sign in again: aws login${profileOption(setup)}`,
  },
  { names: NO_CREDENTIALS, text: /\bSSO\b|aws sso login|Token is expired/, says: signIn },
  { names: SIGN_IN_AGAIN, says: signIn },
  { names: NO_CREDENTIALS, says: noCredentials },
  {
    names: ['ExpiredToken', 'ExpiredTokenException', 'RequestExpired', 'TokenRefreshRequired'],
    says: (error, setup) =>
      setup.hasSessionToken
        ? 'Your temporary AWS credentials have expired. Replace AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or unset them and set AWS_PROFILE.'
        : signIn(error, setup),
  },
  {
    names: ['OptInRequired', 'SubscriptionRequiredException', 'RegionDisabledException'],
    says: () =>
      'Your AWS account has not enabled this region. Use another one (--region, AWS_REGION), or enable it in the console under Account.',
  },
  {
    names: [
      'InvalidClientTokenId',
      'UnrecognizedClientException',
      'InvalidAccessKeyId',
      'AuthFailure',
      'SignatureDoesNotMatch',
      'InvalidSignatureException',
      'IncompleteSignature',
      'IncompleteSignatureException',
      'MissingAuthenticationToken',
      'MissingAuthenticationTokenException',
    ],
    says: ({ name }, { profile }) =>
      `AWS does not accept the credentials of ${profile === undefined ? 'this machine' : `profile ${profile}`} (${name}). Set AWS_PROFILE to another profile, or sign in again. A region that your account has not enabled answers the same: check --region.`,
  },
  {
    codes: UNTRUSTED,
    says: (error) =>
      `The connection to AWS is not trusted (${codesOf(error)[0]}): something between this machine and AWS has a certificate of its own. Name its authority in NODE_EXTRA_CA_CERTS.`,
  },
  {
    codes: [
      'ECONNREFUSED',
      'ECONNRESET',
      'ENOTFOUND',
      'EAI_AGAIN',
      'ETIMEDOUT',
      'EHOSTUNREACH',
      'ENETUNREACH',
      'EPIPE',
      'EPROTO',
      'TimeoutError',
    ],
    says: unanswered,
  },
];

/**
 * What is wrong with the set-up of AWS, if that is what an error of a command means.
 *
 * @returns The message for the person who typed the command; `undefined` for any other error.
 */
export function setupFault(error: unknown, setup: AwsSetup): string | undefined {
  for (const cause of chainOf(error)) {
    const kind = KINDS.find(
      ({ names = [], text = /^/, codes = [] }) =>
        (names.includes(cause.name) && text.test(cause.message)) ||
        codesOf(cause).some((code) => codes.includes(code)),
    );
    if (kind !== undefined) return kind.says(cause, setup);
  }
  return undefined;
}

/** The codes of an error and its causes, such as `ECONNREFUSED`. They quote nothing of a request. */
export const codesInChain = (error: unknown): string[] => chainOf(error).flatMap(codesOf);

/** An error, and what caused it. */
function chainOf(error: unknown): Error[] {
  const chain: Error[] = [];
  for (let cause = error; cause instanceof Error; cause = cause.cause) chain.push(cause);
  return chain;
}

/** The codes of Node.js in an error, also of one that collects the attempts of several addresses. */
function codesOf(error: Error): string[] {
  const { code, errors = [] } = error as { code?: unknown; errors?: unknown };
  const own = typeof code === 'string' ? [code] : [];
  const attempts = Array.isArray(errors)
    ? errors.filter((each) => each instanceof Error).flatMap(codesOf)
    : [];
  // The SDK's own deadlines have a name and no code.
  return [...own, ...attempts, ...(error.name === 'TimeoutError' ? ['TimeoutError'] : [])];
}

/** Every error name and code that is a fault of the set-up, for tests. */
export const SETUP_FAULTS = {
  names: [...new Set(KINDS.flatMap(({ names = [] }) => names))],
  codes: KINDS.flatMap(({ codes = [] }) => codes),
};
