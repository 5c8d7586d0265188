export interface Rect {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** The offset of a label from its default position. */
export interface Moved {
  dx: number;
  dy: number;
}

const GAP = 6;

/** Above and below a label: a browser's box of a text is some pixels higher than the one that it is drawn by. */
const LEADING = 6;

/** A label moves at most this many lines up or down. */
const MOST_LINES = 24;

/**
 * Places labels next to their points, one after the other: right of it, left or across, on its height or some lines up
 * or down, so that none is over another, over another point, or beyond the edges. One that is placed again makes room
 * for itself.
 *
 * @param points Where all points are, asked for when a label is placed.
 * @returns What to do with a label that would be right of its point, by its name.
 */
export function labelPlacer(width: number, height: number, points: () => Rect[]) {
  const placed = new Map<string, Rect>();
  return (name: string, point: Rect, label: Rect): Moved => {
    const middle = point.y + point.height / 2;
    const others = [...placed].flatMap(([key, rect]) => (key === name ? [] : [rect]));
    const isFree = (place: Rect) =>
      place.x >= 0 &&
      place.x + place.width <= width &&
      place.y >= 0 &&
      place.y + place.height <= height &&
      ![...others, ...points()].some((other) => overlap(spaced(place), other));
    const centred = point.x + point.width / 2 - label.width / 2;
    const columns = [
      point.x + point.width + GAP,
      point.x - GAP - label.width,
      Math.max(Math.min(centred, width - label.width), 0),
    ];
    const placesAt = (columns: readonly number[]) =>
      Array.from({ length: 2 * MOST_LINES + 1 }, (_, index) => {
        const lines = Math.ceil(index / 2) * (index % 2 === 0 ? 1 : -1);
        const y = middle - label.height / 2 + lines * (label.height + LEADING);
        return columns.map((x): Rect => ({ ...label, x, y }));
      }).flat();
    // At an edge, if nothing is free next to the point.
    const places = [...placesAt(columns), ...placesAt([width - label.width, 0])];
    const at = places.find(isFree) ?? label;
    placed.set(name, at);
    return { dx: at.x - label.x, dy: at.y - label.y };
  };
}

const spaced = (place: Rect): Rect => ({
  ...place,
  y: place.y - LEADING / 2,
  height: place.height + LEADING,
});

const overlap = (a: Rect, b: Rect) =>
  a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
