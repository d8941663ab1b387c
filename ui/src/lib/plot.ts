// One series with its expected band and the line of its onset, drawn by uPlot. The library
// is fetched when the first plot is drawn: the list of incidents does without it.

import type uPlot from 'uplot';
import type { SeriesData } from './api';
import { number, value } from './format';

export interface PlotWindow {
  from: number;
  until: number;
  onset: number;
}
export interface PlotHandle {
  update(series: SeriesData, window: PlotWindow): void;
  destroy(): void;
}

const HEIGHT = 150;

/** Columns of uPlot: time, value, upper, lower, expected, over all times of both lists. */
export function columns(series: SeriesData): uPlot.AlignedData {
  const rows = new Map<number, (number | null | undefined)[]>();
  for (const [t, v] of series.points) rows.set(t, [v, undefined, undefined, undefined]);
  for (const [t, expected, lower, upper] of series.bands) {
    const row = rows.get(t) ?? [undefined, undefined, undefined, undefined];
    row[1] = upper;
    row[2] = lower;
    row[3] = expected;
    rows.set(t, row);
  }
  const times = [...rows.keys()].sort((a, b) => a - b);
  const column = (i: number) => times.map((t) => rows.get(t)?.[i]);
  return [times, column(0), column(1), column(2), column(3)];
}

function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** A dashed line at the onset, under the data. */
function markOnset(plot: uPlot, onset: number): void {
  const x = plot.valToPos(onset, 'x', true);
  const { left, top, width, height } = plot.bbox;
  if (x < left || x > left + width) return;
  const { ctx } = plot;
  ctx.save();
  ctx.strokeStyle = colour('--bad');
  ctx.lineWidth = devicePixelRatio * 1.5;
  ctx.setLineDash([4 * devicePixelRatio, 4 * devicePixelRatio]);
  ctx.beginPath();
  ctx.moveTo(x, top);
  ctx.lineTo(x, top + height);
  ctx.stroke();
  ctx.restore();
}

function axis(text: string, line: string): Pick<uPlot.Axis, 'stroke' | 'grid' | 'ticks' | 'font'> {
  const font = '11px system-ui, sans-serif';
  return { stroke: text, grid: { stroke: line, width: 1 }, ticks: { show: false }, font };
}

function options(
  box: HTMLElement,
  metric: string,
  window: () => PlotWindow,
  onCursor: (plot: uPlot) => void,
): uPlot.Options {
  const [text, line, accent, band] = ['--text-soft', '--line', '--accent', '--band'].map(colour) as [
    string,
    string,
    string,
    string,
  ];
  const common = axis(text, line);
  const edge = { stroke: 'transparent', width: 0, spanGaps: true, points: { show: false } };
  return {
    width: box.clientWidth,
    height: HEIGHT,
    padding: [8, 18, 0, 0], // the last time of the axis may stand at the very edge
    legend: { show: false },
    cursor: { sync: { key: 'incident' }, y: false, drag: { x: false, y: false }, points: { size: 6 } },
    scales: { x: { range: () => [window().from, window().until] } },
    axes: [
      {
        ...common,
        size: (_, texts) => (texts?.some((text) => text.includes('\n')) ? 42 : 26),
        space: 70,
        values: (_, times) => marks(times, window()),
      },
      { ...common, size: 58, space: 34, values: (_, values) => values.map((v) => axisValue(v, metric)) },
    ],
    series: [
      {},
      { stroke: accent, width: 1.75, points: { show: false }, spanGaps: false },
      edge,
      edge,
      { ...edge, stroke: text, width: 1, dash: [3, 3] },
    ],
    bands: [{ series: [2, 3], fill: band }],
    hooks: { drawAxes: [(plot) => markOnset(plot, window().onset)], setCursor: [onCursor] },
  };
}

function day(t: number): string {
  return new Date(t * 1000).toLocaleDateString(undefined, { month: 'short', day: 'numeric' });
}

/** Times of day; in a window of more than one day the first mark of each has its date below. */
function marks(times: number[], window: PlotWindow): string[] {
  const dated = day(window.from) !== day(window.until) || window.until - window.from > 86400;
  return times.map((t, i) => {
    const time = new Date(t * 1000).toLocaleTimeString(undefined, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
    const before = times[i - 1];
    return dated && (before === undefined || day(before) !== day(t)) ? `${time}\n${day(t)}` : time;
  });
}

function axisValue(v: number, metric: string): string {
  return metric.endsWith('_seconds') ? value(v, metric) : number(v);
}

export async function draw(
  box: HTMLElement,
  series: SeriesData,
  first: PlotWindow,
  onCursor: (plot: uPlot) => void,
): Promise<PlotHandle> {
  const [{ default: Plot }] = await Promise.all([import('uplot'), import('uplot/dist/uPlot.min.css')]);
  let window = first;
  let data = columns(series);
  const make = () => new Plot(options(box, series.metric, () => window, onCursor), data, box);
  let plot = make();

  const resize = new ResizeObserver(() => plot.setSize({ width: box.clientWidth, height: HEIGHT }));
  resize.observe(box);
  // Colours are read when a plot is made, so a change of theme makes it anew.
  const theme = matchMedia('(prefers-color-scheme: dark)');
  const redraw = () => {
    plot.destroy();
    plot = make();
  };
  theme.addEventListener('change', redraw);

  return {
    update(next, nextWindow) {
      window = nextWindow;
      data = columns(next);
      plot.setData(data);
    },
    destroy() {
      theme.removeEventListener('change', redraw);
      resize.disconnect();
      plot.destroy();
    },
  };
}
