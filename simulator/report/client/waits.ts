import type { PolicyRow, ReportData } from '../model.ts';
import { percent, seconds, short } from '../number-format.ts';
import { draw } from './chart.ts';
import { axis, type Look, type Option, tooltip } from './look.ts';

/** Line styles: ours has colours of its own, the others are styled by their order. */
const DASHES = ['solid', 'dashed', 'dotted'] as const;
const HUES = 4;

/** Draws the share of jobs that wait at most a given time, for each ticked policy. */
export function waits(data: ReportData): void {
  const boxes = [...document.querySelectorAll<HTMLInputElement>('input[name=waits]')];
  const rows = data.rows.filter(({ samples }) => samples !== undefined);
  const { redraw } = draw(
    'waits-chart',
    (look) => {
      swatches(rows, look);
      const chosen = rows.filter(({ name }) => boxes.some(({ checked, value }) => checked && value === name));
      return option(data, rows, chosen, look);
    },
    () => 380,
  );
  for (const box of boxes) box.addEventListener('change', redraw);
}

function styleOf(row: PolicyRow, rows: readonly PolicyRow[], { colour }: Look) {
  if (row.kind === 'ours' || row.kind === 'recommended')
    return { color: colour(row.kind), type: 'solid' as const, width: 3 };
  const number = rows.filter(({ kind }) => kind === row.kind).indexOf(row);
  return {
    color: colour(`hue-${(number % HUES) + 1}`),
    type: DASHES[Math.floor(number / HUES)] ?? 'solid',
    width: 2,
  };
}

/** The lines next to the names are the legend. */
function swatches(rows: readonly PolicyRow[], look: Look): void {
  for (const [index, row] of rows.entries()) {
    const { color, type, width } = styleOf(row, rows, look);
    const swatch = document.querySelector<HTMLElement>(`[data-line="${index}"]`);
    if (swatch !== null) swatch.style.borderTop = `${width}px ${type} ${color}`;
  }
}

function option(
  { waitShares }: ReportData,
  rows: readonly PolicyRow[],
  chosen: readonly PolicyRow[],
  look: Look,
): Option {
  const longest = Math.max(1, ...chosen.map(({ wait }) => wait.p99));
  return {
    grid: { left: 52, right: 20, top: 34, bottom: 48 },
    tooltip: {
      ...tooltip(look),
      trigger: 'item',
      formatter: (drawn) => {
        const [one] = Array.isArray(drawn) ? drawn : [drawn];
        const [wait, share] = Array.isArray(one?.value) ? one.value : [];
        return `<strong>${one?.seriesName}</strong><br>${percent(Number(share))} wait at most ${seconds(Number(wait))}`;
      },
    },
    xAxis: {
      ...axis(look),
      type: 'value',
      min: 0,
      max: Math.ceil(longest / 10) * 10,
      name: 'wait, seconds',
      nameLocation: 'middle',
      nameGap: 30,
      axisLabel: { ...axis(look).axisLabel, formatter: (value: number) => short(value).replace('.0', '') },
    },
    yAxis: {
      ...axis(look),
      type: 'value',
      min: 0,
      max: 1,
      name: 'share of the jobs',
      nameTextStyle: { ...axis(look).nameTextStyle, align: 'left', padding: [0, 0, 0, -44] },
      axisLabel: { ...axis(look).axisLabel, formatter: percent },
    },
    series: chosen.map((row) => ({
      type: 'line',
      name: row.label,
      data: waitShares.map((share, index): [number, number] => [row.samples?.waits[index] ?? 0, share]),
      symbol: 'circle',
      symbolSize: 5,
      showSymbol: false,
      color: styleOf(row, rows, look).color,
      lineStyle: styleOf(row, rows, look),
      triggerLineEvent: true,
    })),
  };
}
