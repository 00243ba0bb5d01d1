// Keys, and the dialog that lists them.

import { byId, h } from './dom.js';
import { change, current, home } from './route.js';
import { freeze, rewind, zoom } from './time.js';

/** @type {[string, string, () => void][]} */
const KEYS = [
  ['/', 'Search all programs', () => byId('query').focus()],
  ['h', 'All programs', () => change({ ...home(), frozen: current().frozen, span: current().span })],
  ['j', 'Next row', () => step(1)],
  ['k', 'Row before', () => step(-1)],
  ['1', 'Fields of the program', () => tab('fields')],
  ['2', 'Threads and locks', () => tab('threads')],
  ['3', 'Events', () => tab('events')],
  ['f', 'Freeze, or go live', freeze],
  ['ArrowLeft', 'Rewind', () => rewind(-0.25)],
  ['ArrowRight', 'Forward', () => rewind(0.25)],
  ['+', 'Zoom in', () => zoom(0.5)],
  ['-', 'Zoom out', () => zoom(2)],
  ['x', 'Close all graphs', () => change({ fields: [], families: [] })],
  ['?', 'This list', () => help()],
];
/** @type {Record<string, string>} */
const NAMES = { ArrowLeft: '←', ArrowRight: '→' };

/** @param {string} name */
function tab(name) {
  if (current().program !== null) change({ tab: name });
}

/**
 * Moves the focus among the links and buttons that lead to programs and graphs.
 * @param {number} by
 */
function step(by) {
  const rows = [...document.querySelectorAll('main tbody th .name')].filter((one) => one instanceof HTMLElement && one.offsetParent !== null);
  const index = rows.indexOf(/** @type {Element} */ (document.activeElement));
  const next = rows[index < 0 ? (by > 0 ? 0 : rows.length - 1) : index + by];
  if (next instanceof HTMLElement) next.focus();
}

/** @type {HTMLDialogElement | null} */
let dialog = null;
export function help() {
  if (!dialog) {
    const list = h('dl', { class: 'keys' }, ...KEYS.flatMap(([key, text]) => [h('dt', {}, h('kbd', {}, NAMES[key] ?? key)), h('dd', {}, text)]));
    dialog = h('dialog', { 'aria-labelledby': 'keys-title' }, h('h2', { id: 'keys-title' }, 'Keys'), list,
      h('p', { class: 'dim' }, 'Drag over a graph to zoom into that time.'),
      h('form', { method: 'dialog' }, h('button', {}, 'Close')));
    document.body.append(dialog);
  }
  dialog.showModal();
}

export function listen() {
  byId('help').addEventListener('click', help);
  addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || dialog?.open) return;
    const { target } = event;
    if (target instanceof HTMLElement && target.closest('input, select, textarea')) {
      if (event.key === 'Escape') target.blur();
      return;
    }
    const found = KEYS.find(([key]) => key === event.key);
    if (!found) return;
    event.preventDefault();
    found[2]();
  });
}
