import type { ReportData, SettingRow } from '../model.ts';
import { change, difference, price, seconds, short, standing } from '../number-format.ts';
import { draw } from './chart.ts';
import { axis, type Look, type Option, tooltip } from './look.ts';

const ROW = 22;

/** The height of a chart's axis and its name. */
const HEAD = 44;

/** The colour of a bar. */
const COLOURS = { better: 'better', worse: 'worse', same: 'peer' } as const;

/** Draws each setting's wait and cost as bars: side by side, or one below the other on narrow screens. */
export function settings(data: ReportData): void {
  const one = data.settings.length * ROW + HEAD;
  draw(
    'settings-chart',
    (look) => option(data, look),
    ({ isNarrow }) => (isNarrow ? 2 * one + ROW : one) + ROW,
  );
}

function option({ settings, rows, unit }: ReportData, look: Look): Option {
  const { colour, isNarrow, width } = look;
  const own = rows.find(({ kind }) => kind === 'ours');
  const labels = isNarrow ? 136 : 190;
  const half = (width - labels) / 2;
  const height = settings.length * ROW;
  /** The positions of the two charts. */
  const grids = isNarrow
    ? [0, 1].map((side) => ({ left: labels, right: 52, height, top: HEAD + side * (HEAD + height + ROW) }))
    : [0, 1].map((side) => ({ left: labels + side * (half + 8), width: half - 60, height, top: HEAD }));
  const names = settings.map(({ setting, to }) => `${setting} ${to}`);
  const sides = [
    {
      name: 'mean wait, seconds',
      value: ({ wait }: SettingRow) => wait.mean,
      own: own?.wait.mean ?? 0,
      text: short,
      verdict: ({ wait }: SettingRow) => standing(wait.mean, own?.wait.mean ?? 0, short),
    },
    {
      name: unit,
      value: (setting: SettingRow) => setting.price,
      own: own?.price ?? 0,
      text: (value: number) => price(value, unit),
      verdict: (setting: SettingRow) =>
        standing(setting.price, own?.price ?? 0, (value) => price(value, unit)),
    },
  ];
  return {
    grid: grids,
    tooltip: {
      ...tooltip(look),
      trigger: 'axis',
      axisPointer: { type: 'shadow', shadowStyle: { color: colour('line'), opacity: 0.4 } },
      formatter: (drawn) => {
        const [one] = Array.isArray(drawn) ? drawn : [drawn];
        const setting = settings[one?.dataIndex ?? -1];
        if (setting === undefined || own === undefined) return '';
        return `<strong>${setting.setting} ${setting.to}</strong><br>${seconds(setting.wait.mean)} (${difference(setting.wait.mean, own.wait.mean)})<br>${price(setting.price, unit)} (${change(setting.price, own.price)})`;
      },
    },
    xAxis: sides.map(({ name }, gridIndex) => ({
      ...axis(look),
      gridIndex,
      type: 'value',
      position: 'top',
      name,
      nameLocation: 'start',
      nameGap: 0,
      nameTextStyle: {
        ...axis(look).nameTextStyle,
        align: 'left',
        verticalAlign: 'bottom',
        padding: [0, 0, 24, 0],
      },
      splitNumber: isNarrow ? 3 : 4,
      axisLabel: {
        ...axis(look).axisLabel,
        formatter: (value: number) =>
          price(value, gridIndex === 0 ? 'instance-hours' : unit).replace('.0', ''),
      },
    })),
    yAxis: sides.map((_, gridIndex) => ({
      ...axis(look),
      gridIndex,
      type: 'category',
      inverse: true,
      data: names,
      splitLine: { show: false },
      axisLabel: {
        ...axis(look).axisLabel,
        show: isNarrow || gridIndex === 0,
        interval: 0,
        color: colour('text'),
        fontSize: isNarrow ? 11 : 12,
        width: labels - 6,
        overflow: 'break',
        lineHeight: 11,
      },
    })),
    series: sides.map(({ name, value, own: line, text, verdict }, side) => ({
      type: 'bar',
      name,
      xAxisIndex: side,
      yAxisIndex: side,
      barWidth: 12,
      data: settings.map((setting) => ({
        value: value(setting),
        itemStyle: { color: colour(COLOURS[verdict(setting)]), borderRadius: 2 },
      })),
      label: {
        show: true,
        position: 'right',
        fontSize: 11,
        color: colour('muted'),
        backgroundColor: colour('card'),
        padding: [1, 2],
        formatter: ({ dataIndex }) => {
          const setting = settings[dataIndex];
          return setting === undefined ? '' : text(value(setting));
        },
      },
      markLine: {
        silent: true,
        z: 1,
        symbol: 'none',
        animation: false,
        label: { show: false },
        lineStyle: { color: colour('text'), type: 'solid', width: 1 },
        data: [{ xAxis: line }],
      },
    })),
  };
}
