import { describe, expect, it } from 'vitest';
import * as errors from '../../functions/lib/errors.ts';

const classes = Object.entries(errors);

describe('the vocabulary of failure', () => {
  it.each(classes)('%s has its own name, in a literal that no minifier changes', (exported, StepError) => {
    const error = new StepError('why', { cause: 'because' });
    expect(error.name).toBe(exported);
    expect(Object.hasOwn(error, 'name')).toBe(true);
    expect(`${error}`).toBe(`${exported}: why`);
    expect(error).toMatchObject({ message: 'why', cause: 'because' });
    expect(error).toBeInstanceOf(Error);
  });

  it('has no two words for the same', () => {
    const names = classes.map(([, StepError]) => new StepError('').name);
    expect(new Set(names).size).toBe(names.length);
  });
});
