import { price, seconds } from '../figures.ts';
import type { Figures, Kind, ReportData } from '../report-data.ts';
import { axis, draw, type Look, type Option, tooltip } from './chart.ts';
import { element } from './elements.ts';

type Wait = 'mean' | 'p50' | 'p95' | 'p99';

interface Point {
  name: string;
  kind: Kind | 'tried';
  x: number;
  y: number;
  killed: number;
}

/** Costs that differ by more than so many times are on a logarithmic axis. */
const LOGARITHMIC_FROM = 6;

/** The size of each kind's symbol, and what is drawn over what. */
const KINDS = {
  tried: { symbol: 'circle', size: 7 },
  limit: { symbol: 'diamond', size: 13 },
  peer: { symbol: 'circle', size: 11 },
  ours: { symbol: 'circle', size: 15 },
  recommended: { symbol: 'roundRect', size: 15 },
} as const;

/** Every policy by its wait and its cost; the wait that is meant is chosen. */
export function plane(data: ReportData): void {
  const choice = element('plane-wait', HTMLSelectElement);
  const { redraw } = draw(
    'plane-chart',
    (look) => option(data, waitOf(choice.value), look),
    ({ isNarrow }) => (isNarrow ? 420 : 520),
  );
  choice.addEventListener('change', redraw);
}

function waitOf(value: string): Wait {
  return value === 'p50' || value === 'p95' || value === 'p99' ? value : 'mean';
}

function option(data: ReportData, wait: Wait, look: Look): Option {
  const { rows, levers, unit } = data;
  const { colour, isNarrow } = look;
  const at = ({ price, wait: waits, jobsKilled }: Figures) => ({
    x: price,
    y: waits[wait],
    killed: jobsKilled,
  });
  const points: Point[] = [
    ...levers.map((lever) => ({ name: `${lever.lever} ${lever.to}`, kind: 'tried' as const, ...at(lever) })),
    ...rows.map((row) => ({ name: row.name, kind: row.kind, ...at(row) })),
  ];
  const costs = points.map(({ x }) => x);
  const isLogarithmic = Math.min(...costs) > 0 && Math.max(...costs) > LOGARITHMIC_FROM * Math.min(...costs);
  return {
    grid: { left: 44, right: isNarrow ? 16 : 150, top: 34, bottom: 44 },
    tooltip: {
      ...tooltip(look),
      trigger: 'item',
      formatter: (drawn) => {
        const [one] = Array.isArray(drawn) ? drawn : [drawn];
        const point = points.find(({ name }) => name === one?.name);
        if (point === undefined) return '';
        const killed = point.killed === 0 ? '' : `<br>${point.killed} jobs killed`;
        return `<strong>${point.name}</strong><br>${seconds(point.y)}<br>${price(point.x, unit)}${unit === 'instance-hours' ? ' hours' : ' a month'}${killed}`;
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
      name: 'wait, s',
      nameLocation: 'end',
      min: 0,
      nameTextStyle: { ...axis(look).nameTextStyle, align: 'left', padding: [0, 0, 0, -36] },
    },
    series: Object.entries(KINDS).map(([kind, { symbol, size }]) => ({
      type: 'scatter',
      name: kind,
      symbol,
      symbolSize: size,
      itemStyle: {
        color: colour(kind),
        opacity: kind === 'tried' ? 0.55 : 1,
        borderColor: colour('page'),
        borderWidth: 1,
      },
      labelLine: { show: kind !== 'tried', lineStyle: { color: colour('line') } },
      labelLayout: { moveOverlap: 'shiftY', hideOverlap: isNarrow },
      label: {
        show: kind !== 'tried',
        position: 'right',
        distance: 6,
        fontSize: isNarrow ? 11 : 12,
        fontWeight: kind === 'ours' || kind === 'recommended' ? 'bold' : 'normal',
        color: kind === 'ours' || kind === 'recommended' ? colour(kind) : colour('text'),
        formatter: ({ name }) => name,
      },
      data: points
        .filter((point) => point.kind === kind)
        .map(({ name, x, y, killed }) => ({
          name,
          value: [x, y],
          ...(killed > 0 && { symbol: 'triangle', itemStyle: { color: colour('killing') } }),
        })),
    })),
  };
}

/** Round numbers around all values, 1, 2 or 5 times a power of ten. */
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
