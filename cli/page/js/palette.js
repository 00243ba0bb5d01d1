// Colours of style.css for canvases, which know no variables.

/** @type {Map<string, string>} */
const known = new Map();
/** @type {Set<() => void>} */
const listeners = new Set();
/** @type {HTMLElement | null} */
let probe = null;

/**
 * The colour of the class `ink-NAME`.
 * @param {string} name
 * @returns {string}
 */
export function ink(name) {
  const before = known.get(name);
  if (before) return before;
  if (!probe) {
    probe = document.createElement('span');
    probe.hidden = true;
    document.body.append(probe);
  }
  probe.className = `ink-${name}`;
  const { color } = getComputedStyle(probe);
  known.set(name, color);
  return color;
}

/** Number of colours for lines; after them they begin again. */
export const LINES = 6;

/** @param {number} index */
export function line(index) {
  return ink(String(index % LINES));
}

/**
 * Calls a listener after the colours changed.
 * @param {() => void} listener
 * @returns {() => void} ends that
 */
export function onColours(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function changed() {
  known.clear();
  for (const listener of listeners) listener();
}
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', changed);

const THEME = 'mmstats-theme';
const THEMES = ['auto', 'light', 'dark'];

/** The chosen theme: that of the system, light or dark. */
export function theme() {
  const chosen = localStorage.getItem(THEME) ?? 'auto';
  return THEMES.includes(chosen) ? chosen : 'auto';
}

/** @param {string} name */
export function setTheme(name) {
  localStorage.setItem(THEME, name);
  if (name === 'auto') delete document.documentElement.dataset['theme'];
  else document.documentElement.dataset['theme'] = name;
  changed();
}

export function nextTheme() {
  setTheme(THEMES[(THEMES.indexOf(theme()) + 1) % THEMES.length] ?? 'auto');
}
