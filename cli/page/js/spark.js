// A small line of a minute, without axes: the number beside it says how much.

import { setAttribute, svg } from './dom.js';

const WIDTH = 120;
const HEIGHT = 24;

/**
 * The outline of numbers in a box; null is a gap.
 * @param {(number | null)[]} values
 * @param {number} width
 * @param {number} height
 */
export function outline(values, width, height) {
  let top = 0;
  for (const value of values) if (value !== null && value > top) top = value;
  const step = width / Math.max(1, values.length - 1);
  let path = '';
  let drawing = false;
  values.forEach((value, index) => {
    if (value === null) {
      drawing = false;
      return;
    }
    const y = height - 1 - (top > 0 ? (Math.max(0, value) / top) * (height - 3) : 0);
    path += `${drawing ? 'L' : 'M'}${(index * step).toFixed(1)} ${y.toFixed(1)}`;
    drawing = true;
  });
  return path;
}

/** @returns {{ element: SVGSVGElement, set: (values: (number | null)[]) => void }} */
export function spark() {
  const path = svg('path', { class: 'spark-line', fill: 'none' });
  const element = svg('svg', {
    class: 'spark', viewBox: `0 0 ${WIDTH} ${HEIGHT}`, width: WIDTH, height: HEIGHT, 'aria-hidden': 'true',
    preserveAspectRatio: 'none',
  }, path);
  return { element, set: (values) => setAttribute(path, 'd', outline(values, WIDTH, HEIGHT)) };
}
