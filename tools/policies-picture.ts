import { readFileSync } from 'node:fs';
import { ScatterChart } from 'echarts/charts';
import { GridComponent, TooltipComponent } from 'echarts/components';
import * as echarts from 'echarts/core';
import { LabelLayout } from 'echarts/features';
import { SVGRenderer } from 'echarts/renderers';
import { choosePolicies } from '../cli/replays/policies.ts';
import { NO_FAULTS } from '../sandbox/group/faults.ts';
import { pricedBy } from '../simulator/cost.ts';
import { tableOf } from '../simulator/job-table.ts';
import { LIST_PRICES } from '../simulator/prices.ts';
import { HEIGHT, planeOption, pointsOf } from '../simulator/report/client/plane-option.ts';
import { collect } from '../simulator/report/collect.ts';
import { generatedTrace } from '../simulator/workloads.ts';
import { WORLD } from '../simulator/world.ts';
import { svgOf } from './svg.ts';

echarts.use([ScatterChart, GridComponent, TooltipComponent, LabelLayout, SVGRenderer]);

const WIDTH = 860;

/** Draws the wait and the cost of every policy, and of ours with each setting, on the default week. */
export async function drawPolicies(): Promise<string> {
  const { fleet, choices, oursWith } = choosePolicies({});
  const { jobs, startsAt } = generatedTrace('weekly', 1);
  const data = await collect({
    about: { source: 'weekly', notes: [], command: 'npm run simulate', assumptions: [] },
    jobs: tableOf(jobs),
    world: { ...WORLD, startsAt: startsAt ?? WORLD.startsAt },
    choices,
    outcomes: [],
    faults: NO_FAULTS,
    priced: pricedBy(LIST_PRICES, fleet),
    oursWith,
    fleetsYaml: (set) => set.join('\n'),
    describe: () => undefined,
    progress: () => ({ to: () => undefined, stop: () => undefined }),
  });
  const colour = lightColours();
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height: HEIGHT.wide });
  chart.setOption({
    animation: false,
    backgroundColor: colour('card'),
    ...planeOption(data, pointsOf(data, 'mean', false), {
      colour,
      isNarrow: false,
      width: WIDTH,
      pixelOf: (value) => chart.convertToPixel({ seriesIndex: 0 }, value),
    }),
  });
  return svgOf(chart);
}

/** Those of the report's page when it is light, by name. */
function lightColours(): (name: string) => string {
  const css = readFileSync(new URL('../simulator/report/client/colours.css', import.meta.url), 'utf8');
  const [light = ''] = css.split('}');
  const colours = new Map(
    [...light.matchAll(/--([\w-]+): ([^;]+);/g)].map(([, name = '', value = '']) => [name, value]),
  );
  return (name) => colours.get(name) ?? '';
}
