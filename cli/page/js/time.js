// Time: live or frozen, how far back, how much of it, and what it is compared with.

import { get } from './api.js';
import { about, now, setAbout, staleSince } from './context.js';
import { h, setAttribute, setText } from './dom.js';
import { age, clock } from './format.js';
import { every } from './frame.js';
import { change, current } from './route.js';

/** @typedef {import('./types.js').Program} Program */

/** @type {[number, string][]} */
const SPANS = [[10, '10 s'], [60, '1 min'], [300, '5 min'], [900, '15 min'], [3600, '1 h'], [21600, '6 h']];
/** @type {[number, string][]} */
const EARLIER = [[60, '1 min earlier'], [300, '5 min earlier'], [900, '15 min earlier'], [3600, '1 h earlier']];

export function freeze() {
  change({ frozen: current().frozen === null ? now() : null });
}

/**
 * Moves the window by parts of its length; beyond now it is live again.
 * @param {number} parts
 */
export function rewind(parts) {
  const { frozen, span } = current();
  const end = (frozen ?? now()) + parts * span;
  if (end >= now()) change({ frozen: about().live ? null : about().to }, true);
  else change({ frozen: Math.max(end, about().from) }, true);
}

/** @param {number} factor */
export function zoom(factor) {
  const { span } = current();
  change({ span: Math.min(21600, Math.max(1, span * factor)) }, true);
}

/** @param {HTMLElement} host */
export function timeBar(host) {
  const word = h('span', { class: 'when' });
  const live = h('button', { type: 'button', id: 'freeze', click: freeze }, 'Freeze');
  const back = h('button', { type: 'button', 'aria-label': 'Earlier', click: () => rewind(-0.5) }, '◀');
  const forth = h('button', { type: 'button', 'aria-label': 'Later', click: () => rewind(0.5) }, '▶');
  const slider = h('input', {
    type: 'range', 'aria-label': 'End of the time that is shown', min: 0, max: 1000, step: 1, value: 1000,
    input: () => {
      const { from } = about();
      const part = Number(slider.value) / 1000;
      change({ frozen: part >= 1 && about().live ? null : from + part * (now() - from) }, true);
    },
  });
  const span = h('select', { 'aria-label': 'Length of the time that is shown', change: () => change({ span: Number(span.value) }) });
  const compare = h('select', {
    'aria-label': 'Compare with', id: 'compare', change: () => {
      const { value } = compare;
      if (value.startsWith('ago:')) change({ ago: Number(value.slice(4)), vs: null });
      else change({ vs: value || null, ago: 0 });
    },
  });
  const comparing = h('label', {}, 'Compare ', compare);
  host.replaceChildren(live, back, forth, slider, word, h('label', {}, 'Show ', span), comparing);

  /** @type {Program[]} */
  let programs = [];
  let options = '';
  const choices = () => {
    const { program, vs, ago } = current();
    /** @type {[string, string][]} */
    const all = [['', 'with nothing'], ...EARLIER.map(([seconds, text]) => /** @type {[string, string]} */ ([`ago:${seconds}`, `with ${text}`]))];
    if (ago && !EARLIER.some(([seconds]) => seconds === ago)) all.push([`ago:${ago}`, `with ${age(ago)} earlier`]);
    for (const other of programs) {
      if (other.id !== program) all.push([other.id, `with ${other.command ?? other.id} ${other.pid ?? ''}${other.state === 'live' ? '' : ` (${other.state})`}`]);
    }
    if (vs && !all.some(([key]) => key === vs)) all.push([vs, 'with another program']);
    const text = JSON.stringify(all);
    if (text !== options) {
      options = text;
      compare.replaceChildren(...all.map(([key, label]) => h('option', { value: key }, label)));
    }
    compare.value = ago ? `ago:${ago}` : vs ?? '';
  };
  const refresh = async () => {
    /** @type {import('./types.js').Home} */
    const home = await get('programs');
    programs = home.programs;
    choices();
  };
  compare.addEventListener('pointerdown', () => { refresh().catch(() => {}); });
  compare.addEventListener('focus', () => { refresh().catch(() => {}); });

  const draw = () => {
    const { frozen, span: length, program } = current();
    const { from } = about();
    setText(live, frozen === null ? 'Freeze' : 'Go live');
    setAttribute(live, 'aria-pressed', String(frozen !== null));
    live.disabled = !about().live && frozen === null;
    host.classList.toggle('frozen', frozen !== null);
    host.classList.toggle('stale', frozen === null && staleSince() !== null);
    const lost = staleSince();
    const flow = lost === null ? `live ${clock(now())}` : `stale since ${clock(lost)}`;
    const text = frozen === null ? flow : `frozen at ${clock(frozen, true)}, ${age(now() - frozen)} ago`;
    setText(word, text);
    if (document.activeElement !== slider || frozen === null) {
      const part = frozen === null ? 1 : (frozen - from) / Math.max(1, now() - from);
      slider.value = String(Math.round(1000 * Math.min(1, Math.max(0, part))));
    }
    setAttribute(slider, 'aria-valuetext', text);
    const known = SPANS.some(([seconds]) => seconds === length);
    /** @type {[number, string][]} */
    const spans = known ? SPANS : [...SPANS, [length, length < 60 ? `${length.toFixed(1)} s` : age(length)]];
    const wanted = JSON.stringify(spans);
    if (span.dataset['of'] !== wanted) {
      span.dataset['of'] = wanted;
      span.replaceChildren(...spans.map(([seconds, label]) => h('option', { value: seconds }, label)));
    }
    span.value = String(length);
    comparing.hidden = program === null;
    choices();
  };
  every(async () => draw(), 1);
  // The time that is kept moves.
  setInterval(() => { if (!document.hidden) get('about').then(setAbout, () => {}); }, 60_000);
  if (current().vs) refresh().catch(() => {});
  return { update: draw };
}
