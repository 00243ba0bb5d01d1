// The view as the fragment of the address: a link shows the same again.

/**
 * @typedef {{
 *   program: string | null,
 *   fields: string[],
 *   families: string[],
 *   tab: string,
 *   span: number,
 *   frozen: number | null,
 *   vs: string | null,
 *   ago: number,
 *   shows: Record<string, string>,
 *   filter: string,
 * }} Route
 */

/** Span of the graphs without a word of it, in seconds. */
export const SPAN = 60;
const MIN_SPAN = 1;
const MAX_SPAN = 6 * 3600;

/** @returns {Route} */
export function home() {
  return {
    program: null, fields: [], families: [], tab: 'fields', span: SPAN, frozen: null, vs: null, ago: 0, shows: {}, filter: '',
  };
}

/** @param {string | null} text */
function positive(text) {
  const number = Number(text);
  return text !== null && Number.isFinite(number) && number > 0 ? number : null;
}

/**
 * @param {string} hash
 * @returns {Route}
 */
export function parse(hash) {
  const route = home();
  const [path = '', query = ''] = hash.replace(/^#/, '').split(/\?(.*)/s);
  const match = /^\/p\/([^/]+)$/.exec(path);
  if (match) {
    try {
      route.program = decodeURIComponent(match[1] ?? '');
    } catch {
      route.program = match[1] ?? '';
    }
  }
  const parameters = new URLSearchParams(query);
  route.fields = [...new Set(parameters.getAll('f'))];
  route.families = [...new Set(parameters.getAll('sum'))];
  route.tab = parameters.get('tab') ?? 'fields';
  const [from, to] = [positive(parameters.get('from')), positive(parameters.get('to'))];
  route.frozen = positive(parameters.get('frozen')) ?? to;
  const span = positive(parameters.get('span')) ?? (from && to ? to - from : SPAN);
  route.span = Math.min(MAX_SPAN, Math.max(MIN_SPAN, span));
  route.vs = parameters.get('vs');
  route.ago = positive(parameters.get('ago')) ?? 0;
  route.filter = parameters.get('filter') ?? '';
  for (const text of parameters.getAll('show')) {
    const [what = '', field = ''] = text.split(/:(.*)/s);
    route.shows[field] = what;
  }
  return route;
}

/**
 * @param {Route} route
 * @returns {string}
 */
export function format(route) {
  const parameters = new URLSearchParams();
  for (const field of route.fields) parameters.append('f', field);
  for (const family of route.families) parameters.append('sum', family);
  for (const [field, what] of Object.entries(route.shows)) {
    if (route.fields.includes(field) || route.families.includes(field)) parameters.append('show', `${what}:${field}`);
  }
  if (route.tab !== 'fields') parameters.set('tab', route.tab);
  if (route.span !== SPAN) parameters.set('span', String(Math.round(route.span * 1000) / 1000));
  if (route.frozen !== null) parameters.set('frozen', String(Math.round(route.frozen * 1000) / 1000));
  if (route.vs !== null) parameters.set('vs', route.vs);
  if (route.ago) parameters.set('ago', String(route.ago));
  if (route.filter) parameters.set('filter', route.filter);
  const query = parameters.toString();
  const path = route.program === null ? '/' : `/p/${encodeURIComponent(route.program)}`;
  return `#${path}${query ? `?${query}` : ''}`;
}

/** @returns {Route} */
export function current() {
  return parse(location.hash);
}

/**
 * Changes the view; a small change takes the place of the last one in the history of the tab.
 * @param {Partial<Route>} change
 * @param {boolean} [replace]
 */
export function change(change, replace = false) {
  const next = format({ ...current(), ...change });
  if (next === location.hash) return;
  if (replace) {
    history.replaceState(null, '', next);
    dispatchEvent(new HashChangeEvent('hashchange'));
  } else {
    location.hash = next;
  }
}
