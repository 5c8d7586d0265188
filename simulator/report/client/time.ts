import type { ReportData, Series } from '../model.ts';
import { clock, duration, whole } from '../number-format.ts';
import { draw } from './chart.ts';
import { element } from './elements.ts';
import { axis, type Look, type Option, tooltip } from './look.ts';
import { ALL, moved, type ZoomRange, zoomed } from './zoom.ts';

/** A button moves the chart by this share of what it shows. */
const STEP = 0.25;

/** Draws queue and capacity of the chosen policy over the whole trace, the busiest day, or a part of them. */
export function time(data: ReportData): void {
  const policy = element('time-policy', HTMLSelectElement);
  const stretch = element('time-stretch', HTMLSelectElement);
  const range = element('time-range', HTMLOutputElement);
  const points = element('time-points', HTMLElement);
  const startsAt = data.trace.startsAt ?? 0;
  let shown = ALL;
  const seriesOf = () =>
    data.rows.find(({ name }) => name === policy.value)?.samples?.series[stretch.selectedIndex];
  const drawn = draw(
    'time-chart',
    (look) => {
      const series = seriesOf();
      return series === undefined ? {} : option(series, startsAt, shown, look);
    },
    ({ isNarrow }) => (isNarrow ? 420 : 460),
  );
  const describe = () => {
    const series = seriesOf();
    if (series === undefined) return;
    const { from, running, everySeconds, thinned } = series;
    const at = (share: number) =>
      clock(from + (running.length - 1) * everySeconds * share, data.trace.startsAt);
    range.textContent = `${at(shown.from)} to ${at(shown.to)}`;
    points.textContent = thinned
      ? `Each point is the lowest or the highest value in ${duration(2 * everySeconds)}.`
      : `One point every ${duration(everySeconds)}.`;
  };
  const show = (window: ZoomRange) => {
    shown = window;
    drawn.chart.dispatchAction({ type: 'dataZoom', start: shown.from * 100, end: shown.to * 100 });
    describe();
  };
  const again = () => {
    drawn.redraw();
    describe();
  };
  policy.addEventListener('change', again);
  stretch.addEventListener('change', () => {
    shown = ALL;
    again();
  });
  drawn.chart.on('datazoom', () => {
    const zoom = drawn.chart.getOption().dataZoom;
    const [first] = Array.isArray(zoom) ? zoom : [];
    if (first === undefined) return;
    shown = { from: first.start / 100, to: first.end / 100 };
    describe();
  });
  const press = (id: string, to: (window: ZoomRange) => ZoomRange) =>
    element(id, HTMLButtonElement).addEventListener('click', () => show(to(shown)));
  press('time-earlier', (window) => moved(window, -STEP));
  press('time-later', (window) => moved(window, STEP));
  press('time-in', (window) => zoomed(window, 1 / 2));
  press('time-out', (window) => zoomed(window, 2));
  press('time-all', () => ALL);
  describe();
}

function option(series: Series, startsAt: number, shown: ZoomRange, look: Look): Option {
  const { colour, isNarrow } = look;
  const { from, everySeconds, thinned, waiting, running, instances } = series;
  const points = (counts: readonly number[]) =>
    counts.map((count, index): [number, number] => [startsAt + (from + index * everySeconds) * 1_000, count]);
  const line = (name: string, counts: readonly number[], part: string, grid: number, filled: boolean) => ({
    type: 'line' as const,
    name,
    xAxisIndex: grid,
    yAxisIndex: grid,
    data: points(counts),
    symbol: 'none',
    color: colour(part),
    lineStyle: { width: thinned ? 1 : 1.5 },
    ...(filled && { areaStyle: { opacity: 0.2 } }),
    ...(!thinned && { step: 'end' as const }),
  });
  const heights = isNarrow ? [190, 70] : [220, 80];
  const [upper = 0, lower = 0] = heights;
  const grids = [
    { left: 44, right: 16, top: 34, height: upper },
    { left: 44, right: 16, top: upper + 74, height: lower },
  ];
  return {
    grid: grids,
    tooltip: {
      ...tooltip(look),
      trigger: 'axis',
      axisPointer: { lineStyle: { color: colour('muted') } },
      valueFormatter: (value) => whole(Number(value)),
    },
    axisPointer: { link: [{ xAxisIndex: 'all' }] },
    xAxis: grids.map((_, gridIndex) => ({
      ...axis(look),
      gridIndex,
      type: 'time',
      splitLine: { show: false },
      axisLabel: {
        ...axis(look).axisLabel,
        show: gridIndex === 1,
        formatter: (at: number) => tick(at, startsAt),
      },
    })),
    yAxis: ['instances and jobs', 'waiting jobs'].map((name, gridIndex) => ({
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
        bottom: 8,
        height: 28,
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
    series: [
      line('instances', instances, 'instances', 0, true),
      line('running', running, 'running', 0, false),
      line('waiting', waiting, 'waiting', 1, true),
    ],
  };
}

/** A label of the time axis: the day at midnight, otherwise the time of day. */
function tick(at: number, startsAt: number): string {
  const date = new Date(at);
  const isMidnight = date.getUTCHours() === 0 && date.getUTCMinutes() === 0;
  if (!isMidnight) return date.toISOString().slice(11, 16);
  return startsAt === 0 ? `day ${Math.floor(at / 86_400_000) + 1}` : date.toISOString().slice(5, 10);
}
