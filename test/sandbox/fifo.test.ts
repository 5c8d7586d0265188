import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Fifo } from '../../sandbox/group/fifo.ts';

const step = fc.oneof(
  { weight: 4, arbitrary: fc.nat().map((entry) => ({ do: 'push' as const, entry })) },
  { weight: 1, arbitrary: fc.nat().map((entry) => ({ do: 'unshift' as const, entry })) },
  { weight: 4, arbitrary: fc.constant({ do: 'shift' as const }) },
  { weight: 1, arbitrary: fc.nat({ max: 5 }).map((length) => ({ do: 'truncate' as const, length })) },
);

it('holds what an array would, whatever is done to it', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const fifo = new Fifo<number>();
      const array: number[] = [];
      for (const next of steps) {
        if (next.do === 'push') array.push(next.entry);
        if (next.do === 'push') fifo.push(next.entry);
        if (next.do === 'unshift') array.unshift(next.entry);
        if (next.do === 'unshift') fifo.unshift(next.entry);
        if (next.do === 'shift') expect(fifo.shift()).toBe(array.shift());
        if (next.do === 'truncate') array.splice(next.length);
        if (next.do === 'truncate') fifo.truncate(next.length);
        expect(fifo.toArray()).toEqual(array);
        expect([fifo.length, fifo.first, fifo.second]).toEqual([array.length, array[0], array[1]]);
      }
    }),
  );
});

it('gives back the room of what has been taken, and keeps the order', () => {
  const fifo = new Fifo<number>();
  for (let entry = 0; entry < 5_000; entry += 1) fifo.push(entry);
  for (let entry = 0; entry < 4_000; entry += 1) expect(fifo.shift()).toBe(entry);
  fifo.unshift(-1);
  expect([fifo.length, fifo.first, fifo.second]).toEqual([1_001, -1, 4_000]);
});
