import { expect, it } from 'vitest';
import { sentence } from '../../functions/lib/sentence.ts';

it.each([
  { text: 'Rate exceeded', is: 'Rate exceeded.' },
  { text: 'Rate exceeded. ', is: 'Rate exceeded.' },
  { text: 'the limit is set by requestTimeout..', is: 'the limit is set by requestTimeout.' },
  { text: 'Is a proxy in between?', is: 'Is a proxy in between?' },
  { text: 'answered 500: <html...', is: 'answered 500: <html...' },
])('$text as a sentence', ({ text, is }) => expect(sentence(text)).toBe(is));
