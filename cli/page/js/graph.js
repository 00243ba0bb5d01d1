// Lines over time: by uPlot if it is there, else as plain SVG.

import { about } from './context.js';
import { byId, h, setAttribute, setText, svg } from './dom.js';
import { clock, duration, short } from './format.js';
import { ink, line as lineColour, onColours } from './palette.js';

/**
 * A line; `low` and `high` bound a band around it, `band` fills from it down to the line before, paler with a
 * larger number. A value between two gaps is a point where `points` says so.
 * @typedef {{
 *   name: string, times: number[], values: (number | null | undefined)[], dashed?: boolean, colour?: number, band?: number, points?: boolean,
 *   low?: (number | null | undefined)[], high?: (number | null | undefined)[],
 * }} Line
 *
 * @typedef {{
 *   draw: (lines: Line[], from: number, to: number) => void,
 *   close: () => void,
 * }} Graph
 *
 * @typedef {{
 *   unit: string, perSecond: boolean, zero: boolean,
 *   zoom: (from: number, to: number) => void, point: (time: number | null) => void,
 * }} Options
 */

const HEIGHT = 150;
/** Steps of an axis of bytes. */
const BINARY = Array.from({ length: 60 }, (_, power) => 2 ** power);

/** @type {typeof import('uplot') | null} */
let uPlot = null;

/** @type {Promise<void> | null} */
let loading = null;

/** Loads uPlot once, if this server has it; graphs are small ones without it. */
export function loadPlots() {
  loading ??= load().catch(() => { byId('foot').append(' · graphs cannot be loaded, only small ones are drawn: reload the page'); });
  return loading;
}

async function load() {
  if (!about().plots) return;
  const address = '/vendor/uplot/uPlot.esm.js';
  document.head.append(h('link', { rel: 'stylesheet', href: '/vendor/uplot/uPlot.min.css' }));
  uPlot = /** @type {{ default: typeof import('uplot') }} */ (await import(address)).default;
}

/**
 * Joins lines with times of their own: a line has no value (undefined) where only others have a time.
 * @param {Line[]} lines
 * @returns {{ times: number[], columns: (number | null | undefined)[][] }}
 */
export function join(lines) {
  const [only] = lines;
  if (lines.length === 1 && only) {
    return { times: only.times, columns: only.low && only.high ? [only.values, only.low, only.high] : [only.values] };
  }
  const times = [...new Set(lines.flatMap((line) => line.times))].sort((a, b) => a - b);
  const columns = lines.map((line) => {
    let index = 0;
    return times.map((time) => {
      if (line.times[index] !== time) return undefined;
      index += 1;
      return line.values[index - 1];
    });
  });
  return { times, columns };
}

/**
 * @param {HTMLElement} host
 * @param {Options} options
 * @returns {Graph}
 */
export function graph(host, options) {
  return uPlot ? plotted(host, options, uPlot) : drawn(host, options);
}

/**
 * The range of the vertical axis: from 0 where that does not hide the changes.
 * @param {number | null} low
 * @param {number | null} high
 * @param {boolean} zero
 * @returns {[number, number]}
 */
function range(low, high, zero) {
  if (low === null || high === null || !Number.isFinite(low) || !Number.isFinite(high)) return [0, 1];
  if (low === high) return low === 0 ? [0, 1] : low > 0 ? [0, low * 1.25] : [low * 1.25, 0];
  const space = (high - low) * 0.1;
  if (low >= 0 && (zero || low < high * 0.7)) return [0, high + space];
  return [low - space, high + space];
}

/**
 * @param {HTMLElement} host
 * @param {Options} options
 * @param {typeof import('uplot')} Plot
 * @returns {Graph}
 */
