import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  changesOf,
  imageOnTrial,
  imagesBefore,
  isUnpublished,
  TRIAL_MILLISECONDS,
} from '../../functions/lib/images.ts';

/** Versions with these images, a day apart; the last one at 0. */
const versions = (...images: string[]) =>
  images.map((image, index) => ({ image, at: (index + 1 - images.length) * 86_400_000 }));

describe('the images before the current one', () => {
  it.each([
    { case: 'none', had: ['stock'], before: [] },
    { case: 'the stock image', had: ['stock', 'a'], before: ['stock'] },
    { case: 'the latest first', had: ['stock', 'a', 'b'], before: ['a', 'stock'] },
    {
      case: 'once each, although an event came twice',
      had: ['stock', 'a', 'a', 'b', 'b'],
      before: ['a', 'stock'],
    },
    { case: 'further back after a rollback', had: ['stock', 'a', 'b', 'a'], before: ['stock'] },
    {
      case: 'without what was rolled back',
      had: ['stock', 'a', 'bad', 'a', 'c'],
      before: ['a', 'bad', 'stock'],
    },
    { case: 'none of a parameter without versions', had: [], before: [] },
  ])('are $case', ({ had, before }) => {
    expect(imagesBefore(versions(...had))).toEqual(before);
  });

  it('never have the current one', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom('a', 'b', 'c', 'd')), (images) => {
        expect(imagesBefore(versions(...images))).not.toContain(images.at(-1));
      }),
    );
  });
});

describe('an image is taken for the cause of failing launches', () => {
  it.each([
    { case: 'within an hour', had: ['stock', 'a'], after: TRIAL_MILLISECONDS, image: 'a' },
    { case: 'and no longer', had: ['stock', 'a'], after: TRIAL_MILLISECONDS + 1, image: undefined },
    {
      case: 'unless it is the one that a rollback brought',
      had: ['stock', 'a', 'stock'],
      after: 1,
      image: undefined,
    },
    { case: 'unless it came later', had: ['stock', 'a'], after: -1, image: undefined },
    { case: 'also if its event came twice', had: ['stock', 'a', 'a'], after: -86_000_000, image: 'a' },
    { case: 'unless there is none', had: [], after: 0, image: undefined },
  ])('$case', ({ had, after, image }) => {
    expect(imageOnTrial(versions(...had), after)).toBe(image);
  });
});

it('an image is published once, also if a rollback took it away', () => {
  expect(isUnpublished(versions('stock', 'a'), 'b')).toBe(true);
  expect(isUnpublished(versions('stock', 'b', 'stock'), 'b')).toBe(false);
});

it('versions that repeat the one before them are no change', () => {
  expect(changesOf(versions('a', 'a', 'b', 'a')).map(({ image }) => image)).toEqual(['a', 'b', 'a']);
});
