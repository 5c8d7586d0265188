import type { ReportData, Samples, Series, Stretch } from '../model.ts';
import { clock, duration, localTime } from '../number-format.ts';
import { unpack } from '../packed.ts';
import { draw } from './chart.ts';
import { element } from './elements.ts';
import { timeOption, type Window } from './time-option.ts';
import { ALL, moved, type ZoomRange, zoomed } from './zoom.ts';

/** A button moves the chart by this share of what it shows. */
const STEP = 0.25;

/** Draws queue and capacity of the chosen policy over the whole trace, one of its days, or a part of them. */
export function time(data: ReportData): void {
  const policy = element('time-policy', HTMLSelectElement);
  const stretch = element('time-stretch', HTMLSelectElement);
  const range = element('time-range', HTMLOutputElement);
  const points = element('time-points', HTMLElement);
  const { startsAt, zone } = data.trace;
  let shown = ALL;
  const windowOf = () => {
    const samples = data.rows.find(({ name }) => name === policy.value)?.samples;
    const chosen = data.stretches[stretch.selectedIndex];
    return samples === undefined || chosen === undefined ? undefined : windowIn(samples, chosen);
  };
  let seen = windowOf();
  const drawn = draw(
    'time-chart',
    (look) =>
      seen === undefined
        ? {}
        : timeOption(seen, (at) => localTime(at, startsAt, zone), startsAt === undefined, zone, shown, look),
    ({ isNarrow }) => (isNarrow ? 430 : 470),
  );
  const describe = () => {
    if (seen === undefined) return;
    const { from, everySeconds, instances, means } = seen;
    const at = (share: number) => clock(from + instances.length * everySeconds * share, startsAt, zone);
    range.textContent = `${at(shown.from)} to ${at(shown.to)}${startsAt === undefined ? '' : ` (${zone})`}`;
    points.textContent =
      means === undefined
        ? `The highest count in each ${duration(everySeconds)}.`
        : `The line is the mean of each ${duration(everySeconds)}; the pale area reaches up to the highest count in it. Choose a day, or click on it, to see it closely.`;
  };
  const show = (window: ZoomRange) => {
    shown = window;
    drawn.chart.dispatchAction({ type: 'dataZoom', start: shown.from * 100, end: shown.to * 100 });
    describe();
  };
  const again = () => {
    seen = windowOf();
    drawn.redraw();
    describe();
  };
  policy.addEventListener('change', again);
  stretch.addEventListener('change', () => {
    shown = ALL;
    again();
  });
  drawn.chart.on('datazoom', () => {
    const zoom = drawn.chart.getOption().dataZoom;
    const [first] = Array.isArray(zoom) ? zoom : [];
    if (first === undefined) return;
    shown = { from: first.start / 100, to: first.end / 100 };
    describe();
  });
  // A click on the whole trace shows its day.
  drawn.chart.getZr().on('click', ({ offsetX, offsetY }) => {
    if (stretch.selectedIndex !== 0 || !drawn.chart.containPixel({ gridIndex: 0 }, [offsetX, offsetY]))
      return;
    const [local = 0] = drawn.chart.convertFromPixel({ gridIndex: 0 }, [offsetX, offsetY]);
    const day = data.stretches.findIndex(
      ({ from, until }, index) =>
        index > 0 &&
        localTime(from, startsAt, zone) <= local &&
        local < localTime(until ?? Number.POSITIVE_INFINITY, startsAt, zone),
    );
    if (day < 0) return;
    stretch.selectedIndex = day;
    stretch.dispatchEvent(new Event('change'));
  });
  const press = (id: string, to: (window: ZoomRange) => ZoomRange) =>
    element(id, HTMLButtonElement).addEventListener('click', () => show(to(shown)));
  press('time-earlier', (window) => moved(window, -STEP));
  press('time-later', (window) => moved(window, STEP));
  press('time-in', (window) => zoomed(window, 1 / 2));
  press('time-out', (window) => zoomed(window, 2));
  press('time-all', () => ALL);
  describe();
}

/** The part of a policy's counts that is shown: hours for a long trace, shorter intervals for a day if there are any. */
function windowIn({ overview, detail }: Samples, { from, until }: Stretch): Window | undefined {
  const series = (until === null ? overview : undefined) ?? detail ?? overview;
  return series === undefined ? undefined : cut(series, from, until);
}

function cut(series: Series, from: number, until: number | null): Window {
  const { everySeconds, tenths } = series;
  const first = Math.floor(from / everySeconds);
  const last = until === null ? undefined : Math.ceil(until / everySeconds);
  const counts = (packed: Series['waiting']) => unpack(packed).slice(first, last);
  const mean = (packed: Series['waiting']) => counts(packed).map((count) => count / 10);
  return {
    from: first * everySeconds,
    everySeconds,
    waiting: counts(series.waiting),
    running: counts(series.running),
    instances: counts(series.instances),
    ...(tenths && {
      means: {
        waiting: mean(tenths.waiting),
        running: mean(tenths.running),
        instances: mean(tenths.instances),
      },
    }),
  };
}
