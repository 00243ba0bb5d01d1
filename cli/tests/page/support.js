// A server, programs that publish and a browser, for the tests; all end with them.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { chromium } from 'playwright-core';

const BINARY = process.env.MMSTATS ?? new URL('../../../target/debug/mmstats', import.meta.url).pathname;
const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';
const PROGRAMS = process.env.PROGRAMS ?? join(dirname(BINARY), 'examples', 'page-programs');
const children = [];
const browsers = [];
const directories = [];

export const sleep = (milliseconds) => new Promise((resolve) => { setTimeout(resolve, milliseconds); });

/** Waits until a check gives something. */
export async function until(check, what, seconds = 20) {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const found = await check();
    if (found) return found;
    if (Date.now() > end) throw new Error(`not in ${seconds} s: ${what}`);
    await sleep(50);
  }
}

/** An empty directory. */
export function directory() {
  const made = mkdtempSync(join(tmpdir(), 'mmstats-page-'));
  directories.push(made);
  return made;
}

/** Runs the command with the files of a directory: programs of others on this machine disturb no test. */
function start(args, path, binary = BINARY) {
  if (!existsSync(binary)) throw new Error(`${binary} is not built`);
  const child = spawn(binary, args, { stdio: ['pipe', 'ignore', 'pipe'], env: { ...process.env, MMSTATS_PATH: path } });
  child.text = '';
  child.stderr.on('data', (data) => { child.text += data; });
  children.push(child);
  return child;
}

/** A server of the programs of a directory, on a free port of loopback unless the options say another. */
export async function serve(path, ...options) {
  const child = start(['serve', ...(options.length ? options : ['--listen', '127.0.0.1:0'])], path);
  const [, url, file] = await until(() => /page is (http:\S+\/), its token (?:is in (.*)|that of --token-file)\n/.exec(child.text), 'the server');
  const token = readFileSync(file?.trim() ?? options[options.indexOf('--token-file') + 1], 'utf8').trim();
  const api = async (what) => (await fetch(`${url}api/1/${what}`, { headers: { Authorization: `Bearer ${token}` } })).json();
  /** The program with a process id. */
  const program = (pid) => until(async () => (await api('programs')).programs.find((one) => one.pid === pid), `program ${pid}`);
  /** So many programs, in the order of their names. */
  const programs = (count) => until(async () => {
    const all = (await api('programs')).programs.filter((one) => one.command?.startsWith('program-'));
    return all.length === count && all.sort((a, b) => a.command.localeCompare(b.command, 'en', { numeric: true }));
  }, `${count} programs`, 60);
  return { url, token, api, program, programs, child };
}

/** A file with a token. */
export function tokenFile() {
  const file = join(directory(), 'token');
  writeFileSync(file, `${'0123456789abcdef'.repeat(2)}\n`, { mode: 0o600 });
  return file;
}

export const publisher = (path) => start(['demo-publisher', '--threads', '2'], path);
/** So many programs with so many counters each, besides a family, a gauge and a histogram. */
export const publish = (path, programs, counters) => start([String(programs), String(counters)], path, PROGRAMS);

export async function browser(...args) {
  const made = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox', ...args] });
  browsers.push(made);
  return made;
}

/** A page of the server that remembers each error of the console and each breach of the policy. */
export async function open(from, server, hash = '/', options = {}) {
  const context = await from.newContext(options);
  const page = await context.newPage();
  const errors = [];
  page.on('console', (message) => { if (message.type() === 'error') errors.push(message.text()); });
  page.on('pageerror', (error) => errors.push(String(error)));
  await page.addInitScript(() => {
    globalThis.breaches = [];
    document.addEventListener('securitypolicyviolation', (event) => globalThis.breaches.push(event.violatedDirective));
  });
  await page.goto(`${server.url}#token=${server.token}&${hash}`);
  return { page, errors, breaches: () => page.evaluate(() => globalThis.breaches) };
}

export async function end() {
  for (const one of browsers) await one.close();
  for (const child of children) child.kill('SIGTERM');
  for (const made of directories) rmSync(made, { recursive: true, force: true });
}
