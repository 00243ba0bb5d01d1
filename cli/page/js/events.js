// Lines of events, the newest last, as they come.

import { get } from './api.js';
import { h } from './dom.js';
import { clock, exact } from './format.js';
import { soon } from './frame.js';

/** @typedef {import('./types.js').Line} Line */

/** Maximum number of lines that are kept. */
const MAX_LINES = 1_000;
const FIRST = 300;

/**
 * @param {HTMLElement} host
 * @param {string} id
 * @param {import('./route.js').Route} first
 */
export function events(host, id, first) {
  let route = first;
  /** @type {Line[]} */
  let lines = [];
  /** Key of each line that is shown: the first answer and the stream may have the same one. @type {Set<string>} */
  let keys = new Set();
  /** Number of older lines that the server has. */
  let older = 0;
  /** @type {Line[]} */
  let fresh = [];
  let aborted = new AbortController();
  const list = h('ol', { class: 'lines' });
  const box = h('div', { class: 'scroll log', tabindex: 0, role: 'log', 'aria-live': 'off', 'aria-label': 'Events' }, list);
  const note = h('p', { class: 'note', role: 'status' }, 'Loading the events…');
  const filter = h('input', { type: 'search', placeholder: 'Filter lines', 'aria-label': 'Filter lines', input: () => rebuild() });
  const follow = h('input', { type: 'checkbox', id: 'follow', checked: true });
  host.replaceChildren(h('div', { class: 'tools' }, filter, h('label', {}, follow, ' Follow')), note, box);

  /** @param {Line} line */
  const matches = (line) => `${line.label} ${line.text ?? ''}`.toLowerCase().includes(filter.value.toLowerCase());
  /** @param {Line} line */
  const item = (line) => h('li', {},
    h('time', { datetime: new Date(line.time * 1000).toISOString() }, clock(line.time, true)), ' ',
    h('span', { class: 'dim' }, line.label), ' ', h('span', { class: 'text' }, line.text ?? `damaged: ${line.damage ?? ''}`));
  /** @param {Line} line */
  const key = (line) => `${line.time} ${line.label} ${line.text}`;

  const rebuild = () => {
    list.replaceChildren(...lines.filter(matches).map(item));
    after();
  };
  const after = () => {
    note.hidden = lines.length > 0 && !older;
    note.textContent = lines.length ? `${exact(older)} older lines are not shown.` : 'This program has no lines of events yet.';
    if (follow.checked) box.scrollTop = box.scrollHeight;
  };
  const add = () => {
    const added = fresh.filter((line) => !keys.has(key(line)));
    fresh = [];
    if (!added.length) return;
    for (const line of added) keys.add(key(line));
    lines.push(...added);
    list.append(...added.filter(matches).map(item));
    if (lines.length > MAX_LINES) {
      older += lines.length - MAX_LINES;
      lines = lines.slice(-MAX_LINES);
      keys = new Set(lines.map(key));
    }
    while (list.children.length > MAX_LINES) list.firstElementChild?.remove();
    after();
  };
  const load = async () => {
    aborted.abort();
    aborted = new AbortController();
    const { signal } = aborted;
    try {
      /** @type {import('./api.js').Parameters} */
      const parameters = [['limit', FIRST]];
      if (route.frozen !== null) parameters.push(['before', route.frozen]);
      /** @type {{ lines: Line[], left_out: number }} */
      const answer = await get(`programs/${encodeURIComponent(id)}/events`, parameters, signal);
      ({ lines, left_out: older } = answer);
      keys = new Set(lines.map(key));
      rebuild();
      add();
    } catch (error) {
      if (!signal.aborted) note.textContent = error instanceof Error ? error.message : String(error);
    }
  };
  void load();
  return {
    /** @param {Line[]} more */
    lines(more) {
      if (route.frozen !== null) return;
      fresh.push(...more);
      if (fresh.length > MAX_LINES) fresh = fresh.slice(-MAX_LINES);
      soon(add);
    },
    reload: load,
    /** @param {import('./route.js').Route} next */
    update(next) {
      const moved = next.frozen !== route.frozen;
      route = next;
      if (moved) void load();
    },
    close() { aborted.abort(); },
  };
}
