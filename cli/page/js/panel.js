// One field over time: its graph, its numbers as a table, and what it means.

import { get } from './api.js';
import { now, staleSince } from './context.js';
import { h, setAttribute, setText } from './dom.js';
import { NONE, clock, perSecond, short } from './format.js';
import { cancel, inTurn, soon, whileVisible } from './frame.js';
import { graph } from './graph.js';
import { heatMap } from './heat.js';
import { choices, full, isNumeric, numberFor, summary, unitOf } from './value.js';
import { change, current } from './route.js';

/** @typedef {import('./types.js').Field} Field */
/** @typedef {import('./types.js').Value} Value */
/** @typedef {import('./types.js').What} What */
/** @typedef {import('./types.js').Series} Series */
/** @typedef {import('./types.js').SeriesDocument} SeriesDocument */
/** @typedef {import('./route.js').Route} Route */
/** @typedef {import('./graph.js').Line} Line */

/** Number of steps of a line, and of a heat map. */
const STEPS = 300;
const COLUMNS = 60;
/** Maximum number of points of a line that grows: older ones are dropped. */
const MAX_POINTS = 2_400;
const TABLE_ROWS = 20;
/** @type {Record<What, string>} */
const WORDS = { value: 'Value', rate: 'Rate', quantiles: 'Quantiles', heat: 'Heat map' };
/** What is compared: a value or rate, and of quantiles these. */
const COMPARED = new Set(['', 'p50', 'p99']);
const ORDER = ['0.5', '0.9', '0.99', '0.999'];
/** Minimum time between updates of a legend without a pointer, in milliseconds: ten a second cannot be read. */
const READ = 400;
/** A line moves by less than a pixel in this part of its time; it is drawn after so many milliseconds at most. */
const PIXEL = 1 / 400;
const LATEST = 200;

/**
 * @param {string} program
 * @param {Field} field of a family the first of its fields
 * @param {boolean} sum of the whole family
 * @param {Route} first
 * @param {() => void} drop closes a graph that the address does not name
 */
