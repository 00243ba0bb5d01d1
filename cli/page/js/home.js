// All programs: state, activity, findings.

import { get } from './api.js';
import { connect, disconnect, heard, now, say } from './context.js';
import { arrange, h, setAttribute, setText } from './dom.js';
import { NONE, age, bytes, clock, perSecond, short, stateOf } from './format.js';
import { every, soon } from './frame.js';
import { format, home as homeRoute } from './route.js';
import { spark } from './spark.js';
import { stream } from './stream.js';

/** @typedef {import('./types.js').Program} Program */
/** @typedef {import('./types.js').Home} Home */

const COLUMNS = ['State', 'Program', 'Last minute', 'Fastest counter', 'Processors', 'Memory', 'Age', 'Findings'];
/** Maximum number of rows that are made in one frame of the screen: as many as are seen. */
const ROWS = 40;
const NUMERIC = new Set(['Processors', 'Memory', 'Age']);

/**
 * A row of the table; its cells stay, only their texts change.
 * @param {string} id
 */
function row(id) {
  const shape = h('span', { class: 'shape', 'aria-hidden': 'true' });
  const word = h('span');
  const link = h('a', { class: 'name' });
  const pid = h('span', { class: 'dim' });
  const line = spark();
  const busiest = h('td', { class: 'busiest', role: 'cell' });
  const rate = h('span', { class: 'figure' });
  const counter = h('span', { class: 'dim clip' });
  busiest.append(rate, counter);
  /** @param {string} name */
  const figure = (name) => h('td', { class: 'number', role: 'cell', 'data-name': name });
  const [cpu, memory, old] = [figure('processors'), figure('memory'), figure('age')];
  const findings = h('td', { class: 'findings', role: 'cell' });
  const state = h('td', { class: 'state', role: 'cell' }, shape, ' ', word);
  const element = h('tr', { role: 'row' },
    state, h('th', { scope: 'row', role: 'rowheader' }, link, ' ', pid),
    h('td', { class: 'sparkcell', role: 'cell' }, line.element), busiest, cpu, memory, old, findings);
  /** @type {{ program: Program, at: number } | null} */
  let shown = null;
  return {
    element,
    /** @param {Program} program @param {number} time @param {number | null} frozen */
    set(program, time, frozen) {
      shown = { program, at: time };
      const { word: text, shape: glyph, kind } = stateOf(program);
      setText(shape, glyph);
      setText(word, text);
      setAttribute(state, 'data-kind', kind);
      setText(link, program.command ?? `file ${id}`);
      setAttribute(link, 'href', format({ ...homeRoute(), program: id, frozen }));
      setText(pid, program.pid === null ? '' : String(program.local_pid ?? program.pid));
      line.set(program.spark);
      setText(rate, program.busiest ? perSecond(program.busiest.rate, program.busiest.unit) : NONE);
      setText(counter, program.busiest?.field ?? '');
      counter.title = program.busiest?.field ?? '';
      setText(cpu, program.cpu === null ? NONE : program.cpu.toFixed(2));
      setText(memory, program.memory === null ? NONE : bytes(program.memory));
      setText(findings, said(program));
      findings.title = program.findings.map((finding) => finding.text).join('\n');
      setAttribute(element, 'data-ended', isLive(program) ? null : 'yes');
      this.grow(time);
    },
    /** The age, which grows without events. @param {number} time */
    grow(time) {
      if (!shown || shown.program.age === null) setText(old, NONE);
      else setText(old, age(shown.program.age + Math.max(0, time - shown.at)));
    },
  };
}

/** @param {Program} program */
function said(program) {
  const [first, ...others] = program.findings.map((finding) => finding.text);
  const missing = program.incomplete ? `incomplete: ${program.incomplete.reason}` : undefined;
  const text = first ?? missing ?? (program.superseded ? 'its counters are in the sums of its application' : '');
  return others.length ? `${text} · ${others.length} more` : text;
}

