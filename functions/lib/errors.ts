/**
 * The workflow's vocabulary of failure: one class per failure that the workflow, or the person reading it,
 * treats differently. `name` is a literal because Lambda reports it as the error's type and a minifier
 * renames classes. Every message says what was found and what is allowed; none contains a secret.
 */
abstract class StepError extends Error {
  abstract override readonly name: string;
}

/** The step's input breaks its contract: the definition and the functions do not belong together. */
export class InputInvalid extends StepError {
  readonly name = 'InputInvalid';
}

/** No settings of that fleet, or not of that version: it is not deployed here. */
export class SettingsNotFound extends StepError {
  readonly name = 'SettingsNotFound';
}
/** The function's role may not read the settings. */
export class SettingsDenied extends StepError {
  readonly name = 'SettingsDenied';
}
/** The parameter is not what a deployment writes. */
export class SettingsMalformed extends StepError {
  readonly name = 'SettingsMalformed';
}
/** Systems Manager throttled, failed or did not answer: it passes. */
export class SettingsUnavailable extends StepError {
  readonly name = 'SettingsUnavailable';
}

/** No secret of that name exists here, or can; or it is marked for deletion. */
export class SecretNotFound extends StepError {
  readonly name = 'SecretNotFound';
}
/** The secret exists and was never given a value. */
export class SecretUnset extends StepError {
  readonly name = 'SecretUnset';
}
/** The function's role may not read the secret, or not decrypt it. */
export class SecretDenied extends StepError {
  readonly name = 'SecretDenied';
}
/** The secret's value is not JSON, or lacks a key. */
export class SecretMalformed extends StepError {
  readonly name = 'SecretMalformed';
}
/** The secret belongs to another resource class than the fleet. */
export class SecretMismatch extends StepError {
  readonly name = 'SecretMismatch';
}
/** Secrets Manager throttled, failed or did not answer: it passes. */
export class SecretsManagerUnavailable extends StepError {
  readonly name = 'SecretsManagerUnavailable';
}

/** 401 or 403, also with the token read again: the token is wrong or lacks permission. */
export class CircleCiUnauthorized extends StepError {
  readonly name = 'CircleCiUnauthorized';
}
/** 404: no such resource class, or the token's owner cannot see it. Never zero tasks. */
export class CircleCiNotFound extends StepError {
  readonly name = 'CircleCiNotFound';
}
/** Any other 3xx or 4xx: the request itself was refused. */
export class CircleCiRejected extends StepError {
  readonly name = 'CircleCiRejected';
}
/** 429, with a wait that does not fit into this execution any more. */
export class CircleCiRateLimited extends StepError {
  readonly name = 'CircleCiRateLimited';
}
/** 5xx: it passes. */
export class CircleCiUnavailable extends StepError {
  readonly name = 'CircleCiUnavailable';
}
/** No connection, or it broke: it passes. */
export class CircleCiUnreachable extends StepError {
  readonly name = 'CircleCiUnreachable';
}
/** No whole answer within the deadline: it passes. */
export class CircleCiTimeout extends StepError {
  readonly name = 'CircleCiTimeout';
}
/** A 200 that is not JSON, such as a proxy's page: it passes. */
export class CircleCiNotJson extends StepError {
  readonly name = 'CircleCiNotJson';
}
/** An answer that is longer than any count. */
export class CircleCiTooLong extends StepError {
  readonly name = 'CircleCiTooLong';
}
/** JSON without a whole number of at least 0 where the count belongs. */
export class CircleCiInvalidCount extends StepError {
  readonly name = 'CircleCiInvalidCount';
}

/** No Auto Scaling group of that name exists here. */
export class GroupNotFound extends StepError {
  readonly name = 'GroupNotFound';
}
/** The group's description cannot be what a group is: no desired capacity, or no instance list. */
export class GroupUnreadable extends StepError {
  readonly name = 'GroupUnreadable';
}
/** The function's role may not do that to the group. */
export class AutoScalingDenied extends StepError {
  readonly name = 'AutoScalingDenied';
}
/** EC2 Auto Scaling throttled, failed or did not answer: it passes. */
export class AutoScalingUnavailable extends StepError {
  readonly name = 'AutoScalingUnavailable';
}
/** A decision that breaks one of the laws of capacity.ts: it is not written. */
export class DecisionInvalid extends StepError {
  readonly name = 'DecisionInvalid';
}

/** The group does not accept that desired capacity. */
export class GroupUpdateRefused extends StepError {
  readonly name = 'GroupUpdateRefused';
}