function plotted(host, options, Plot) {
  /** @type {import('uplot') | null} */
  let plot = null;
  let shape = '';
  let width = 0;
  /** @type {[Line[], number, number] | null} */
  let last = null;

  /** @param {Line[]} lines @param {number} columns */
  const make = (lines, columns) => {
    plot?.destroy();
    const hasBand = lines.length === 1 && columns === 3;
    const grid = { stroke: ink('grid'), width: 1 };
    const axis = { stroke: ink('dim'), font: '11px system-ui, sans-serif', grid, ticks: { show: false } };
    /** @type {import('uplot').Series[]} */
    const series = [{}];
    lines.forEach((line, index) => series.push({
      label: line.name, stroke: lineColour(line.colour ?? index), width: line.band ? 0.75 : 1.5,
      points: { show: line.points === true, size: 4 },
      ...(line.dashed ? { dash: [5, 4] } : {}),
    }));
    /** @type {import('uplot').Band[]} */
    const bands = lines.flatMap((line, index) => (line.band ? [{ series: [index + 1, index], fill: ink(`band-${line.band}`) }] : []));
    if (hasBand) bands.push({ series: [3, 2], fill: ink('band-3') });
    if (hasBand) series.push(...[1, 2].map(() => ({ stroke: 'transparent', width: 0, points: { show: false } })));
    plot = new Plot({
      width: Math.max(80, width), height: HEIGHT, legend: { show: false }, series, pxAlign: false,
      padding: [8, 30, 0, 0],
      cursor: {
        sync: { key: 'time' }, drag: { x: true, y: false, setScale: false },
        points: { size: 6 }, y: false,
        bind: { dblclick: () => () => null },
      },
      select: { show: true, left: 0, top: 0, width: 0, height: 0 },
      scales: { x: { time: true }, y: { range: (_plot, low, high) => range(low, high, options.zero) } },
      axes: [
        { ...axis, size: 24, space: 90, values: (_plot, splits) => splits.map((split) => clock(split, (last?.[2] ?? 0) - (last?.[1] ?? 0) < 8)) },
        {
          ...axis, size: 76, space: 34, ...(options.unit === 'bytes' ? { incrs: BINARY } : {}),
          values: (_plot, splits) => splits.map((split) => label(split, options)),
        },
      ],
      bands,
      hooks: {
        setSelect: [(self) => {
          if (self.select.width < 4) return;
          options.zoom(self.posToVal(self.select.left, 'x'), self.posToVal(self.select.left + self.select.width, 'x'));
          self.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        }],
        setCursor: [(self) => {
          const { idx } = self.cursor;
          options.point(typeof idx === 'number' ? self.data[0][idx] ?? null : null);
        }],
      },
    }, /** @type {import('uplot').AlignedData} */ ([[], ...series.slice(1).map(() => [])]), host);
    setAttribute(plot.root, 'aria-hidden', 'true');
  };

  /** @type {Graph['draw']} */
  const draw = (lines, from, to) => {
    last = [lines, from, to];
    if (width === 0) return;
    const { times, columns } = join(lines);
    const wanted = `${lines.map((line) => `${line.name} ${line.dashed} ${line.band} ${line.points}`).join('\n')}\n${columns.length}`;
    if (!plot || wanted !== shape) {
      make(lines, columns.length);
      shape = wanted;
    }
    const data = /** @type {import('uplot').AlignedData} */ ([times, ...columns]);
    plot?.batch(() => {
      plot?.setData(data, false);
      plot?.setScale('x', { min: from, max: to });
    });
  };
  const again = () => { if (last) draw(...last); };
  const sizes = new ResizeObserver(([entry]) => {
    const next = Math.floor(entry?.contentRect.width ?? 0);
    if (next === width || next === 0) return;
    width = next;
    plot?.setSize({ width, height: HEIGHT });
    again();
  });
  sizes.observe(host);
  const colours = onColours(() => { shape = ''; again(); });
  return {
    draw,
    close() {
      sizes.disconnect();
      colours();
      plot?.destroy();
      plot = null;
      last = null;
    },
  };
}

/**
 * @param {number} value
 * @param {Options} options
 */
function label(value, options) {
  const text = short(value, options.unit === 'ratio' ? '' : shortUnit(options.unit));
  return options.perSecond ? `${text}/s` : text;
}

