import { LineChart } from 'echarts/charts';
import { GridComponent, LegendComponent, MarkAreaComponent, TitleComponent } from 'echarts/components';
import * as echarts from 'echarts/core';
import { SVGRenderer } from 'echarts/renderers';
import { Sandbox } from '../sandbox/sandbox.ts';
import { workingDay } from '../sandbox/trace.ts';
import type { Metric } from '../sandbox/workflow.ts';
import { svgOf } from './svg.ts';

echarts.use([LineChart, GridComponent, LegendComponent, MarkAreaComponent, TitleComponent, SVGRenderer]);

const MINUTES = 180;

/** CircleCI answers 503 meanwhile, in minutes from the start: capacity is held, and the backlog caught up after. */
const OUTAGE = { from: 100, to: 112 };

/** A window over which tasks that are claimed are counted: one minute sees few. */
const WAIT_MINUTES = 5;

interface Line {
  name: string;
  values: number[];
  colour: string;
  filled?: boolean;
}

/** What the dashboard's widgets would show, by the minute. */
async function morning() {
  const sandbox = await Sandbox.open({ keepExecutions: 1 });
  const jobs = workingDay(1).filter(({ queuedAt }) => queuedAt < MINUTES * 60);
  const world = sandbox.addFleet(
    { name: 'linux', resourceClass: 'acme/linux', minReplicas: 0, maxReplicas: 40, pollIntervalSeconds: 5 },
    jobs,
  );
  sandbox.circleci.fault = () => {
    const minute = sandbox.now / 60;
    return minute >= OUTAGE.from && minute < OUTAGE.to ? { status: 503, body: '' } : undefined;
  };
  const group = { desired: [] as number[], inService: [] as number[], pending: [] as number[] };
  for (let minute = 0; minute < MINUTES; minute += 1) {
    sandbox.agenda.plan(minute * 60 + 30, () => {
      const count = (state: string) =>
        world.group.instances.filter((instance) => instance.state === state).length;
      group.desired.push(world.group.desired);
      group.inService.push(count('InService'));
      group.pending.push(count('Pending'));
    });
  }
  const start = sandbox.clock.now();
  await sandbox.runUntil(MINUTES * 60);
  const byMinute = (name: string, sum: (values: number[]) => number) => {
    const minutes = Array.from({ length: MINUTES }, (): number[] => []);
    for (const metric of sandbox.workflow.metrics) {
      if (ofFleet(metric, name)) minutes[Math.floor((metric.at - start) / 60_000)]?.push(metric.value);
    }
    return minutes.map((values) => (values.length === 0 ? 0 : sum(values)));
  };
  return { group, byMinute };
}

const ofFleet = ({ name, dimensions }: Metric, wanted: string) =>
  name === wanted && Object.keys(dimensions).length === 1;
const largest = (values: number[]) => Math.max(...values);
const total = (values: number[]) => values.reduce((sum, value) => sum + value, 0);
const mean = (values: number[]) => total(values) / values.length;

/** Draws it: queue and capacity, the estimated wait, launches and failures under each other. */
export async function drawDashboard(): Promise<string> {
  const { group, byMinute } = await morning();
  const unclaimed = byMinute('UnclaimedTasks', mean);
  const claimed = byMinute('ClaimedTasks', total);
  const wait = unclaimed.map((_, minute) => {
    const from = Math.max(minute - WAIT_MINUTES + 1, 0);
    const tasks = Math.max(total(claimed.slice(from, minute + 1)), 1);
    return (total(unclaimed.slice(from, minute + 1)) * 60) / tasks;
  });
  const panels: { title: string; height: number; series: Line[] }[] = [
    {
      title: 'Queue and capacity',
      height: 190,
      series: [
        { name: 'desired', values: group.desired, colour: '#2563eb' },
        { name: 'in service', values: group.inService, colour: '#16a34a', filled: true },
        { name: 'pending', values: group.pending, colour: '#d97706' },
        { name: 'unclaimed', values: byMinute('UnclaimedTasks', largest), colour: '#dc2626' },
        { name: 'running', values: byMinute('RunningTasks', largest), colour: '#475569' },
      ],
    },
    {
      title: 'Estimated queue wait (s)',
      height: 90,
      series: [{ name: 'wait', values: wait, colour: '#7c3aed', filled: true }],
    },
    {
      title: 'Launches, and failures by kind',
      height: 90,
      series: [
        { name: 'launches', values: byMinute('Launches', total), colour: '#0891b2' },
        { name: 'CircleCI Unavailable', values: byMinute('CircleCiUnavailable', total), colour: '#dc2626' },
      ],
    },
  ];

  let top = 0;
  const placed = panels.map((panel) => {
    const grid = { left: 48, right: 24, top: top + 44, height: panel.height };
    top = grid.top + panel.height + 24;
    return { ...panel, grid };
  });
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width: 860, height: top });
  chart.setOption({
    animation: false,
    backgroundColor: '#ffffff',
    title: placed.map(({ title, grid }) => ({
      text: title,
      left: 12,
      top: grid.top - 36,
      textStyle: { fontSize: 13, color: '#0f172a' },
    })),
    legend: placed.map(({ series, grid }) => ({
      data: series.map(({ name }) => name),
      right: 24,
      top: grid.top - 36,
      itemWidth: 14,
      textStyle: { fontSize: 11, color: '#334155' },
    })),
    grid: placed.map(({ grid }) => grid),
    xAxis: placed.map((_, gridIndex) => ({
      gridIndex,
      type: 'category',
      boundaryGap: false,
      data: Array.from({ length: MINUTES }, (_, minute) => clock(minute)),
      axisLabel: { interval: 29, color: '#475569', fontSize: 11 },
      axisTick: { show: false },
      axisLine: { lineStyle: { color: '#cbd5e1' } },
    })),
    yAxis: placed.map((_, gridIndex) => ({
      gridIndex,
      type: 'value',
      minInterval: 1,
      splitNumber: 3,
      axisLabel: { color: '#475569', fontSize: 11 },
      splitLine: { lineStyle: { color: '#e2e8f0' } },
    })),
    series: placed.flatMap(({ series }, index) =>
      series.map(({ name, values, colour, filled }, first) => ({
        type: 'line',
        name,
        xAxisIndex: index,
        yAxisIndex: index,
        data: values.map((value) => Math.round(value * 10) / 10),
        step: 'middle',
        symbol: 'none',
        color: colour,
        lineStyle: { width: 1.5 },
        ...(filled && { areaStyle: { opacity: 0.15 } }),
        ...(first === 0 && {
          markArea: {
            silent: true,
            itemStyle: { color: '#fecaca', opacity: 0.35 },
            label: { show: index === 0, color: '#991b1b', fontSize: 11 },
            data: [
              [{ name: 'CircleCI answers 503', xAxis: clock(OUTAGE.from) }, { xAxis: clock(OUTAGE.to) }],
            ],
          },
        }),
      })),
    ),
  });
  return svgOf(chart);
}

const clock = (minute: number) =>
  `${String(8 + Math.floor(minute / 60)).padStart(2, '0')}:${String(minute % 60).padStart(2, '0')}`;
