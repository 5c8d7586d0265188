import type { EChartsType } from 'echarts/core';

/** Draws a chart as SVG and disposes of it. */
export function svgOf(chart: EChartsType): string {
  const svg = chart.renderToSVGString();
  chart.dispose();
  return `${renumbered(svg)}\n`;
}

/** ECharts numbers classes and clip paths through all charts of a process; a picture must not depend on those drawn before it. */
function renumbered(svg: string): string {
  const names = new Map<string, string>();
  return svg.replaceAll(/zr\d+-[a-z-]+\d+/g, (name) => {
    const numbered = names.get(name) ?? `n${names.size}`;
    names.set(name, numbered);
    return numbered;
  });
}
