import { PutParameterCommand, type SSMClient } from '@aws-sdk/client-ssm';
import { historyOf } from './image-parameters.ts';

/**
 * Which messages of the function of built images were sent. EventBridge sometimes delivers an event twice, also at the
 * same moment, and Lambda calls again after a failure. The record is the history of a parameter: Systems Manager numbers
 * its versions, so of two calls that begin together, both know which one was first.
 *
 * A message is at least once: a call that ends between its message and the record of it sends it again.
 * Nothing else depends on the record: a rollback is made whatever it says, and also if it cannot be read or written.
 */

/** What a version says of a message. */
interface Note {
  version: number;
  at: number;
  state: string;
  message: string;
}

/**
 * How long a message that was begun counts as being sent, in milliseconds. A call takes less, and Lambda calls again a
 * minute after one that has failed or timed out:
 * https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
 */
export const LEASE_MILLISECONDS = 55_000;

/** The notes of this message since it failed last, or `undefined` if it was sent. */
function openNotes(notes: readonly Note[], message: string): Note[] | undefined {
  const own = notes.filter((note) => note.message === message);
  if (own.some(({ state }) => state === 'sent')) return undefined;
  return own.slice(own.findLastIndex(({ state }) => state === 'failed') + 1);
}

/** The version by which a call sends this message now; `undefined` if none does. */
const senderOf = (open: readonly Note[], now: number) =>
  open.find(({ at }) => now - at < LEASE_MILLISECONDS)?.version;

/** If somebody has deleted the parameter, the first note makes it again. */
async function notesIn(name: string, ssm: SSMClient): Promise<Note[]> {
  const history = await historyOf(name, { ssm });
  return history
    .toSorted((a, b) => a.version - b.version)
    .map(({ value, version, at }) => {
      const [state = '', ...words] = value.split(' ');
      return { version, at, state, message: words.join(' ') };
    });
}

async function note(name: string, state: string, message: string, client: SSMClient): Promise<number> {
  const { Version = 0 } = await client.send(
    new PutParameterCommand({ Name: name, Value: `${state} ${message}`, Type: 'String', Overwrite: true }),
  );
  return Version;
}

/**
 * Sends a message, unless it was sent before, or another call sends it at this moment.
 *
 * @param name The parameter with the record.
 * @param message What the message is about: the same for each event of it.
 * @param send If it fails, the next call sends the message again.
 */
export async function sendOnce(
  name: string,
  message: string,
  send: () => Promise<void>,
  client: SSMClient,
): Promise<void> {
  const before = openNotes(await notesIn(name, client), message);
  if (before === undefined || senderOf(before, Date.now()) !== undefined) return;
  const own = await note(name, 'begun', message, client);
  const open = openNotes(await notesIn(name, client), message);
  if (open === undefined || (senderOf(open, Date.now()) ?? own) !== own) return;
  try {
    await send();
  } catch (error) {
    await note(name, 'failed', message, client);
    throw error;
  }
  await note(name, 'sent', message, client);
}

/** The last message that begins with these words, if it was begun and not sent. */
export async function unsent(name: string, words: string, client: SSMClient): Promise<string | undefined> {
  const notes = await notesIn(name, client);
  const last = notes.findLast(({ message }) => message.startsWith(words))?.message;
  return last !== undefined && openNotes(notes, last) !== undefined ? last : undefined;
}
