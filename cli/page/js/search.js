// Search as you type, over the fields of all programs.

import { get } from './api.js';
import { h, setAttribute } from './dom.js';
import { exact, stateOf } from './format.js';
import { change, current, home } from './route.js';

/** @typedef {import('./types.js').Hit} Hit */
/** @typedef {import('./types.js').ProgramHit} ProgramHit */
/** @typedef {import('./types.js').Found} Found */

const PAUSE = 80;
/** Maximum number of programs and of fields in the list. */
const MAX_PROGRAMS = 10;
const MAX_FIELDS = 40;

/**
 * @typedef {{ element: HTMLLIElement, go: () => void }} Option
 * @param {HTMLElement} host
 */
export function search(host) {
  const input = h('input', {
    type: 'search', placeholder: 'Search all programs', 'aria-label': 'Search fields of all programs', role: 'combobox',
    'aria-expanded': 'false', 'aria-controls': 'hits', 'aria-autocomplete': 'list', autocomplete: 'off', spellcheck: 'false',
    id: 'query',
  });
  const list = h('ul', { id: 'hits', role: 'listbox', class: 'hits', 'aria-label': 'Hits', hidden: true });
  const count = h('span', { class: 'unseen', role: 'status' });
  host.append(input, list, count);
  /** @type {Option[]} */
  let options = [];
  let selected = -1;
  let timer = 0;
  let asked = new AbortController();

  const hide = () => {
    list.hidden = true;
    setAttribute(input, 'aria-expanded', 'false');
    setAttribute(input, 'aria-activedescendant', null);
  };
  /** @param {number} index */
  const select = (index) => {
    selected = options.length ? (index + options.length) % options.length : -1;
    options.forEach(({ element }, place) => setAttribute(element, 'aria-selected', String(place === selected)));
    const chosen = options[selected]?.element;
    setAttribute(input, 'aria-activedescendant', chosen?.id ?? null);
    chosen?.scrollIntoView({ block: 'nearest' });
  };
  /** @param {Hit} hit */
  const open = (hit) => {
    const now = current();
    const stays = now.program === hit.program;
    change({
      program: hit.program, tab: 'fields', filter: '', vs: stays ? now.vs : null,
      fields: stays ? [...new Set([hit.field, ...now.fields])] : [hit.field], families: stays ? now.families : [],
    });
    leave();
  };
  /** @param {ProgramHit} hit */
  const openProgram = (hit) => {
    change({ ...home(), program: hit.program, frozen: current().frozen, span: current().span });
    leave();
  };
  const leave = () => {
    input.value = '';
    hide();
    input.blur();
  };
  /**
   * @param {() => void} go
   * @param {import('./dom.js').Child[]} children
   * @returns {Option}
   */
  const option = (go, ...children) => ({
    go, element: h('li', { role: 'option', 'aria-selected': 'false', pointerdown: (event) => { event.preventDefault(); go(); } }, ...children),
  });
  /** @param {Found} found */
  const show = ({ programs, more_programs: morePrograms, hits, more }) => {
    /** @param {Hit | ProgramHit} hit */
    const name = (hit) => `${hit.command ?? hit.program} ${hit.pid ?? ''}`.trim();
    options = [
      ...programs.slice(0, MAX_PROGRAMS).map((hit) => option(() => openProgram(hit),
        h('span', { class: 'name' }, name(hit)), ' ', h('span', { class: 'dim' }, `program, ${stateOf(hit).word}`))),
      ...hits.slice(0, MAX_FIELDS).map((hit) => option(() => open(hit),
        h('span', { class: 'name' }, hit.field), ' ', h('span', { class: 'dim' }, `in ${name(hit)}`), ' ',
        hit.help ? h('span', { class: 'dim clip' }, hit.help) : null)),
    ];
    options.forEach(({ element }, index) => setAttribute(element, 'id', `hit-${index}`));
    const all = programs.length + morePrograms + hits.length + more;
    const left = all - options.length;
    const text = all ? `${exact(all)} hits${left ? `, ${exact(left)} of them not shown: more words find fewer` : ''}` : 'No program or field has these words.';
    list.replaceChildren(...options.map(({ element }) => element));
    if (!all || left) list.append(h('li', { class: 'note', role: 'option', 'aria-disabled': 'true', 'aria-selected': 'false' }, text));
    count.textContent = text;
    list.hidden = false;
    setAttribute(input, 'aria-expanded', 'true');
    select(0);
  };
  /** @param {unknown} error */
  const fail = (error) => {
    if (asked.signal.aborted) return;
    options = [];
    const text = error instanceof Error ? error.message : String(error);
    list.replaceChildren(h('li', { class: 'note', role: 'option', 'aria-disabled': 'true', 'aria-selected': 'false' }, text));
    list.hidden = false;
  };
  const ask = async () => {
    asked.abort();
    asked = new AbortController();
    const { signal } = asked;
    const words = input.value.trim();
    if (!words) {
      hide();
      return;
    }
    /** @type {Found} */
    const answer = await get('search', [['q', words]], signal);
    if (!signal.aborted && input.value.trim() === words) show(answer);
  };
  input.addEventListener('input', () => {
    clearTimeout(timer);
    timer = setTimeout(() => { ask().catch(fail); }, PAUSE);
  });
  input.addEventListener('keydown', (event) => {
    if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
      event.preventDefault();
      select(selected + (event.key === 'ArrowDown' ? 1 : -1));
    } else if (event.key === 'Enter') {
      options[selected]?.go();
    } else if (event.key === 'Escape') {
      input.value = '';
      hide();
      input.blur();
    }
  });
  input.addEventListener('blur', hide);
}
