/** Which image a fleet has, by the versions of the parameter that its launches read. */

/** A version of the parameter, in order. */
export interface ImageVersion {
  image: string;
  /** When it was written, in milliseconds. */
  at: number;
}

/** Without versions that repeat the image before them: an event can arrive twice. */
export const changesOf = (versions: readonly ImageVersion[]): ImageVersion[] =>
  versions.filter(({ image }, index) => image !== versions[index - 1]?.image);

/** Whether an image is published by this: it never was before. So a late event does not undo a rollback. */
export const isUnpublished = (versions: readonly ImageVersion[], image: string): boolean =>
  versions.every((version) => version.image !== image);

/**
 * The images that a fleet had before its current one, the latest first. A second rollback goes back further: what was
 * rolled back is not among them.
 */
export function imagesBefore(versions: readonly ImageVersion[]): string[] {
  const changes = changesOf(versions);
  const current = changes.at(-1)?.image;
  const first = changes.findIndex(({ image }) => image === current);
  const before = changes.slice(0, Math.max(0, first)).map(({ image }) => image);
  return [...new Set(before.toReversed())];
}

/** How long after its publication an image is taken for the cause of launches that fail, in milliseconds. */
export const TRIAL_MILLISECONDS = 3_600_000;

/**
 * The image to roll back if launches fail, or `undefined` if the image is not the cause: the fleet has had it for longer, had
 * it before, or got it after the failure.
 *
 * @param failedAt When it was clear that launches fail.
 */
export function imageOnTrial(versions: readonly ImageVersion[], failedAt: number): string | undefined {
  const changes = changesOf(versions);
  const current = changes.at(-1);
  if (current === undefined || failedAt < current.at || failedAt - current.at > TRIAL_MILLISECONDS)
    return undefined;
  const had = changes.slice(0, -1).some(({ image }) => image === current.image);
  return had ? undefined : current.image;
}