/**
 * Words of a unit have no room at an axis; sizes and times have their letters.
 * @param {string} unit
 */
function shortUnit(unit) {
  return unit === 'bytes' || /second/.test(unit) || /^(ns|us|ms|s)$/.test(unit) ? unit : '';
}

const WIDTH = 600;

/**
 * @param {HTMLElement} host
 * @param {Options} options
 * @returns {Graph}
 */
function drawn(host, options) {
  const picture = svg('svg', {
    class: 'plain', viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', 'aria-hidden': 'true',
  });
  const [top, left, right] = [h('span', { class: 'top' }), h('span', { class: 'left' }), h('span', { class: 'right' })];
  host.append(h('div', { class: 'plainbox', 'aria-hidden': 'true' }, picture, top, left, right));
  return {
    draw(lines, from, to) {
      const numbers = lines.flatMap((line) => line.values.filter((value) => typeof value === 'number'));
      const [low, high] = range(numbers.length ? Math.min(...numbers) : null, numbers.length ? Math.max(...numbers) : null, options.zero);
      /** @param {number} time @param {number} value */
      const at = (time, value) => `${(((time - from) / (to - from)) * WIDTH).toFixed(1)} ${(HEIGHT - ((value - low) / (high - low)) * HEIGHT).toFixed(1)}`;
      const shapes = lines.flatMap((line, index) => [
        ...(line.band ? [{ class: `ink-band-${line.band} area`, text: area(line, lines[index - 1] ?? line, from, at), dash: null }] : []),
        { class: `ink-${(line.colour ?? index) % 6} ${line.band ? 'thin ' : ''}stroke`, text: outline(line, from, at), dash: line.dashed ? '6 5' : null },
      ]);
      while (picture.children.length > shapes.length) picture.lastElementChild?.remove();
      shapes.forEach((shape, index) => {
        let path = picture.children[index];
        if (!path) picture.append(path = svg('path'));
        setAttribute(path, 'class', shape.class);
        setAttribute(path, 'd', shape.text);
        setAttribute(path, 'stroke-dasharray', shape.dash);
      });
      setText(top, label(high, options));
      setText(left, `${duration(to - from)} before`);
      setText(right, clock(to));
    },
    close() { host.replaceChildren(); },
  };
}

/**
 * The path of a line; null is a gap.
 * @param {Line} line
 * @param {number} from
 * @param {(time: number, value: number) => string} at
 */
function outline(line, from, at) {
  return runs(line.values.map((value, index) => (value === undefined ? undefined : number(line, index, from))))
    .map((run) => `M${run.map((index) => at(line.times[index] ?? 0, line.values[index] ?? 0)).join('L')}`).join('');
}

/**
 * The area between a line and the one below it, where both have values.
 * @param {Line} line
 * @param {Line} below with the same times
 * @param {number} from
 * @param {(time: number, value: number) => string} at
 */
function area(line, below, from, at) {
  const both = line.values.map((_value, index) => (number(below, index, from) === null ? null : number(line, index, from)));
  return runs(both).map((run) => {
    /** @param {Line} of */
    const points = (of) => run.map((index) => at(line.times[index] ?? 0, of.values[index] ?? 0));
    return `M${points(line).join('L')}L${points(below).reverse().join('L')}Z`;
  }).join('');
}

/** @param {Line} line @param {number} index @param {number} from */
function number(line, index, from) {
  return (line.times[index] ?? 0) < from ? null : line.values[index] ?? null;
}

/**
 * The indices of values between gaps; undefined is no gap.
 * @param {(number | null | undefined)[]} values
 * @returns {number[][]}
 */
function runs(values) {
  /** @type {number[][]} */
  const all = [];
  let isOpen = false;
  values.forEach((value, index) => {
    if (value === undefined) return;
    if (value !== null && !isOpen) all.push([]);
    isOpen = value !== null;
    if (isOpen) all[all.length - 1]?.push(index);
  });
  return all;
}
