import { short } from '../number-format.ts';
import { axis, type Look, type Option, tooltip } from './look.ts';
import type { ZoomRange } from './zoom.ts';

type CountSeries = Record<'waiting' | 'running' | 'instances', number[]>;

/** Counts over time: the highest of each interval, and the mean for long intervals. */
export interface Window extends CountSeries {
  /** Seconds of the trace. */
  from: number;
  everySeconds: number;
  means?: CountSeries;
}

/** The colour and the chart of each count. */
const LINES = [
  { name: 'billed instances', count: 'instances', grid: 0, filled: true },
  { name: 'running jobs', count: 'running', grid: 0, filled: false },
  { name: 'waiting jobs', count: 'waiting', grid: 1, filled: true },
] as const;

/**
 * The chart of queue and capacity over time.
 *
 * @param localTime A time of the trace on the clock of its time zone, in milliseconds as if that were UTC.
 * @param undated Whether the trace has no dates.
 */
export function timeOption(
  window: Window,
  localTime: (at: number) => number,
  undated: boolean,
  zone: string | undefined,
  shown: ZoomRange,
  look: Look,
): Option {
  const { colour, isNarrow } = look;
  const { from, everySeconds, means } = window;
  const points = (counts: readonly number[]) =>
    counts.map((count, index): [number, number] => [localTime(from + index * everySeconds), count]);
  const series = LINES.flatMap(({ name, count, grid, filled }) => {
    const common = {
      type: 'line' as const,
      name,
      xAxisIndex: grid,
      yAxisIndex: grid,
      symbol: 'none',
      color: colour(count),
      step: 'end' as const,
    };
    if (means === undefined)
      return [
        {
          ...common,
          data: points(window[count]),
          lineStyle: { width: 1.5 },
          ...(filled && { areaStyle: { opacity: 0.2 } }),
        },
      ];
    return [
      {
        ...common,
        name: `${name}, at most`,
        data: points(window[count]),
        lineStyle: { width: 0 },
        areaStyle: { opacity: count === 'running' ? 0.3 : 0.22 },
      },
      { ...common, name: `${name}, mean`, data: points(means[count]), lineStyle: { width: 1 } },
    ];
  });
  const [upper = 0, lower = 0] = isNarrow ? [190, 70] : [220, 80];
  const grids = [
    { left: 44, right: 16, top: 34, height: upper },
    { left: 44, right: 16, top: upper + 74, height: lower },
  ];
  return {
    useUTC: true,
    grid: grids,
    tooltip: {
      ...tooltip(look),
      trigger: 'axis',
      axisPointer: { lineStyle: { color: colour('muted') } },
      valueFormatter: (value) => short(Number(value)).replace('.0', ''),
    },
    axisPointer: {
      link: [{ xAxisIndex: 'all' }],
      label: { formatter: ({ value }) => moment(Number(value), undated) },
    },
    xAxis: grids.map((_, gridIndex) => ({
      ...axis(look),
      gridIndex,
      type: 'time',
      splitLine: { show: false },
      ...(gridIndex === 1 && {
        name: undated ? 'time since the first job' : `time, ${zone ?? 'UTC'}`,
        nameLocation: 'middle' as const,
        nameGap: 26,
      }),
      axisLabel: {
        ...axis(look).axisLabel,
        show: gridIndex === 1,
        formatter: (at: number) => tick(at, undated),
      },
    })),
    yAxis: ['instances and jobs, count', 'waiting jobs, count'].map((name, gridIndex) => ({
      ...axis(look),
      gridIndex,
      type: 'value',
      name,
      nameTextStyle: { ...axis(look).nameTextStyle, align: 'left', padding: [0, 0, 0, -36] },
      minInterval: 1,
      splitNumber: gridIndex === 0 ? 4 : 2,
    })),
    dataZoom: [
      {
        type: 'slider',
        xAxisIndex: [0, 1],
        start: shown.from * 100,
        end: shown.to * 100,
        bottom: 4,
        height: 24,
        left: 44,
        right: 16,
        showDetail: false,
        brushSelect: false,
        borderColor: colour('line'),
        fillerColor: colour('filler'),
        handleStyle: { color: colour('card'), borderColor: colour('muted') },
        moveHandleStyle: { color: colour('muted') },
        dataBackground: {
          lineStyle: { color: colour('muted') },
          areaStyle: { color: colour('muted'), opacity: 0.2 },
        },
        selectedDataBackground: {
          lineStyle: { color: colour('ours') },
          areaStyle: { color: colour('ours'), opacity: 0.2 },
        },
      },
      // On a phone a finger on the chart scrolls the page.
      {
        type: 'inside',
        disabled: isNarrow,
        xAxisIndex: [0, 1],
        zoomOnMouseWheel: 'shift',
        moveOnMouseMove: true,
        moveOnMouseWheel: false,
      },
    ],
    series,
  };
}

/** A label of the time axis: the day at midnight, otherwise the time of day. */
function tick(at: number, undated: boolean): string {
  const text = new Date(at).toISOString();
  if (text.slice(11, 16) !== '00:00') return text.slice(11, 16);
  return undated ? `day ${Math.floor(at / 86_400_000) + 1}` : text.slice(5, 10);
}

function moment(at: number, undated: boolean): string {
  const text = new Date(at).toISOString();
  return `${undated ? `day ${Math.floor(at / 86_400_000) + 1}` : text.slice(0, 10)}, ${text.slice(11, 16)}`;
}
