import {
  BarChart,
  type BarSeriesOption,
  LineChart,
  type LineSeriesOption,
  ScatterChart,
  type ScatterSeriesOption,
} from 'echarts/charts';
import {
  DataZoomComponent,
  type DataZoomComponentOption,
  GridComponent,
  type GridComponentOption,
  MarkLineComponent,
  TooltipComponent,
  type TooltipComponentOption,
} from 'echarts/components';
import { type ComposeOption, type ECharts, init, use } from 'echarts/core';
import { LabelLayout } from 'echarts/features';
import { SVGRenderer } from 'echarts/renderers';
import { element } from './elements.ts';

use([
  BarChart,
  LineChart,
  ScatterChart,
  DataZoomComponent,
  GridComponent,
  MarkLineComponent,
  TooltipComponent,
  LabelLayout,
  SVGRenderer,
]);

export type Option = ComposeOption<
  | BarSeriesOption
  | LineSeriesOption
  | ScatterSeriesOption
  | DataZoomComponentOption
  | GridComponentOption
  | TooltipComponentOption
>;

/** What a chart is drawn with: the page's colours by the names of their custom properties, and the room. */
export interface Look {
  colour: (name: string) => string;
  /** As wide as a phone. */
  isNarrow: boolean;
  width: number;
  /** Where a value of a chart's first series is, in pixels from the left and the top; known once axes are drawn. */
  pixelOf: (value: [number, number]) => number[];
}

export interface Drawn {
  chart: ECharts;
  redraw: () => void;
}

/** Narrower charts have their labels elsewhere. */
const NARROW = 600;

const drawn: Drawn[] = [];

/** Draws a chart in its place, and again when its place becomes wider or narrower. */
export function draw(id: string, option: (look: Look) => Option, height?: (look: Look) => number): Drawn {
  const place = element(id, HTMLElement);
  const chart = init(place, undefined, { renderer: 'svg' });
  const redraw = () => {
    const look = lookOf(place, chart);
    if (height !== undefined) place.style.height = `${height(look)}px`;
    chart.resize();
    chart.setOption({ animation: false, ...option(look) }, { notMerge: true });
  };
  let width = place.clientWidth;
  new ResizeObserver(() => {
    const now = place.clientWidth;
    if (now === width) return;
    width = now;
    redraw();
  }).observe(place);
  const it = { chart, redraw };
  drawn.push(it);
  redraw();
  return it;
}

export function redrawAll(): void {
  for (const { redraw } of drawn) redraw();
}

function lookOf(place: HTMLElement, chart: ECharts): Look {
  const style = getComputedStyle(document.documentElement);
  const width = place.clientWidth;
  return {
    colour: (name) => style.getPropertyValue(`--${name}`).trim(),
    isNarrow: width < NARROW,
    width,
    pixelOf: (value) => chart.convertToPixel({ seriesIndex: 0 }, value),
  };
}

/** What all axes have. */
export function axis({ colour }: Look) {
  return {
    axisLine: { show: false },
    axisTick: { show: false },
    axisLabel: { color: colour('quiet'), fontSize: 12, hideOverlap: true },
    splitLine: { lineStyle: { color: colour('line') } },
    nameTextStyle: { color: colour('quiet'), fontSize: 12 },
  };
}

export function tooltip({ colour }: Look): TooltipComponentOption {
  return {
    confine: true,
    backgroundColor: colour('card'),
    borderColor: colour('line'),
    textStyle: { color: colour('text'), fontSize: 13 },
  };
}
