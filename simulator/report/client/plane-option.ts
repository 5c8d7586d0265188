import type { Figures, Kind, ReportData } from '../model.ts';
import { price, seconds } from '../number-format.ts';
import { labelPlacer, type Rect } from './labels.ts';
import { axis, type Look, type Option, tooltip } from './look.ts';

/** The wait on the vertical axis. */
export type WaitStatistic = 'mean' | 'p50' | 'p95' | 'p99';

/** A policy, or a setting that was tried, in the plane. */
export interface Point {
  name: string;
  kind: Kind | 'tried';
  x: number;
  y: number;
  killed: number;
}

/** The cost axis is logarithmic if costs differ by more than this factor. */
const LOGARITHMIC_FROM = 6;

/** The range of costs that counts as near ours, as factors of our cost. */
const NEAR = [0.5, 2] as const;

/** The height of the chart, in pixels. */
export const HEIGHT = { wide: 520, narrow: 460 };

/** The symbol of each kind. Labels are placed in this order, and the first kind is drawn on top. */
const KINDS = {
  recommended: { symbol: 'roundRect', size: 15 },
  ours: { symbol: 'circle', size: 15 },
  peer: { symbol: 'circle', size: 11 },
  'lower-bound': { symbol: 'diamond', size: 13 },
  tried: { symbol: 'circle', size: 7 },
} as const;

/** All points, or only those that cost about as much as ours. */
export function pointsOf(
  { rows, settings, tried }: ReportData,
  wait: WaitStatistic,
  onlyNear: boolean,
): Point[] {
  const at = (figures: Figures) => ({
    x: figures.price,
    y: figures.wait[wait],
    killed: figures.jobsKilled,
  });
  const own = rows.find(({ kind }) => kind === 'ours')?.price ?? 0;
  const [least, most] = NEAR;
  return [
    ...rows.map((row) => ({ name: row.label, kind: row.kind, ...at(row) })),
    ...settings.map((setting) => ({
      name: `${setting.setting} ${setting.to}`,
      kind: 'tried' as const,
      ...at(setting),
    })),
    ...tried.map((combination) => ({ name: combination.name, kind: 'tried' as const, ...at(combination) })),
  ].filter(({ x }) => !onlyNear || (x >= own * least && x <= own * most));
}

/** The chart: wait on the vertical axis, cost on the horizontal one. */
export function planeOption({ unit }: ReportData, points: readonly Point[], look: Look): Option {
  const { colour, isNarrow, width } = look;
  const costs = points.map(({ x }) => x);
  const isLogarithmic = Math.min(...costs) > 0 && Math.max(...costs) > LOGARITHMIC_FROM * Math.min(...costs);
  const place = labelPlacer(width, (isNarrow ? HEIGHT.narrow : HEIGHT.wide) - 44, () =>
    points.map(({ kind, x, y }) => around(look.pixelOf([x, y]), KINDS[kind].size)),
  );
  return {
    grid: { left: 44, right: isNarrow ? 16 : 32, top: 34, bottom: 44 },
    tooltip: {
      ...tooltip(look),
      trigger: 'item',
      formatter: (drawn) => {
        const [one] = Array.isArray(drawn) ? drawn : [drawn];
        const point = points.find(({ name }) => name === one?.name);
        if (point === undefined) return '';
        const killed = point.killed === 0 ? '' : `<br>${point.killed} jobs killed`;
        const names = sameAs(point, points).map(({ name }) => name);
        return `<strong>${names.length === 0 ? point.name : names.join(', ')}</strong><br>${seconds(point.y)}<br>${price(point.x, unit)}${unit === 'instance-hours' ? ' instance-hours' : ' a month'}${killed}`;
      },
    },
    xAxis: {
      ...axis(look),
      type: isLogarithmic ? 'log' : 'value',
      name: unit,
      nameLocation: 'middle',
      nameGap: 28,
      scale: true,
      ...(isLogarithmic && bounds(costs)),
      axisLabel: { ...axis(look).axisLabel, formatter: (value: number) => price(value, unit) },
    },
    yAxis: {
      ...axis(look),
      type: 'value',
      name: 'wait, seconds',
      nameLocation: 'end',
      min: 0,
      nameTextStyle: { ...axis(look).nameTextStyle, align: 'left', padding: [0, 0, 0, -36] },
    },
    series: Object.entries(KINDS).map(([kind, { symbol, size }], order) => ({
      type: 'scatter',
      name: kind,
      z: 10 - order,
      symbol,
      symbolSize: size,
      clip: false,
      itemStyle: {
        color: colour(kind),
        opacity: kind === 'tried' ? 0.6 : 1,
        borderColor: colour('card'),
        borderWidth: 1,
      },
      labelLine: {
        show: kind !== 'tried',
        lineStyle: { color: colour('peer'), opacity: 0.6 },
      },
      labelLayout: ({ text, rect, labelRect }) => place(text, rect, labelRect),
      label: {
        show: kind !== 'tried',
        position: 'right',
        distance: 6,
        fontSize: isNarrow ? 11 : 12,
        fontWeight: kind === 'ours' || kind === 'recommended' ? 'bold' : 'normal',
        color: kind === 'ours' || kind === 'recommended' ? colour(kind) : colour('text'),
        textBorderColor: colour('card'),
        textBorderWidth: 3,
      },
      data: points
        .filter((point) => point.kind === kind)
        .map((point) => ({
          name: point.name,
          value: [point.x, point.y],
          label: labelOf(point, points, isNarrow),
          ...(point.killed > 0 && { symbol: 'triangle', itemStyle: { color: colour('killing') } }),
        })),
    })),
  };
}

const around = ([x = 0, y = 0]: number[], size: number): Rect => ({
  x: x - size / 2,
  y: y - size / 2,
  width: size,
  height: size,
});

/**
 * The label of a point. If several peers and lower bounds share a position, the first one shows all their names, or
 * their number.
 */
function labelOf(point: Point, points: readonly Point[], isNarrow: boolean) {
  const [first = point, ...others] = sameAs(point, points);
  if (first !== point) return { show: false };
  const names = [first, ...others].map(({ name }) => name);
  // A phone has no room for long names.
  if (isNarrow && others.length === 0) return { formatter: first.name.replace(' settings', '') };
  return {
    formatter: isNarrow ? `${first.name} + ${others.length} more` : names.join(', '),
  };
}

/** All peers and lower bounds at the position of one of them. */
function sameAs({ kind, x, y }: Point, points: readonly Point[]): Point[] {
  if (!OTHERS.has(kind)) return [];
  return points.filter((other) => OTHERS.has(other.kind) && other.x === x && other.y === y);
}

const OTHERS: ReadonlySet<Point['kind']> = new Set(['peer', 'lower-bound']);

/** The limits of an axis: 1, 2 or 5 times a power of ten, around all values. */
function bounds(values: readonly number[]): { min: number; max: number } {
  const round = (value: number, fits: (step: number) => boolean, steps: number[]) => {
    const power = 10 ** Math.floor(Math.log10(value));
    return (steps.find((step) => fits(step * power)) ?? 1) * power;
  };
  const [least, most] = [Math.min(...values), Math.max(...values)];
  return {
    min: round(least, (step) => step <= least, [5, 2, 1]),
    max: round(most, (step) => step >= most, [1, 2, 5, 10]),
  };
}
