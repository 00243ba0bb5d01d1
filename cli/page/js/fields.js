// The table of the fields of a program, and the panels of those that are chosen.

import { get } from './api.js';
import { arrange, h, setAttribute, setText } from './dom.js';
import { NONE, perSecond } from './format.js';
import { every, soon } from './frame.js';
import { now } from './context.js';
import { panel } from './panel.js';
import { change, current } from './route.js';
import { full, isNumeric, summary, unitOf } from './value.js';

/** @typedef {import('./types.js').Field} Field */
/** @typedef {import('./types.js').Value} Value */
/** @typedef {import('./types.js').ProgramDocument} ProgramDocument */
/** @typedef {import('./route.js').Route} Route */
/** @typedef {ReturnType<typeof panel>} Panel */

/** Time between two looks at what is compared, in seconds. */
const COMPARED = 2;
/** Maximum number of graphs that a family is split into at once. */
const MAX_SPLIT = 32;

/** Number of graphs that a program is opened with. */
const SUGGESTED = 3;

/**
 * The counters that grow fastest, then gauges that changed last: shown until a field is chosen.
 * @param {Field[]} all
 * @returns {string[]}
 */
export function busiest(all) {
  const drawn = all.filter((field) => isNumeric(field) && !field.id.startsWith('sys.'));
  const counters = drawn.filter((field) => field.kind === 'counter' && (field.rate ?? 0) > 0).sort((a, b) => (b.rate ?? 0) - (a.rate ?? 0));
  const gauges = drawn.filter((field) => field.kind === 'gauge' && field.changed !== null).sort((a, b) => (b.changed ?? 0) - (a.changed ?? 0));
  return [...counters, ...gauges].slice(0, SUGGESTED).map((field) => field.id);
}

/** @param {string} id */
function toggle(id) {
  const { fields } = current();
  change({ fields: fields.includes(id) ? fields.filter((other) => other !== id) : [...fields, id] });
}

/**
 * @param {Field} field
 * @param {boolean} inFamily whether the row above has its label
 */
function row(field, inFamily) {
  const attributes = field.id.slice(field.family.length);
  const button = h('button', {
    type: 'button', class: 'name', 'aria-pressed': 'false', title: field.help || null, click: () => toggle(field.id),
  }, ...(inFamily && attributes ? attributes : field.id).split(/(?<=,)/).flatMap((part) => [part, h('wbr')]));
  const value = h('td', { class: 'number value' });
  const rate = h('td', { class: 'number rate' });
  const other = h('td', { class: 'number other' });
  const element = h('tr', { class: inFamily ? 'member' : null }, h('th', { scope: 'row' }, button, field.help && !inFamily ? h('span', { class: 'dim clip' }, field.help) : null), value, rate, other);
  const search = `${field.id} ${field.help} ${field.unit}`.toLowerCase();
  let text = '';
  return {
    element, search, field,
    /** @param {Value} next */
    set(next) {
      const now = { ...field, ...next };
      text = summary(now);
      setText(value, text);
      value.title = full(now);
      setText(rate, next.rate === null || next.rate === undefined ? '' : perSecond(next.rate, unitOf(field, 'rate')));
    },
    /** @param {Field | null} compared */
    compare(compared) {
      setText(other, compared ? summary(compared) : NONE);
      setAttribute(other, 'data-differs', compared && summary(compared) !== text ? 'yes' : null);
    },
    /** @param {boolean} pressed */
    press(pressed) { setAttribute(button, 'aria-pressed', String(pressed)); },
  };
}

/**
 * @param {HTMLElement} host
 * @param {string} id of the program
 * @param {ProgramDocument} first
 * @param {Route} start
 */
