import type { ReportData } from '../model.ts';
import { draw } from './chart.ts';
import { element } from './elements.ts';
import { HEIGHT, planeOption, pointsOf, type WaitStatistic } from './plane-option.ts';

/** Every policy by its wait and its cost; which wait, and how near, is chosen. */
export function plane(data: ReportData): void {
  const choice = element('plane-wait', HTMLSelectElement);
  const near = element('plane-near', HTMLInputElement);
  const { redraw } = draw(
    'plane-chart',
    (look) => planeOption(data, pointsOf(data, waitOf(choice.value), near.checked), look),
    ({ isNarrow }) => (isNarrow ? HEIGHT.narrow : HEIGHT.wide),
  );
  choice.addEventListener('change', redraw);
  near.addEventListener('change', redraw);
}

function waitOf(value: string): WaitStatistic {
  return value === 'p50' || value === 'p95' || value === 'p99' ? value : 'mean';
}
