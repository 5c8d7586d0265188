import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { labelPlacer, type Rect } from '../../../simulator/report/client/labels.ts';
import { ALL, moved, zoomed } from '../../../simulator/report/client/zoom.ts';

const overlap = (a: Rect, b: Rect) =>
  a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;

describe('labels', () => {
  const WIDTH = 600;
  const HEIGHT = 400;

  /** Places the labels of points that are close together, and returns where each label is. */
  function crowded(points: Rect[], length: number): Rect[] {
    const place = labelPlacer(WIDTH, HEIGHT, () => points);
    return points.map((point, index) => {
      const label = { x: point.x + point.width + 6, y: point.y, width: length, height: 12 };
      const { dx, dy } = place(`${index}`, point, label);
      return { ...label, x: label.x + dx, y: label.y + dy };
    });
  }

  it('are to the right of a single point', () => {
    expect(crowded([{ x: 100, y: 100, width: 10, height: 12 }], 80)).toEqual([
      { x: 116, y: 100, width: 80, height: 12 },
    ]);
  });

  it('never lie on each other, on a point, or beyond the edges', () => {
    const somewhere = fc.record({
      x: fc.integer({ min: 250, max: 300 }),
      y: fc.integer({ min: 180, max: 220 }),
    });
    fc.assert(
      fc.property(
        fc.array(somewhere, { minLength: 1, maxLength: 14 }),
        fc.integer({ min: 20, max: 200 }),
        (at, length) => {
          const points = at.map(({ x, y }) => ({ x, y, width: 10, height: 10 }));
          const labels = crowded(points, length);
          for (const [index, label] of labels.entries()) {
            expect([...labels.slice(index + 1), ...points].filter((other) => overlap(label, other))).toEqual(
              [],
            );
            expect(label.x).toBeGreaterThanOrEqual(0);
            expect(label.x + label.width).toBeLessThanOrEqual(WIDTH);
          }
        },
      ),
    );
  });

  it('ignore their former place when they are placed again', () => {
    const point = { x: 100, y: 100, width: 10, height: 12 };
    const label = { x: 116, y: 100, width: 80, height: 12 };
    const place = labelPlacer(WIDTH, HEIGHT, () => [point]);
    expect(place('a', point, label)).toEqual(place('a', point, label));
  });
});

describe('the visible part of the time axis', () => {
  it.each([
    ['half of it, zoomed in', zoomed(ALL, 1 / 2), { from: 0.25, to: 0.75 }],
    ['all of it, however far it is zoomed out', zoomed({ from: 0.7, to: 0.9 }, 100), ALL],
    ['as much as before, moved', moved({ from: 0.2, to: 0.6 }, 0.25), { from: 0.3, to: 0.7 }],
    ['nothing before the beginning', moved({ from: 0.1, to: 0.5 }, -1), { from: 0, to: 0.4 }],
    ['nothing after the end', moved({ from: 0.5, to: 0.9 }, 1), { from: 0.6, to: 1 }],
  ])('is %s', (_, { from, to }, expected) => {
    expect(from).toBeCloseTo(expected.from);
    expect(to).toBeCloseTo(expected.to);
  });

  it('is never empty, and never beyond the ends', () => {
    const presses = fc.array(fc.constantFrom('in', 'out', 'earlier', 'later'), { maxLength: 40 });
    fc.assert(
      fc.property(presses, (all) => {
        const window = all.reduce((now, press) => {
          if (press === 'in' || press === 'out') return zoomed(now, press === 'in' ? 1 / 2 : 2);
          return moved(now, press === 'earlier' ? -0.25 : 0.25);
        }, ALL);
        expect(window.to - window.from).toBeGreaterThan(0.001);
        expect(window.from).toBeGreaterThanOrEqual(0);
        expect(window.to).toBeLessThanOrEqual(1 + 1e-9);
      }),
    );
  });
});