export function fields(host, id, first, start) {
  let route = start;
  let ended = false;
  /** The program that is compared, once it is known. */
  let otherName = '';
  /** @type {Map<string, ReturnType<typeof row>>} */
  const rows = new Map();
  /** @type {Map<string, Value>} */
  const waiting = new Map();
  /** @type {Map<string, Panel>} */
  const panels = new Map();
  /** @type {Map<string, Field>} */
  let known = new Map();
  let suggested = busiest(first.fields);
  const filter = h('input', {
    type: 'search', placeholder: 'Filter fields', 'aria-label': 'Filter fields', value: route.filter, id: 'filter',
    input: () => { change({ filter: filter.value }, true); },
  });
  const otherHead = h('th', { scope: 'col', class: 'number other' }, 'Compared');
  const changing = h('table', { class: 'fields', 'aria-label': 'Fields' });
  const constant = h('table', { class: 'fields', 'aria-label': 'Constants' });
  const constants = h('details', { class: 'more' }, h('summary', {}, 'Constants'), constant);
  const graphs = h('section', { class: 'graphs', 'aria-label': 'Graphs' });
  const hint = h('p', { class: 'note' }, 'Choose a field for its graph.');
  host.replaceChildren(h('div', { class: 'split' },
    h('section', { class: 'list', 'aria-label': 'Fields' }, filter, changing, constants), graphs));

  /** @param {ProgramDocument} document */
  const build = (document) => {
    known = new Map(document.fields.map((field) => [field.id, field]));
    rows.clear();
    /** @type {Map<string, Field[]>} */
    const families = new Map();
    for (const field of document.fields) {
      const family = families.get(field.family);
      if (family) family.push(field);
      else families.set(field.family, [field]);
    }
    const bodies = [h('tbody'), h('tbody')];
    for (const [label, members] of families) {
      const isConstant = members.every((field) => field.constant);
      const body = bodies[isConstant ? 1 : 0];
      const isFamily = members.length > 1 && label !== '';
      if (isFamily) body?.append(familyRow(label, members));
      for (const field of members) {
        const made = row(field, isFamily);
        made.set(field);
        made.press(route.fields.includes(field.id));
        rows.set(field.id, made);
        body?.append(made.element);
      }
    }
    const head = () => h('thead', {}, h('tr', {}, h('th', { scope: 'col' }, 'Field'), h('th', { scope: 'col', class: 'number' }, 'Value'), h('th', { scope: 'col', class: 'number' }, 'Per second')));
    const headOfChanging = head();
    headOfChanging.firstElementChild?.append(otherHead);
    const headOfConstant = head();
    headOfConstant.firstElementChild?.append(h('th', { scope: 'col', class: 'number other' }, 'Compared'));
    changing.replaceChildren(headOfChanging, ...bodies.slice(0, 1));
    constant.replaceChildren(headOfConstant, ...bodies.slice(1));
    constants.hidden = !bodies[1]?.children.length;
    show();
  };

  /** @param {string} label @param {Field[]} members */
  const familyRow = (label, members) => {
    const ids = members.map((field) => field.id);
    const shown = ids.length > MAX_SPLIT ? `the first ${MAX_SPLIT} of ${ids.length}` : ids.length;
    const canSum = isNumeric(members[0] ?? { kind: '', value: null, constant: true, type: '' });
    const split = h('button', {
      type: 'button', class: 'small', 'aria-label': `Split ${label}: a graph for each of ${shown} fields`, click: () => {
        const open = current().fields;
        const first = ids.slice(0, MAX_SPLIT);
        const all = first.every((one) => open.includes(one));
        change({ fields: all ? open.filter((one) => !ids.includes(one)) : [...new Set([...open, ...first])] });
      },
    }, ids.length > MAX_SPLIT ? `Split first ${MAX_SPLIT}` : 'Split');
    const sum = h('button', {
      type: 'button', class: 'small', 'aria-label': `Sum of ${label}`, click: () => {
        const { families } = current();
        change({ families: families.includes(label) ? families.filter((one) => one !== label) : [...families, label] });
      },
    }, 'Sum');
    return h('tr', { class: 'family', 'data-family': label }, h('th', { scope: 'rowgroup', colspan: 3 }, h('span', { class: 'name' }, label), ' ', h('span', { class: 'dim' }, `${ids.length} fields `), canSum ? sum : null, ' ', canSum ? split : null));
  };

  /** Closes a suggested graph. @param {string} name */
  const drop = (name) => {
    suggested = suggested.filter((other) => other !== name);
    show();
  };

  /** Filters rows and makes the panels those of the address. */
  const show = () => {
    const words = route.filter.toLowerCase().split(/\s+/).filter(Boolean);
    const families = new Set();
    for (const one of rows.values()) {
      const hit = words.every((word) => one.search.includes(word));
      one.element.hidden = !hit;
      if (hit) families.add(one.field.family);
      one.press(route.fields.includes(one.field.id));
    }
    for (const element of host.querySelectorAll('tr.family')) {
      if (element instanceof HTMLElement) element.hidden = !families.has(element.dataset['family']);
    }
    const compared = Boolean(route.vs || route.ago);
    changing.classList.toggle('compared', compared);
    constant.classList.toggle('compared', compared);
    setText(otherHead, route.vs ? otherName || 'Other program' : 'Earlier');
    if (words.length && constants.querySelector('tbody tr:not([hidden])')) constants.open = true;

    const chosen = route.fields.length || route.families.length ? route.fields : suggested;
    const wanted = [
      ...route.families.map((label) => ({ key: `sum ${label}`, field: [...known.values()].find((one) => one.family === label), sum: true })),
      ...chosen.map((name) => ({ key: name, field: known.get(name), sum: false })),
    ];
    for (const [key, shown] of panels) {
      if (wanted.some((one) => one.key === key && one.field)) continue;
      shown.close();
      panels.delete(key);
    }
    const elements = wanted.flatMap(({ key, field, sum }) => {
      if (!field) return [];
      let shown = panels.get(key);
      if (!shown) {
        panels.set(key, shown = panel(id, field, sum, route, () => drop(key)));
        shown.set(field);
      }
      if (otherName && route.vs) shown.call(otherName);
      shown.update(route);
      return [shown.element];
    });
    const missing = wanted.filter((one) => !one.field).map((one) => h('p', { class: 'note' }, `This program has no field ${one.key.replace(/^sum /, '')}.`));
    arrange(graphs, elements.length || missing.length ? [...elements, ...missing] : [hint]);
  };

  const drawValues = () => {
    for (const [name, value] of waiting) rows.get(name)?.set(value);
    waiting.clear();
  };

  const comparison = every(async (signal) => {
    if (!route.vs && !route.ago) return;
    const at = (route.frozen ?? now()) - route.ago;
    /** @type {ProgramDocument} */
    const other = await get(`programs/${encodeURIComponent(route.vs ?? id)}`, route.frozen !== null || route.ago ? [['at', at]] : [], signal);
    otherName = route.vs ? `${other.command ?? other.id} ${other.local_pid ?? other.pid ?? ''}`.trim() : '';
    setText(otherHead, otherName || 'Earlier');
    for (const shown of panels.values()) if (otherName) shown.call(otherName);
    const fieldsOfOther = new Map(other.fields.map((field) => [field.id, field]));
    for (const [name, one] of rows) one.compare(fieldsOfOther.get(name) ?? null);
  }, COMPARED);
  const ticks = setInterval(() => {
    for (const shown of panels.values()) shown.tick(ended);
  }, 200);

  build(first);
  return {
    /** @param {number} time @param {Record<string, Value>} values */
    values(time, values) {
      for (const [name, value] of Object.entries(values)) {
        if (!known.has(name)) return false;
        waiting.set(name, value);
        panels.get(name)?.push(time, value);
      }
      soon(drawValues);
      return true;
    },
    /** All values as of a moment, or new fields. @param {ProgramDocument} document */
    set(document) {
      waiting.clear();
      const names = document.fields.map((field) => field.id).join('\n');
      if (names !== [...known.keys()].join('\n')) {
        build(document);
        return;
      }
      for (const field of document.fields) {
        rows.get(field.id)?.set(field);
        panels.get(field.id)?.set(field);
      }
    },
    /** The fields with graphs. */
    drawn() { return [...panels.values()].flatMap((shown) => (shown.sum ? [] : [shown.field])); },
    reload() { for (const shown of panels.values()) shown.reload(); },
    /** @param {boolean} hasEnded */
    end(hasEnded) { ended = hasEnded; },
    /** @param {Route} next */
    update(next) {
      if (next.vs !== route.vs) otherName = '';
      route = next;
      if (document.activeElement !== filter) filter.value = route.filter;
      show();
    },
    close() {
      clearInterval(ticks);
      comparison();
      for (const shown of panels.values()) shown.close();
      panels.clear();
    },
  };
}
