// A heat map of a histogram over time: time to the right, buckets upwards, colour by the number of values.

import { h, setText } from './dom.js';
import { clock, exact, short } from './format.js';
import { ink, onColours } from './palette.js';

/** @typedef {{ from: number, step: number, bounds: number[], counts: (number[] | null)[] }} Heat */

const HEIGHT = 200;
const LEFT = 76;
const BOTTOM = 22;
const MAX_LABELS = 5;

/**
 * The buckets that have values, with one more on each side.
 * @param {Heat} heat
 * @returns {{ first: number, end: number, most: number }}
 */
export function extent({ counts, bounds }) {
  let [first, end, most] = [Infinity, 0, 0];
  for (const column of counts) {
    column?.forEach((count, bucket) => {
      if (!count) return;
      first = Math.min(first, bucket);
      end = Math.max(end, bucket + 1);
      most = Math.max(most, count);
    });
  }
  if (most === 0) return { first: 0, end: 0, most: 0 };
  return { first: Math.max(0, first - 1), end: Math.min(bounds.length - 1, end + 1), most };
}

/** Minimum height of a cell: single lines of pixels are not read. */
const CELL = 5;

/**
 * Merges neighbouring buckets until those that have values are high enough to be seen.
 * @param {Heat} heat
 * @returns {Heat}
 */
export function merged(heat) {
  const { first, end } = extent(heat);
  const by = Math.ceil((CELL * (end - first)) / (HEIGHT - BOTTOM));
  if (by < 2) return heat;
  const count = Math.ceil((heat.bounds.length - 1) / by);
  const bounds = Array.from({ length: count + 1 }, (_bound, row) => heat.bounds[Math.min(row * by, heat.bounds.length - 1)] ?? 0);
  const counts = heat.counts.map((column) => {
    if (!column) return null;
    const rows = /** @type {number[]} */ (Array.from({ length: count }, () => 0));
    column.forEach((values, bucket) => { rows[Math.floor(bucket / by)] = (rows[Math.floor(bucket / by)] ?? 0) + values; });
    return rows;
  });
  return { ...heat, bounds, counts };
}

/**
 * @param {HTMLElement} host
 * @param {string} unit
 * @param {(from: number, to: number) => void} zoom
 */
export function heatMap(host, unit, zoom) {
  const canvas = h('canvas', { class: 'heat', 'aria-hidden': 'true' });
  const readout = h('p', { class: 'readout dim', 'aria-hidden': 'true' }, 'Point at a cell for its count.');
  host.append(canvas, readout);
  /** @type {{ heat: Heat, from: number, to: number } | null} */
  let last = null;
  let width = 0;
  /** The heat that was drawn last, and its rows. @type {Heat | null} */
  let given = null;
  /** @type {Heat} */
  let rows = { from: 0, step: 1, bounds: [], counts: [] };

  const paint = () => {
    const context = canvas.getContext('2d');
    if (!context || !last || width === 0) return;
    const scale = devicePixelRatio || 1;
    const pixels = Math.round(width * scale);
    if (canvas.width !== pixels) {
      canvas.width = pixels;
      canvas.height = Math.round(HEIGHT * scale);
    }
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, width, HEIGHT);
    const { heat, from, to } = last;
    const { first, end, most } = extent(heat);
    const [w, height] = [width - LEFT - 8, HEIGHT - BOTTOM];
    context.font = '11px system-ui, sans-serif';
    context.fillStyle = ink('dim');
    if (most === 0) {
      context.fillText('no values in this time', LEFT, height / 2);
      return;
    }
    const cell = height / (end - first);
    context.textBaseline = 'middle';
    context.textAlign = 'right';
    const each = Math.max(1, Math.ceil((end - first) / MAX_LABELS));
    for (let bucket = first; bucket <= end; bucket += each) {
      const y = height - (bucket - first) * cell;
      context.fillText(short(heat.bounds[bucket] ?? 0, unit), LEFT - 8, Math.min(height - 5, Math.max(6, y)));
    }
    context.textBaseline = 'alphabetic';
    const stamps = Math.max(1, Math.min(6, Math.floor(w / 110)));
    for (let stamp = 0; stamp <= stamps; stamp += 1) {
      context.textAlign = stamp === 0 ? 'left' : stamp === stamps ? 'right' : 'center';
      context.fillText(clock(from + ((to - from) * stamp) / stamps), LEFT + (w * stamp) / stamps, HEIGHT - 6);
    }
    context.fillStyle = ink('heat');
    heat.counts.forEach((column, index) => {
      const x0 = Math.max(0, (heat.from + index * heat.step - from) / (to - from));
      const x1 = Math.min(1, (heat.from + (index + 1) * heat.step - from) / (to - from));
      if (!column || x1 <= x0) return;
      for (let bucket = first; bucket < end; bucket += 1) {
        const count = column[bucket];
        if (!count) continue;
        // A single value must be seen beside a thousand.
        context.globalAlpha = 0.18 + 0.82 * (Math.log1p(count) / Math.log1p(most));
        context.fillRect(LEFT + x0 * w, height - (bucket - first + 1) * cell, Math.max(1, (x1 - x0) * w - 0.5), Math.max(1, cell - 0.5));
      }
    });
    context.globalAlpha = 1;
  };

  /** @param {MouseEvent} event */
  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    const [w, height] = [width - LEFT - 8, HEIGHT - BOTTOM];
    const [x, y] = [(event.clientX - box.left - LEFT) / w, (height - (event.clientY - box.top)) / height];
    return { x: Math.min(1, Math.max(0, x)), y };
  };
  canvas.addEventListener('pointermove', (event) => {
    if (!last) return;
    const { heat, from, to } = last;
    const { x, y } = at(event);
    const { first, end, most } = extent(heat);
    const index = Math.floor((from + x * (to - from) - heat.from) / heat.step);
    const bucket = first + Math.floor(y * (end - first));
    if (most === 0 || bucket < first || bucket >= end) return;
    const count = heat.counts[index]?.[bucket] ?? 0;
    const bounds = `${short(heat.bounds[bucket] ?? 0, unit)} to ${short(heat.bounds[bucket + 1] ?? 0, unit)}`;
    setText(readout, `${clock(heat.from + index * heat.step)} · ${bounds}: ${exact(count)} values`);
  });
  /** @type {number | null} */
  let start = null;
  canvas.addEventListener('pointerdown', (event) => { start = at(event).x; });
  canvas.addEventListener('pointerup', (event) => {
    const end = at(event).x;
    if (start !== null && last && Math.abs(end - start) > 0.02) {
      const { from, to } = last;
      zoom(from + Math.min(start, end) * (to - from), from + Math.max(start, end) * (to - from));
    }
    start = null;
  });
  const sizes = new ResizeObserver(([entry]) => {
    const next = Math.floor(entry?.contentRect.width ?? 0);
    if (next === 0 || next === width) return;
    width = next;
    paint();
  });
  sizes.observe(host);
  const colours = onColours(paint);
  return {
    /** @param {Heat} heat @param {number} from @param {number} to */
    draw(heat, from, to) {
      if (heat !== given) rows = merged(heat);
      given = heat;
      last = { heat: rows, from, to };
      paint();
    },
    close() {
      sizes.disconnect();
      colours();
      last = null;
      host.replaceChildren();
    },
  };
}