export function panel(program, field, sum, first, drop) {
  const name = sum ? field.family : field.id;
  const numeric = isNumeric(field);
  let route = first;
  /** @type {What} */
  let what = chosen();
  /** @type {Line[]} */
  let lines = [];
  /** @type {import('./heat.js').Heat | null} */
  let heat = null;
  /** @type {{ draw: (...of: any[]) => void, close: () => void } | null} */
  let picture = null;
  let visible = false;
  let loaded = 0;
  let asked = 0;
  let ended = false;
  /** Name of the program that is compared. */
  let otherName = 'other program';
  const aborted = new AbortController();

  const figure = h('span', { class: 'figure' });
  const title = h('h3', { id: `panel-${counter()}` }, sum ? `Sum of ${name}` : name);
  const host = h('div', { class: 'plot', role: 'img' });
  const legend = h('p', { class: 'legend' });
  const note = h('p', { class: 'note', role: 'status', hidden: true });
  const table = h('table', { class: 'numbers' });
  const numbers = h('details', { class: 'more', toggle: () => soon(fill) }, h('summary', {}, 'Numbers'), h('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': `Numbers of ${name}` }, table));
  const modes = h('span', { class: 'modes', role: 'group', 'aria-label': `What the graph of ${name} shows` });
  const remove = h('button', {
    type: 'button', class: 'quiet', 'aria-label': `Close ${name}`, click: () => {
      const now = current();
      if (sum) change({ families: now.families.filter((other) => other !== name) });
      else if (now.fields.includes(name)) change({ fields: now.fields.filter((other) => other !== name) });
      else drop();
    },
  }, '✕');
  const details = h('details', { class: 'more' }, h('summary', {}, 'Details'), facts(field));
  const text = h('p', { class: 'whole' });
  const element = h('article', { class: 'panel', 'aria-labelledby': title.id },
    h('header', {}, title, remove),
    h('div', { class: 'tools' }, modes, figure),
    field.help ? h('p', { class: 'help' }, field.help) : null,
    note, numeric ? host : text, numeric ? legend : null,
    h('div', { class: 'mores' }, numeric ? numbers : null, details));
  if (numeric) {
    for (const choice of choices(field)) {
      if (sum && choice !== 'rate' && choice !== 'value') continue;
      modes.append(h('button', {
        type: 'button', 'data-what': choice, 'aria-pressed': String(choice === what),
        click: () => change({ shows: { ...current().shows, [name]: choice } }, true),
      }, WORDS[choice]));
    }
  }

  /** @returns {What} */
  function chosen() {
    const wanted = /** @type {What} */ (route.shows[name]);
    const possible = choices(field).filter((choice) => !sum || choice === 'rate' || choice === 'value');
    return possible.includes(wanted) ? wanted : possible[0] ?? 'value';
  }
  /** @param {number | null | undefined} number */
  const words = (number) => {
    const unit = unitOf(field, what);
    return what === 'rate' ? perSecond(number, unit) : short(number, unit);
  };
  const span = () => {
    const to = route.frozen ?? now();
    return { from: to - route.span, to };
  };
  /** Whether new values are appended; all else is asked for again. */
  const grows = () => !sum && route.frozen === null && !route.vs && !route.ago && (what === 'value' || what === 'rate');

  const fresh = () => {
    picture?.close();
    host.replaceChildren();
    const unit = unitOf(field, what);
    /** @param {number} from @param {number} to */
    const zoom = (from, to) => change({ frozen: to, span: to - from });
    picture = what === 'heat' ? heatMap(host, unit, zoom) : graph(host, {
      unit, perSecond: what === 'rate', zero: what !== 'value', zoom, point: showAt,
    });
  };

  /** @param {string | null} other @param {number} ago @returns {Promise<SeriesDocument>} */
  const fetchSeries = (other, ago) => {
    const count = what === 'value' || what === 'rate' ? STEPS : COLUMNS;
    const step = Math.max(route.span / count, count === COLUMNS && route.frozen === null && route.span >= 30 ? 1 : 0.05);
    const steps = Math.max(1, Math.round(route.span / step));
    const { to } = span();
    // Bins keep their borders, so that nothing flickers while time passes.
    const end = (route.frozen === null && count === COLUMNS ? Math.floor(to / step) * step : to) - ago;
    /** @type {import('./api.js').Parameters} */
    const parameters = [['program', other ?? program], [sum ? 'family' : 'field', name]];
    if (sum) parameters.push(['sum', 1]);
    parameters.push(['from', end - steps * step], ['to', end], ['steps', steps], ['what', what]);
    return get('series', parameters, aborted.signal);
  };

  const load = async () => {
    const number = asked += 1;
    loaded = now();
    const compared = Boolean(route.vs || route.ago);
    try {
      const [mine, other] = await Promise.all([
        fetchSeries(null, 0),
        compared && what !== 'heat' ? fetchSeries(route.vs, route.ago).catch(say) : null,
      ]);
      if (number !== asked || aborted.signal.aborted) return;
      take(mine, typeof other === 'string' ? null : other);
      const cut = mine.series[0]?.cut ?? null;
      const text = [
        compared && what === 'heat' ? 'A heat map is of this program and time alone: quantiles compare.' : '',
        typeof other === 'string' ? `Nothing to compare with: ${other}.` : '',
        cut !== null && cut > mine.from ? `What was before ${clock(cut)} is not kept for want of memory: mmstats serve --memory.` : '',
      ].filter(Boolean).join(' ');
      note.hidden = !text;
      setText(note, text);
    } catch (error) {
      if (number !== asked || aborted.signal.aborted) return;
      note.hidden = false;
      setText(note, say(error));
    }
    described = 0;
    inTurn(draw);
  };

  /** @param {unknown} error */
  const say = (error) => (error instanceof Error ? error.message : String(error));

  /** @param {SeriesDocument} mine @param {SeriesDocument | null} other */
  const take = (mine, other) => {
    const [series] = mine.series;
    if (!series) throw new Error('the server has no such series');
    heat = null;
    if (what === 'heat') {
      heat = { from: mine.from, step: mine.step, bounds: series.bounds ?? [], counts: series.counts ?? [] };
      lines = [];
      return;
    }
    lines = linesOf(mine, series, 0);
    const second = other?.series[0];
    if (other && second) {
      const label = [route.vs ? otherName : '', route.ago ? `${short(route.ago, 'seconds')} earlier` : ''].filter(Boolean).join(', ');
      for (const line of lines) line.name = line.name || 'this';
      // Of two times four quantiles nobody sees which is which.
      const others = linesOf(other, second, route.ago).filter((line) => COMPARED.has(line.name));
      for (const { name: part, times, values } of others) {
        lines.push({ name: part ? `${part} of ${label}` : label, times, values, dashed: true, colour: 1 });
      }
    }
  };
  /** @param {SeriesDocument} document @param {Series} series @param {number} ago @returns {Line[]} */
  const linesOf = (document, series, ago) => {
    /** @param {import('./types.js').Numbers} values */
    const times = (values) => values.map((_value, index) => document.from + (index + 1) * document.step + ago);
    if (series.quantiles) {
      const all = series.quantiles;
      return ORDER.filter((key) => all[key]).map((key, band) => {
        const values = (all[key] ?? []).map((value) => (typeof value === 'number' ? value : null));
        return { name: `p${Number(key) * 100}`, times: times(values), values, colour: 0, band, points: band === 0 };
      });
    }
    const values = series.last ?? [];
    const { min: low, max: high } = series;
    // Where each step has one value a band has no height.
    const hasBand = low && high && low.some((value, index) => value !== high[index]);
    return [{ name: '', times: times(values), values, ...(hasBand ? { low, high } : {}) }];
  };

  let drawn = 0;
  /** Draws if that can be seen; a value that has to wait is drawn by the next tick. */
  const redraw = () => {
    if (performance.now() - drawn >= Math.min(LATEST, route.span * 1000 * PIXEL) - 10) inTurn(draw);
  };
  const draw = () => {
    if (!visible || !numeric || aborted.signal.aborted) return;
    drawn = performance.now();
    if (!picture) fresh();
    const { from, to } = span();
    if (what === 'heat') {
      if (heat) picture?.draw(heat, from, Math.max(to, from + 1));
    } else {
      picture?.draw(grows() && !ended && staleSince() === null ? lines.map((line) => extended(line, to)) : lines, from, to);
    }
    if (pointed !== null || performance.now() - described > READ) describe();
    if (numbers.open) fill();
  };
  /** The last value holds until now. @param {Line} line @param {number} to @returns {Line} */
  const extended = (line, to) => {
    const last = line.values[line.values.length - 1];
    const time = line.times[line.times.length - 1];
    if (last === null || last === undefined || time === undefined || time >= to) return line;
    const more = { ...line, times: [...line.times, to], values: [...line.values, last] };
    if (line.low && line.high) Object.assign(more, { low: [...line.low, last], high: [...line.high, last] });
    return more;
  };

  /** @param {Line} line */
  const lastOf = (line) => {
    for (let index = line.values.length - 1; index >= 0; index -= 1) {
      if (typeof line.values[index] === 'number') return line.values[index];
    }
    return null;
  };
  let described = 0;
  /** @type {number | null} */
  let pointed = null;
  /** @param {number | null} time */
  function showAt(time) {
    pointed = time;
    soon(describe);
  }
  const describe = () => {
    described = performance.now();
    if (what === 'heat') {
      const most = heat?.counts.reduce((sum, column) => sum + (column?.reduce((a, b) => a + b, 0) ?? 0), 0) ?? 0;
      host.setAttribute('aria-label', `Heat map of ${name}: ${short(most, '')} values in ${short(route.span, 'seconds')}. The numbers are in the table below.`);
      legend.replaceChildren();
      return;
    }
    const parts = lines.map((line, index) => {
      const at = pointed === null ? -1 : line.times.findIndex((time) => time >= (pointed ?? 0));
      const value = at < 0 ? lastOf(line) : line.values[at];
      const look = line.band ? `band band-${line.band}` : `ink-${(line.colour ?? index) % 6}${line.dashed ? ' dashed' : ''}`;
      return { text: `${line.name} ${words(value)}`.trim(), look: `key ${look}` };
    });
    const [only] = lines;
    if (only && lines.length === 1) {
      const { from } = span();
      const known = only.values.filter((value, index) => typeof value === 'number' && (only.times[index] ?? 0) >= from);
      const [low, high] = known.length ? [Math.min(.../** @type {number[]} */ (known)), Math.max(.../** @type {number[]} */ (known))] : [null, null];
      parts.push({ text: `least ${words(low)}`, look: 'dim' }, { text: `most ${words(high)}`, look: 'dim' });
      if (sum) setText(figure, words(lastOf(only)));
    }
    while (legend.children.length > parts.length) legend.lastElementChild?.remove();
    parts.forEach(({ text: label, look }, place) => {
      let item = legend.children[place];
      if (!item) legend.append(item = h('span'));
      setAttribute(item, 'class', look);
      setText(item, (pointed !== null && place === 0 ? `${clock(pointed, true)}: ` : '') + label);
    });
    setAttribute(host, 'aria-label', `Graph of ${name} over ${short(route.span, 'seconds')}: ${parts.map((part) => part.text).join(', ')}`);
  };

  /** The table that says the same as the graph. */
  const fill = () => {
    if (!numbers.open) return;
    /** @type {string[][]} */
    let rows = [];
    let head = ['Time', ...lines.map((line) => line.name || WORDS[what])];
    if (what === 'heat' && heat) {
      const { counts, bounds, from, step } = heat;
      const unit = unitOf(field, what);
      head = ['Time', 'Values', 'Least', 'Most'];
      rows = counts.map((column, index) => {
        const found = column?.flatMap((count, bucket) => (count ? [bucket] : [])) ?? [];
        const sum = column?.reduce((a, b) => a + b, 0) ?? null;
        const [low, high] = [found[0], found[found.length - 1]];
        return [clock(from + index * step), short(sum, ''), low === undefined ? NONE : short(bounds[low], unit), high === undefined ? NONE : short(bounds[high + 1], unit)];
      });
    } else {
      const { times = [] } = lines[0] ?? {};
      rows = times.map((time, index) => [clock(time, true), ...lines.map((line) => words(line.values[index]))]);
    }
    const stride = Math.max(1, Math.floor(rows.length / TABLE_ROWS));
    const shown = rows.filter((_row, index) => (rows.length - 1 - index) % stride === 0).reverse();
    const text = JSON.stringify([head, shown]);
    if (table.dataset['text'] === text) return;
    table.dataset['text'] = text;
    table.replaceChildren(
      h('thead', {}, h('tr', {}, ...head.map((cell) => h('th', { scope: 'col' }, cell)))),
      h('tbody', {}, ...shown.map((row) => h('tr', {}, ...row.map((cell) => h('td', { class: 'number' }, cell))))));
  };

  const unwatch = whileVisible(element, (seen) => {
    visible = seen;
    if (seen && numeric && !loaded) void load();
    inTurn(draw);
  });
  setText(text, summary(field));

  return {
    element,
    field: name,
    sum,
    /** A new value of the stream. @param {number} time @param {Value} value */
    push(time, value) {
      if (!sum) {
        setText(text, full({ ...field, ...value }));
        if (numeric) setText(figure, summary({ ...field, ...value }));
      }
      const [line] = lines;
      if (!line || !grows()) return;
      const number = numberFor(field, value, what);
      const previous = line.times[line.times.length - 1] ?? 0;
      if (time <= previous) return;
      const columns = [line.values, ...(line.low && line.high ? [line.low, line.high] : [])];
      const before = line.times[line.times.length - 2] ?? 0;
      // No more points than the graph can show: the last one moves until it is far enough.
      const isClose = previous - before < route.span / 1200;
      if (isClose) {
        line.times[line.times.length - 1] = time;
        for (const column of columns) column[column.length - 1] = number;
      } else {
        line.times.push(time);
        for (const column of columns) column.push(number);
      }
      if (line.times.length > MAX_POINTS || (line.times[Math.floor(line.times.length / 4)] ?? time) < time - route.span) {
        const old = Math.floor(line.times.length / 4);
        line.times.splice(0, old);
        for (const column of columns) column.splice(0, old);
      }
      redraw();
    },
    /** Moves the graph to the current time. @param {boolean} hasEnded */
    tick(hasEnded) {
      ended = hasEnded;
      if (!visible || !numeric || route.frozen !== null) return;
      if (!grows() && now() - loaded >= Math.max(1, route.span / STEPS)) void load();
      else redraw();
    },
    /** Asks for the past again: the stream has a gap. */
    reload() {
      loaded = 0;
      if (visible && numeric) void load();
    },
    /** @param {Route} next */
    update(next) {
      const key = (/** @type {Route} */ of) => JSON.stringify([of.span, of.frozen, of.vs, of.ago, of.shows[name]]);
      const same = key(next) === key(route);
      route = next;
      if (same) return;
      const before = what;
      what = chosen();
      if (before !== what) {
        for (const button of modes.children) {
          button.setAttribute('aria-pressed', String(button.getAttribute('data-what') === what));
        }
        lines = [];
        heat = null;
        fresh();
      }
      pointed = null;
      this.reload();
    },
    /** @param {string} text of the program that is compared */
    call(text) {
      if (text === otherName) return;
      otherName = text;
      if (route.vs) this.reload();
    },
    /** The whole field, as of a moment. @param {Field} next */
    set(next) {
      setText(text, full(next));
      if (numeric && !sum) setText(figure, summary(next));
    },
    close() {
      aborted.abort();
      cancel(draw);
      unwatch();
      picture?.close();
      picture = null;
      lines = [];
    },
  };
}

let panels = 0;
function counter() {
  panels += 1;
  return panels;
}

/** @param {Field} field */
function facts(field) {
  const attributes = Object.entries(field.attributes).map(([key, value]) => `${key} = ${value}`).join(', ');
  const rows = [
    ['Kind', field.kind], ['Type', field.type], ['Unit', field.unit || 'none'],
    ['Attributes', attributes || 'none'], ['Over threads', field.aggregation], ['Level', field.level],
    ['Constant', field.constant ? 'yes' : 'no'], ['Read', field.verdict],
  ];
  return h('dl', {}, ...rows.flatMap(([key = '', value = '']) => [h('dt', {}, key), h('dd', {}, value)]));
}
