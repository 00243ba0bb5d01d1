// Threads of a program: what each does, waits for and holds; its locks.

import { get } from './api.js';
import { h } from './dom.js';
import { NONE, age, exact } from './format.js';
import { every } from './frame.js';
import { now } from './context.js';

/** @typedef {import('./types.js').Threads} Threads */
/** @typedef {import('./types.js').Thread} Thread */
/** @typedef {import('./types.js').Lock} Lock */
/** @typedef {import('./types.js').Activity} Activity */

/** @param {Activity[]} activities */
function doing(activities) {
  return activities.map((one) => `${one.text}${one.cut ? '…' : ''}${one.age_seconds === null ? '' : ` (${age(one.age_seconds)})`}`).join(' · ') || NONE;
}

/** @param {Thread} thread */
function waits(thread) {
  const { wait } = thread;
  if (wait) {
    const since = wait.age_seconds === null ? '' : ` (${age(wait.age_seconds)})`;
    return `${wait.condition ? 'condition' : 'lock'} ${wait.name}${since}`;
  }
  return thread.waits_in && thread.state !== 'running' ? thread.waits_in : NONE;
}

/**
 * A table whose head and width stay while its rows change.
 * @param {string} label
 * @param {string[]} columns
 * @param {Set<string>} numeric
 */
function table(label, columns, numeric) {
  const body = h('tbody');
  const element = h('table', { 'aria-label': label, class: 'wide' }, h('thead', {}, h('tr', {},
    ...columns.map((column) => h('th', { scope: 'col', class: numeric.has(column) ? 'number' : null }, column)))), body);
  return {
    element,
    /** @param {string[][]} rows */
    set(rows) {
      while (body.children.length > rows.length) body.lastElementChild?.remove();
      rows.forEach((row, index) => {
        let line = body.children[index];
        if (!line) {
          body.append(line = h('tr', {}, ...columns.map((column, place) => (place === 0
            ? h('th', { scope: 'row' }) : h('td', { class: numeric.has(column) ? 'number' : null, 'data-name': column })))));
        }
        row.forEach((text, place) => {
          const cell = line.children[place];
          if (cell && cell.textContent !== text) cell.textContent = text;
        });
      });
      element.hidden = rows.length === 0;
    },
  };
}

/**
 * @param {HTMLElement} host
 * @param {string} id
 * @param {import('./route.js').Route} first
 */
export function threads(host, id, first) {
  let route = first;
  const note = h('p', { class: 'note', role: 'status' }, 'Looking at the threads…');
  const summaryLine = h('p', { class: 'dim' });
  const list = table('Threads', ['Thread', 'State', 'Does', 'Waits for', 'Holds', 'Processors', 'Quiet', 'Id'], new Set(['Id', 'Processors', 'Quiet']));
  const shared = h('p', {});
  const locks = table('Locks', ['Lock', 'Holder', 'Readers', 'Waiting', 'Acquired'], new Set(['Acquired']));
  const lockTitle = h('h2', {}, 'Locks');
  const lockNote = h('p', { class: 'dim' });
  host.replaceChildren(note, h('h2', {}, 'Threads'), summaryLine, shared,
    h('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': 'Threads' }, list.element), lockTitle, lockNote,
    h('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': 'Locks' }, locks.element));

  /** @param {Threads} report */
  const draw = (report) => {
    const names = new Map(report.threads.map((thread) => [thread.tid, thread.name ?? `thread ${thread.tid}`]));
    /** @param {number} number */
    const lockName = (number) => report.locks.find((lock) => lock.number === number)?.name ?? `#${number}`;
    /** @param {number | null} tid */
    const threadName = (tid) => (tid === null ? NONE : names.get(tid) ?? `thread ${tid}`);
    const { system, publishes } = report;
    summaryLine.textContent = [
      system?.threads ? `${system.threads} threads` : `${report.threads.length} threads`,
      system?.processors === null || system?.processors === undefined ? '' : `${system.processors.toFixed(2)} processors in use`,
      report.threads_left_out ? `${report.threads_left_out} not shown` : '',
      report.activities_left_out ? `${report.activities_left_out} activities not shown` : '',
      publishes.activities ? '' : 'the program publishes no activities',
    ].filter(Boolean).join(' · ');
    shared.textContent = report.activities.length ? `In no thread: ${doing(report.activities)}` : '';
    list.set(report.threads.map((thread) => [
      thread.name ?? NONE, thread.state ?? NONE, doing(thread.activities), waits(thread),
      [...thread.holds.map(lockName), ...(thread.more_holds ? [`${thread.more_holds} more`] : [])].join(', ') || NONE,
      thread.processors === null ? NONE : thread.processors.toFixed(2),
      thread.quiet_seconds === null ? NONE : age(thread.quiet_seconds), thread.tid === null ? NONE : String(thread.tid),
    ]));
    lockNote.textContent = publishes.locks
      ? report.locks_left_out ? `${report.locks_left_out} locks are not shown` : '' : 'The program publishes no locks.';
    locks.set(report.locks.map((lock) => [
      lock.name || `#${lock.number}`, threadName(lock.holder), lock.readers.map(threadName).join(', ') || NONE,
      lock.waiting.map(threadName).join(', ') || NONE, exact(lock.acquired),
    ]));
  };

  let asked = 0;
  /** @param {AbortSignal} signal */
  const load = async (signal) => {
    const number = asked += 1;
    try {
      /** @type {{ programs: Threads[] }} */
      const document = await get(`programs/${encodeURIComponent(id)}/threads`, route.frozen === null ? [] : [['at', route.frozen]], signal);
      const [report] = document.programs;
      if (number !== asked || !report) return;
      note.hidden = true;
      draw(report);
    } catch (error) {
      if (signal.aborted || number !== asked) return;
      note.hidden = false;
      note.textContent = error instanceof Error ? error.message : String(error);
    }
  };
  let shown = 0;
  const end = every(async (signal) => {
    if (route.frozen !== null && shown === route.frozen) return;
    shown = route.frozen ?? now();
    await load(signal);
  }, 1);
  return {
    /** @param {import('./route.js').Route} next */
    update(next) { route = next; },
    close() { end(); },
  };
}
