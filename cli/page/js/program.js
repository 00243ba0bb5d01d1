// One program: its head, and one of its tabs.

import { get } from './api.js';
import { connect, disconnect, heard, known, now, say } from './context.js';
import { arrange, h, setAttribute, setText } from './dom.js';
import { age, bytes, clock, stateOf } from './format.js';
import { every, soon } from './frame.js';
import { events } from './events.js';
import { fields } from './fields.js';
import { loadPlots } from './graph.js';
import { format, home } from './route.js';
import { stream } from './stream.js';
import { threads } from './threads.js';

/** @typedef {import('./types.js').ProgramDocument} ProgramDocument */
/** @typedef {import('./route.js').Route} Route */

/** Maximum number and length of the names of fields that are looked at ten times a second: a request has its bounds. */
const MAX_WATCHED = 256;
const MAX_LENGTH = 7_000;
const TABS = [['fields', 'Fields'], ['threads', 'Threads and locks'], ['events', 'Events']];

/**
 * The parameters of fields that are looked at often; all others are once a second.
 * @param {string[]} names
 * @returns {import('./api.js').Parameters}
 */
function watched(names) {
  let length = 0;
  return names.slice(0, MAX_WATCHED).flatMap((name) => {
    length += encodeURIComponent(name).length + '&fields='.length;
    return length <= MAX_LENGTH ? [/** @type {[string, string]} */ (['fields', name])] : [];
  });
}

/**
 * @param {HTMLElement} main
 * @param {Route} first
 * @returns {import('./types.js').View}
 */
export function program(main, first) {
  const id = first.program ?? '';
  let route = first;
  /** @type {ProgramDocument | null} */
  let facts = null;
  const shape = h('span', { class: 'shape', 'aria-hidden': 'true' });
  const word = h('span');
  const state = h('span', { class: 'state' }, shape, ' ', word);
  const title = h('h1', { tabindex: '-1' }, 'Program');
  const line = h('p', { class: 'facts dim' });
  const findings = h('ul', { class: 'findings', 'aria-label': 'Findings' });
  const tabs = h('nav', { class: 'tabs', 'aria-label': 'Parts of the program' });
  const body = h('div', { class: 'tab', id: 'tab' }, h('p', { class: 'note' }, 'Loading…'));
  main.replaceChildren(h('div', { class: 'headline' }, title, state), line, findings, tabs, body);

  /** @type {ReturnType<typeof fields> | null} */
  let table = null;
  /** @type {ReturnType<typeof threads> | null} */
  let threadView = null;
  /** @type {ReturnType<typeof events> | null} */
  let lineView = null;
  let shownTab = '';
  let close = () => {};

  const isLive = () => facts?.state === 'live';
  const drawHead = () => {
    if (!facts) return;
    const { word: text, shape: glyph, kind } = stateOf(facts);
    const name = facts.command ?? `file ${id}`;
    setText(title, name);
    document.title = `${name} · mmstats`;
    setText(shape, glyph);
    setText(word, facts.gone ? `${text}, its files are gone: these are the last values` : text);
    setAttribute(state, 'data-kind', kind);
    const passed = isLive() && route.frozen === null ? Math.max(0, now() - facts.time) : 0;
    setText(line, [
      facts.pid === null ? '' : `pid ${facts.local_pid ?? facts.pid}`,
      facts.age === null ? '' : `age ${age(facts.age + passed)}`,
      facts.cpu === null || facts.cpu === undefined ? '' : `${facts.cpu.toFixed(2)} processors`,
      facts.memory === null || facts.memory === undefined ? '' : `memory ${bytes(facts.memory)}`,
      facts.died === null ? '' : `ended ${clock(facts.died)}`,
      facts.application ? `application ${facts.application}` : '',
      facts.owner === null ? '' : `user ${facts.owner}`,
    ].filter(Boolean).join(' · '));
    const texts = (facts.findings ?? []).map((finding) => finding.text);
    if (facts.incomplete) texts.push(`incomplete: ${facts.incomplete.reason}`);
    const items = texts.map((one, index) => {
      const item = findings.children[index] ?? h('li');
      setText(item, one);
      return item;
    });
    arrange(findings, items);
  };
  const drawTabs = () => {
    arrange(tabs, TABS.map(([key = '', label = ''], index) => {
      const link = tabs.children[index] ?? h('a', { 'data-tab': key }, label);
      setAttribute(link, 'href', format({ ...route, tab: key }));
      setAttribute(link, 'aria-current', key === route.tab ? 'page' : null);
      return link;
    }));
  };
  const openTab = () => {
    if (!facts || shownTab === route.tab) return;
    table?.close();
    threadView?.close();
    lineView?.close();
    table = null;
    threadView = null;
    lineView = null;
    shownTab = route.tab;
    if (route.tab === 'threads') threadView = threads(body, id, route);
    else if (route.tab === 'events') lineView = events(body, id, route);
    else {
      table = fields(body, id, facts, route);
      table.end(!isLive());
    }
  };

  /** @param {AbortSignal} signal */
  const load = async (signal) => {
    /** @type {[ProgramDocument, void]} */
    const [document] = await Promise.all([
      get(`programs/${encodeURIComponent(id)}`, route.frozen === null ? [] : [['at', route.frozen]], signal),
      known.then(loadPlots),
    ]);
    if (signal.aborted) return;
    facts = document;
    drawHead();
    if (table) table.set(document);
    table?.end(!isLive());
    openTab();
  };
  /** @param {unknown} error */
  const fail = (error) => {
    const text = error instanceof Error ? error.message : String(error);
    if (facts) {
      say(text);
      return;
    }
    setText(title, 'Not found');
    body.replaceChildren(h('p', { class: 'note' }, `${text}. `, h('a', { href: format(home()) }, 'All programs')));
  };

  const begin = () => {
    close();
    const aborted = new AbortController();
    close = () => aborted.abort();
    const { signal } = aborted;
    const start = load(signal);
    start.catch((error) => { if (!signal.aborted) fail(error); });
    if (route.frozen !== null) return;
    let isFirst = true;
    start.then(() => {
      if (signal.aborted) return;
      const end = stream([['program', id], ...watched(route.tab === 'fields' ? table?.drawn() ?? [] : [])], {
        opened() {
          connect();
          if (!isFirst) {
            table?.reload();
            void lineView?.reload();
          }
          isFirst = false;
        },
        event(name, data) {
          heard(data.time ?? 0);
          if (name === 'values' && table && !table.values(data.time, data.values)) void load(signal).catch(() => {});
          if (name === 'lines') lineView?.lines(data.lines);
          if (name === 'state' && facts) {
            facts = { ...facts, ...data, fields: facts.fields };
            table?.end(!isLive());
            soon(drawHead);
          }
        },
        failed: disconnect,
      });
      signal.addEventListener('abort', end);
    }, () => {});
  };
  const ticks = every(async () => drawHead(), 1);
  drawTabs();
  begin();
  /** @param {Route} of */
  const source = (of) => JSON.stringify([of.frozen, of.tab, of.frozen === null ? of.fields : 0]);
  return {
    update(next) {
      const before = route;
      route = next;
      drawTabs();
      openTab();
      table?.update(next);
      threadView?.update(next);
      lineView?.update(next);
      if (source(before) !== source(next)) begin();
    },
    close() {
      close();
      ticks();
      table?.close();
      threadView?.close();
      lineView?.close();
    },
  };
}
