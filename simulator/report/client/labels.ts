interface Rect {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** How a label is moved from where it would be, and the line from its point to it. */
export interface Moved {
  dx: number;
  dy: number;
  labelLinePoints: number[][];
}

const GAP = 6;

/** So many lines up or down is a label moved at most. */
const MOST_LINES = 12;

/** A label this far from its point needs no line to it. */
const NEAR = 15;

/**
 * Places labels next to their points, one after the other: right of it or left, on its height or some lines up or
 * down, so that none is over another or beyond the edges. One that is placed again makes room for itself.
 *
 * @returns What to do with a label that would be right of its point, by its name.
 */
export function labelPlacer(width: number, height: number) {
  const taken = new Map<string, Rect>();
  return (name: string, point: Rect, label: Rect): Moved => {
    taken.set(`point of ${name}`, point);
    const own = new Set([name, `point of ${name}`]);
    const others = [...taken].flatMap(([key, rect]) => (own.has(key) ? [] : [rect]));
    const middle = point.y + point.height / 2;
    const left = point.x - GAP - label.width;
    const right = point.x + point.width + GAP;
    const places = Array.from({ length: 2 * MOST_LINES + 1 }, (_, index) => {
      const lines = Math.ceil(index / 2) * (index % 2 === 0 ? 1 : -1);
      const y = middle - label.height / 2 + lines * (label.height + 1);
      return [right, left].map((x): Rect => ({ ...label, x, y }));
    }).flat();
    const fits = places.find(
      (place) =>
        place.x >= 0 &&
        place.x + place.width <= width &&
        place.y >= 0 &&
        place.y + place.height <= height &&
        !others.some((other) => overlap(place, other)),
    );
    const at = fits ?? { ...label, x: right, y: middle - label.height / 2 };
    taken.set(name, at);
    const line = at.y + label.height / 2;
    const side = at.x === right ? at.x - 2 : at.x + label.width + 2;
    const from = [point.x + point.width / 2, middle];
    return {
      dx: at.x - label.x,
      dy: at.y - label.y,
      labelLinePoints:
        Math.abs(line - middle) < NEAR ? [from, from, from] : [from, [side, line], [side, line]],
    };
  };
}

const overlap = (a: Rect, b: Rect) =>
  a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
