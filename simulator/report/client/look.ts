import type { BarSeriesOption, LineSeriesOption, ScatterSeriesOption } from 'echarts/charts';
import type {
  DataZoomComponentOption,
  GridComponentOption,
  TooltipComponentOption,
} from 'echarts/components';
import type { ComposeOption } from 'echarts/core';

export type Option = ComposeOption<
  | BarSeriesOption
  | LineSeriesOption
  | ScatterSeriesOption
  | DataZoomComponentOption
  | GridComponentOption
  | TooltipComponentOption
>;

/** What a chart is drawn with: the page's colours by the names of their custom properties, and the available width. */
export interface Look {
  colour: (name: string) => string;
  /** As wide as a phone. */
  isNarrow: boolean;
  width: number;
  /** Where a value of a chart's first series is, in pixels from the left and the top; known once axes are drawn. */
  pixelOf: (value: [number, number]) => number[];
}

/** What all axes have in common. */
export function axis({ colour }: Look) {
  return {
    axisLine: { show: false },
    axisTick: { show: false },
    axisLabel: { color: colour('muted'), fontSize: 12, hideOverlap: true },
    splitLine: { lineStyle: { color: colour('line') } },
    nameTextStyle: { color: colour('muted'), fontSize: 12 },
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
