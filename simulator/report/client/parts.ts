import type { Part, ReportData } from '../model.ts';
import { seconds, short } from '../number-format.ts';
import { draw } from './chart.ts';
import { axis, type Look, type Option, tooltip } from './look.ts';

const PARTS: Part[] = ['capacity', 'seen', 'launch', 'boot', 'claim'];
const ROW = 28;

/** Draws the components of each policy's mean wait. */
export function parts(data: ReportData): void {
  draw(
    'parts-chart',
    (look) => option(data, look),
    () => data.rows.length * ROW + 60,
  );
}

function option({ rows }: ReportData, look: Look): Option {
  const { colour, isNarrow } = look;
  return {
    grid: { left: isNarrow ? 150 : 190, right: 52, top: 8, bottom: 44 },
    tooltip: {
      ...tooltip(look),
      trigger: 'axis',
      axisPointer: { type: 'shadow', shadowStyle: { color: colour('line'), opacity: 0.4 } },
      valueFormatter: (value) => seconds(Number(value)),
    },
    xAxis: { ...axis(look), type: 'value', name: 'mean wait, seconds', nameLocation: 'middle', nameGap: 28 },
    yAxis: {
      ...axis(look),
      type: 'category',
      inverse: true,
      data: rows.map(({ label }) => label),
      axisLabel: {
        ...axis(look).axisLabel,
        interval: 0,
        color: colour('text'),
        fontSize: isNarrow ? 11 : 12,
        lineHeight: 12,
        width: isNarrow ? 146 : 184,
        overflow: 'break',
      },
    },
    series: PARTS.map((part, index) => ({
      type: 'bar',
      stack: 'wait',
      name: part,
      barWidth: 16,
      color: colour(part),
      itemStyle: { borderColor: colour('card'), borderWidth: 1 },
      data: rows.map((row) => row.parts[part]),
      ...(index === PARTS.length - 1 && {
        label: {
          show: true,
          position: 'right',
          color: colour('muted'),
          fontSize: 12,
          formatter: ({ dataIndex }) => short(rows[dataIndex]?.wait.mean ?? 0),
        },
      }),
    })),
  };
}
