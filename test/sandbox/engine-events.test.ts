import { describe, expect, it } from 'vitest';
import { EVENTS } from '../../sandbox/engine-events.ts';

/** The same calls for the globals and for what the engine has in their place. */
const scripts = [{ EventTarget, Event, AbortController, AbortSignal } as unknown as typeof EVENTS, EVENTS];

describe('the events and signals of the engine do what the globals do', () => {
  it.each(['each listener once for each event', 'a removed listener', 'a listener that is added twice'])(
    'with %s',
    (given) => {
      const calls = scripts.map(({ EventTarget, Event }) => {
        const target = new EventTarget();
        const called: string[] = [];
        const first = () => called.push('first');
        const once = () => called.push('once');
        const removed = () => called.push('removed');
        target.addEventListener('e', first);
        if (given.includes('twice')) target.addEventListener('e', first);
        target.addEventListener('e', once, { once: true });
        target.addEventListener('e', removed);
        target.addEventListener('e', () => target.removeEventListener('e', removed));
        if (given.includes('removed')) target.removeEventListener('e', first);
        target.dispatchEvent(new Event('e'));
        target.dispatchEvent(new Event('e'));
        return called;
      });
      expect(calls[1]).toEqual(calls[0]);
      expect(calls[1]).toContain('once');
    },
  );

  it('when a listener removes one that is still to be called', () => {
    const calls = scripts.map(({ EventTarget, Event }) => {
      const target = new EventTarget();
      const called: string[] = [];
      const second = () => called.push('second');
      target.addEventListener('e', () => target.removeEventListener('e', second));
      target.addEventListener('e', second);
      target.dispatchEvent(new Event('e'));
      return called;
    });
    expect(calls).toEqual([[], []]);
  });

  it.each(['the first', 'the second', 'one that has aborted before'])(
    'when %s of two signals aborts',
    (which) => {
      const aborts = scripts.map(({ AbortController, AbortSignal }) => {
        const [one, other] = [new AbortController(), new AbortController()];
        const aborted: string[] = [];
        if (which.includes('before')) one.abort();
        one.signal.addEventListener('abort', () => aborted.push('one'));
        const either = AbortSignal.any([one.signal, other.signal]);
        either.addEventListener('abort', () => aborted.push('either'));
        const whole = AbortSignal.any([new AbortController().signal, either]);
        whole.addEventListener('abort', () => aborted.push('whole'));
        if (which === 'the second') other.abort();
        else one.abort();
        one.abort();
        return { aborted, states: [one.signal, other.signal, either, whole].map(({ aborted }) => aborted) };
      });
      expect(aborts[1]).toEqual(aborts[0]);
      expect(aborts[1]?.states.slice(2)).toEqual([true, true]);
    },
  );
});
