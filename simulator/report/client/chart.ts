import { BarChart, LineChart, ScatterChart } from 'echarts/charts';
import { DataZoomComponent, GridComponent, MarkLineComponent, TooltipComponent } from 'echarts/components';
import { type ECharts, init, use } from 'echarts/core';
import { LabelLayout } from 'echarts/features';
import { SVGRenderer } from 'echarts/renderers';
import { element } from './elements.ts';
import type { Look, Option } from './look.ts';

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

export interface Drawn {
  chart: ECharts;
  redraw: () => void;
}

/** Charts below this width place their labels differently. */
const NARROW = 600;

const drawn: Drawn[] = [];

/** Draws a chart in its element, and again when the width of the element changes. */
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
