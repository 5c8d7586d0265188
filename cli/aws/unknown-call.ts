/** What emulators of AWS say about a call that they do not have. Pure. */
const UNKNOWN_CALL = [
  'InvalidAction',
  'InvalidActionException',
  'NotImplemented',
  'Unknown',
  'UnknownOperationException',
  'UnsupportedOperation',
];

/**
 * Why a call fails at an emulator of AWS, if that may be the reason; `undefined` otherwise.
 *
 * @param endpoint `AWS_ENDPOINT_URL`.
 */
export const unknownCall = ({ name }: Error, endpoint: string | undefined): string | undefined =>
  endpoint !== undefined && UNKNOWN_CALL.includes(name)
    ? `if ${endpoint} is an emulator of AWS: it does not have this call`
    : undefined;
