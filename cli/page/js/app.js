// The page begins here: token, then the view that the address names, together with facts of the server.

import { ApiError, get, setToken, takeToken } from './api.js';
import { about, connect, say, setAbout } from './context.js';
import { byId, h, setText } from './dom.js';
import { home } from './home.js';
import { listen } from './keys.js';
import { nextTheme, setTheme, theme } from './palette.js';
import { current } from './route.js';
import { search } from './search.js';
import { timeBar } from './time.js';

const main = byId('main');

/** Asks for the token, of which the server says where it is. @param {string} why */
function askForToken(why) {
  byId('time').hidden = true;
  connect();
  const input = h('input', { type: 'password', id: 'token', autocomplete: 'off' });
  main.replaceChildren(h('form', {
    class: 'token', submit: (event) => {
      event.preventDefault();
      setToken(input.value);
      location.reload();
    },
  }, h('h1', {}, 'Token'), h('p', {}, `${why}. The server says on its terminal in which file the token is; `, h('code', {}, 'mmstats serve --open'), ' hands it over by itself.'),
  h('p', {}, h('label', { for: 'token' }, 'Token '), input, ' ', h('button', {}, 'Open'))));
  input.focus();
}

/** @type {import('./types.js').View | null} */
let view = null;
/** @type {string | null | undefined} */
let shown;

async function show() {
  const route = current();
  if (shown === route.program) {
    view?.update(route);
    return;
  }
  close();
  const isFirst = shown === undefined;
  shown = route.program;
  if (route.program === null) view = home(main, route);
  else {
    // The list of programs does not wait for the modules of one.
    const { program } = await import('./program.js');
    if (shown !== route.program) return;
    view = program(main, current());
  }
  scrollTo(0, 0);
  if (!isFirst) main.querySelector('h1')?.focus();
}

function close() {
  view?.close();
  view = null;
}

function drawTheme() {
  setText(byId('theme'), `Theme: ${theme()}`);
}

async function start() {
  setTheme(theme());
  drawTheme();
  byId('theme').addEventListener('click', () => { nextTheme(); drawTheme(); });
  byId('skip').addEventListener('click', (event) => { event.preventDefault(); main.focus(); });
  takeToken();
  addEventListener('hashchange', takeToken);
  const asked = get('about');
  show().catch(fail);
  try {
    setAbout(await asked);
  } catch (error) {
    close();
    shown = undefined;
    if (error instanceof ApiError && (error.status === 401 || error.status === 403)) {
      askForToken(error.message);
      return;
    }
    const text = error instanceof Error ? error.message : String(error);
    main.replaceChildren(h('p', { class: 'note' }, `${text}; trying again.`));
    setTimeout(() => location.reload(), 3000);
    return;
  }
  const facts = about();
  setText(byId('foot'), [
    `mmstats ${facts.version}`, facts.host ?? '', facts.live ? 'looks without disturbing the programs' : 'a recording',
    facts.plots ? '' : `small graphs only: ${facts.plots_hint ?? ''} adds graphs that can be zoomed`,
  ].filter(Boolean).join(' · '));
  search(byId('search'));
  const bar = timeBar(byId('time'));
  listen();
  addEventListener('hashchange', () => { bar.update(); show().catch(fail); });
  bar.update();
  show().catch(fail);
}

/** @param {unknown} error */
function fail(error) {
  say(error instanceof Error ? error.message : String(error));
}

void start();
