// State that all views share: facts about the server, its clock, and the state of the connection.

import { byId, setText } from './dom.js';
import { clock } from './format.js';

/** @typedef {import('./types.js').About} About */

/** @type {About | null} */
let facts = null;
/** Server's clock minus that of the browser, in seconds; null before the first answer. @type {number | null} */
let offset = null;
/** Since when no values come. @type {number | null} */
let lost = null;

/** @type {(about: About) => void} */
let tell = () => {};
/** The facts about the server, once they are known. @type {Promise<About>} */
export const known = new Promise((resolve) => { tell = resolve; });

/** @param {About} about */
export function setAbout(about) {
  facts = about;
  offset = about.to - Date.now() / 1000;
  tell(about);
}

/** @returns {About} */
export function about() {
  if (!facts) throw new Error('nothing is known of the server yet');
  return facts;
}

/**
 * Takes the time of an event: the latest one is closest to the clock of the server.
 * @param {number} time
 */
export function heard(time) {
  const now = time - Date.now() / 1000;
  if (offset === null || now > offset || offset - now > 5) offset = now;
}

/** Time at the server, in seconds since 1970; of a recording its end. */
export function now() {
  return facts && !facts.live ? facts.to : Date.now() / 1000 + (offset ?? 0);
}

/**
 * Says how the connection is: an empty text if it is well.
 * @param {string} text
 */
export function say(text) {
  const element = byId('connection');
  setText(element, text);
  element.title = text;
  element.classList.toggle('trouble', text !== '');
}

/** The stream is open: values are those of now. */
export function connect() {
  lost = null;
  delete document.documentElement.dataset['stale'];
  say('');
}

/**
 * The stream failed: what is shown is old from now on, and the page says so.
 * @param {import('./api.js').ApiError} error
 * @param {number} seconds until the next attempt
 */
export function disconnect(error, seconds) {
  lost ??= now();
  document.documentElement.dataset['stale'] = 'yes';
  const way = error.status === 401 ? 'reload this page to give the token of the server' : `trying again in ${seconds} s`;
  say(`Stale since ${clock(lost)}: ${error.message}; ${way}`);
}

/** Since when no values come, in seconds since 1970; null while they do. */
export function staleSince() {
  return lost;
}