/** @param {Program} program */
function isLive(program) {
  return program.state === 'live';
}

/** @param {Program} program */
function rank(program) {
  return isLive(program) ? 0 : 1;
}

/**
 * @param {HTMLElement} main
 * @param {import('./route.js').Route} first
 * @returns {import('./types.js').View}
 */
export function home(main, first) {
  /** @type {Map<string, Program & { at: number }>} */
  const programs = new Map();
  /** @type {Map<string, ReturnType<typeof row>>} */
  const rows = new Map();
  const body = h('tbody', { role: 'rowgroup' });
  const title = h('h1', { tabindex: '-1' }, 'Programs');
  const counts = h('p', { class: 'dim', id: 'counts' });
  const problems = h('ul', { class: 'problems', 'aria-label': 'Problems' });
  const head = h('tr', { role: 'row' }, ...COLUMNS.map((name) => h('th', {
    scope: 'col', role: 'columnheader', class: NUMERIC.has(name) ? 'number' : null,
  }, name)));
  const table = h('table', { class: 'programs', role: 'table', 'aria-labelledby': 'counts' },
    h('thead', { role: 'rowgroup' }, head), body);
  const empty = h('div', { class: 'note', hidden: true },
    h('p', {}, 'No program publishes here yet.'),
    h('p', {}, 'Start one, for example ', h('code', {}, 'mmstats demo'), ' in another terminal: it appears here by itself.'));
  main.replaceChildren(h('div', { class: 'headline' }, title, counts), problems, table, empty);
  document.title = 'Programs · mmstats';
  let route = first;

  const draw = () => {
    const time = route.frozen ?? now();
    const sorted = [...programs.values()].sort((a, b) => rank(a) - rank(b));
    let made = 0;
    for (const program of sorted) {
      let shown = rows.get(program.id);
      if (!shown) {
        // The others come in the next frames.
        if (made === ROWS) continue;
        made += 1;
        rows.set(program.id, shown = row(program.id));
      }
      shown.set(program, program.at, route.frozen);
      shown.grow(time);
    }
    for (const id of rows.keys()) if (!programs.has(id)) rows.delete(id);
    arrange(body, sorted.flatMap((program) => rows.get(program.id)?.element ?? []));
    const live = sorted.filter(isLive).length;
    const ended = sorted.length - live;
    const when = route.frozen === null ? '' : `, as of ${clock(route.frozen)}`;
    setText(counts, `${short(live, '')} live${ended ? `, ${ended} ended, with their last values` : ''}${when}`);
    empty.hidden = sorted.length > 0;
    table.hidden = sorted.length === 0;
    if (rows.size < sorted.length) soon(draw);
  };
  /** @param {Home} data @param {boolean} whole */
  const take = (data, whole) => {
    if (whole) programs.clear();
    for (const program of data.programs) programs.set(program.id, { ...program, at: data.time });
    for (const id of data.removed ?? []) programs.delete(id);
    if (data.problems) problems.replaceChildren(...data.problems.map((text) => h('li', {}, text)));
    soon(draw);
  };

  let close = () => {};
  const begin = () => {
    close();
    if (route.frozen !== null) {
      const aborted = new AbortController();
      close = () => aborted.abort();
      get('programs', [['at', route.frozen]], aborted.signal)
        .then((data) => take(/** @type {Home} */ (data), true))
        .catch((error) => { if (!aborted.signal.aborted) say(error.message); });
      return;
    }
    let whole = true;
    const end = stream([['home', 1]], {
      event(_name, data) {
        heard(data.time);
        take(data, whole);
        whole = false;
      },
      opened() { whole = true; connect(); },
      failed: disconnect,
    });
    const ticks = every(async () => {
      const time = now();
      for (const shown of rows.values()) shown.grow(time);
    }, 1);
    close = () => { end(); ticks(); };
  };
  begin();
  return {
    update(next) {
      const moved = next.frozen !== route.frozen;
      route = next;
      if (moved) begin();
    },
    close() { close(); },
  };
}
