// The page in a real browser, of real programs.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';
import { browser, directory, end, open, publisher, serve, sleep, until } from './support.js';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const PICTURES = process.env.PICTURES;
let server, chrome, path, id;

before(async () => {
  path = directory();
  const demo = publisher(path);
  [server, chrome] = await Promise.all([serve(path), browser()]);
  ({ id } = await server.program(demo.pid));
});
after(end);

const figure = (page) => page.locator('.panel .figure').first();

test('field_is_drawn_after_two_clicks_without_errors', async () => {
  const { page, errors, breaches } = await open(chrome, server);
  await page.locator(`a.name[href="#/p/${id}"]`).click();
  await page.getByRole('button', { name: 'demo.blocks', exact: true }).click();
  await page.locator('.panel .u-wrap canvas').waitFor();
  const first = await figure(page).textContent();
  await until(async () => await figure(page).textContent() !== first, 'another value');
  assert.deepEqual(errors, []);
  assert.deepEqual(await breaches(), []);
  assert.equal(new URL(page.url()).hash, `#/p/${id}?f=demo.blocks`);
  await page.context().close();
});

test('event_of_the_stream_is_drawn_within_300_ms', async () => {
  const { page } = await open(chrome, server, `/p/${id}?f=demo.blocks`);
  await page.locator('.panel .u-wrap canvas').waitFor();
  // The server stamps an event with the time of its look; the page runs on the same clock.
  const late = await page.evaluate(async () => {
    const delays = [];
    const text = document.querySelector('.panel .figure');
    const parse = JSON.parse;
    let time = 0;
    JSON.parse = (...args) => {
      const data = parse(...args);
      if (data?.values?.['demo.blocks']) time = data.time;
      return data;
    };
    const observer = new MutationObserver(() => requestAnimationFrame(() => {
      if (time) delays.push(Date.now() / 1000 - time);
    }));
    observer.observe(text, { childList: true, characterData: true, subtree: true });
    await new Promise((resolve) => { setTimeout(resolve, 4000); });
    JSON.parse = parse;
    return delays.sort((a, b) => a - b);
  });
  assert.ok(late.length >= 5, `${late.length} values`);
  const median = late[Math.floor(late.length / 2)];
  console.log(`drawn after ${Math.round(median * 1000)} ms (median of ${late.length})`);
  assert.ok(median < 0.3, `${median} s`);
  await page.context().close();
});

test('other_host_name_is_refused', async () => {
  const rebound = await browser('--host-resolver-rules=MAP evil.test 127.0.0.1');
  const page = await (await rebound.newContext()).newPage();
  const { port } = new URL(server.url);
  const answer = await page.goto(`http://evil.test:${port}/`);
  assert.ok(answer.status() >= 400, `status ${answer.status()}`);
});

test('page_of_another_site_reads_nothing', async () => {
  const site = createServer((_request, response) => response.setHeader('content-type', 'text/html').end('<title>other</title>'));
  await new Promise((resolve) => { site.listen(0, '127.0.0.1', resolve); });
  const page = await (await chrome.newContext()).newPage();
  await page.goto(`http://localhost:${site.address().port}/`);
  const read = await page.evaluate(async ({ url, token }) => {
    const tries = [{}, { headers: { Authorization: `Bearer ${token}` } }, { mode: 'no-cors' }];
    const texts = [];
    for (const options of tries) {
      for (const path of ['', 'api/1/programs']) {
        try { texts.push(await (await fetch(url + path, options)).text()); } catch { texts.push(''); }
      }
    }
    return texts.join('');
  }, { url: server.url, token: server.token });
  assert.equal(read, '');
  site.close();
});

test('markup_in_names_is_inert', async () => {
  const name = '<img src=x onerror="document.title=1"><b id=bad>';
  const context = await chrome.newContext();
  const page = await context.newPage();
  await page.route('**/api/1/stream*', async (route) => {
    const { programs } = await server.api('programs');
    const [program] = programs;
    const data = { time: Date.now() / 1000, problems: [name], programs: [{ ...program, command: name, findings: [{ code: 'busy', text: name }] }] };
    await route.fulfill({ contentType: 'text/event-stream', body: `event: home\ndata: ${JSON.stringify(data)}\n\n` });
  });
  await page.goto(`${server.url}#token=${server.token}&/`);
  await page.locator('a.name').first().waitFor();
  assert.equal(await page.locator('a.name').first().textContent(), name);
  assert.equal(await page.locator('main img, #bad').count(), 0);
  await context.close();
});

test('link_shows_the_same_view_again', async () => {
  const hash = `/p/${id}?f=demo.compress&f=demo.queue&show=heat%3Ademo.compress&span=300`;
  const { page } = await open(chrome, server, hash);
  await page.locator('canvas.heat').waitFor();
  assert.equal(await page.locator('.panel').count(), 2);
  assert.equal(await page.getByLabel('Length of the time that is shown').inputValue(), '300');
  assert.equal(new URL(page.url()).hash.includes(server.token), false);
  await page.context().close();
});

test('keyboard_reaches_everything', async () => {
  const { page } = await open(chrome, server);
  await page.locator('a.name').first().waitFor();
  await page.keyboard.press('/');
  await page.keyboard.type('demo.queue');
  await page.locator('#hits [aria-selected="true"] .name').waitFor();
  await page.keyboard.press('Enter');
  await page.locator('.panel h3', { hasText: 'demo.queue' }).waitFor();
  await page.keyboard.press('2');
  await page.locator('table[aria-label="Threads"] tbody tr').first().waitFor();
  await page.keyboard.press('3');
  await page.locator('[role=log]').waitFor();
  await page.keyboard.press('f');
  assert.match(page.url(), /frozen=/);
  await page.keyboard.press('ArrowLeft');
  await page.locator('#time.frozen').waitFor();
  await page.keyboard.press('f');
  assert.doesNotMatch(page.url(), /frozen=/);
  await page.keyboard.press('?');
  await page.locator('dialog[open]').waitFor();
  await page.keyboard.press('Escape');
  await page.keyboard.press('h');
  await page.locator('h1', { hasText: 'Programs' }).waitFor();
  await page.context().close();
});

test('frozen_view_does_not_change_and_compares_with_earlier', async () => {
  const { page } = await open(chrome, server, `/p/${id}?f=demo.blocks`);
  await page.locator('.panel .u-wrap canvas').waitFor();
  await page.locator('#freeze').click();
  await page.locator('#time.frozen').waitFor();
  await sleep(700);
  const value = () => page.locator('tr', { hasText: 'demo.blocks' }).first().locator('td.value').textContent();
  const first = await value();
  await sleep(1500);
  assert.equal(await value(), first);
  await page.locator('#compare').selectOption('ago:60');
  await page.locator('.fields.compared').first().waitFor();
  await page.locator('#freeze').click();
  await until(async () => await value() !== first, 'it goes on');
  await page.context().close();
});

test('killed_program_stays_with_its_last_values', async () => {
  const victim = publisher(path);
  const { id: its } = await server.program(victim.pid);
  const { page } = await open(chrome, server, `/p/${its}?f=demo.blocks`);
  const value = () => page.locator('tr', { hasText: 'demo.blocks' }).first().locator('td.value').textContent();
  await until(async () => /[1-9]/.test(await value().catch(() => '')), 'a value');
  victim.kill('SIGKILL');
  await page.locator('.state[data-kind="bad"]', { hasText: 'dead' }).waitFor({ timeout: 15_000 });
  assert.match(await value(), /[1-9]/);
  await page.context().close();
});

test('small_screen_does_not_scroll_sideways', async () => {
  for (const hash of ['/', `/p/${id}?f=demo.compress&f=demo.blocks`, `/p/${id}?tab=threads`, `/p/${id}?tab=events`, `/p/${id}?f=demo.blocks&ago=60`]) {
    const { page } = await open(chrome, server, hash, { viewport: { width: 360, height: 700 } });
    await sleep(1200);
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), hash);
    await page.context().close();
  }
});

test('axe_finds_no_serious_fault', async () => {
  for (const colorScheme of ['light', 'dark']) {
    for (const [name, hash] of [['home', '/'], ['program', `/p/${id}?f=demo.blocks&f=demo.compress`], ['heat', `/p/${id}?f=demo.compress&show=heat%3Ademo.compress`], ['threads', `/p/${id}?tab=threads`], ['events', `/p/${id}?tab=events`], ['compare', `/p/${id}?f=demo.blocks&f=demo.compress&vs=${id}`]]) {
      // The checker is put in from outside, past the policy of the page.
      const { page } = await open(chrome, server, hash, { colorScheme, bypassCSP: true, viewport: { width: 1180, height: 760 } });
      await sleep(1500);
      await page.evaluate(AXE);
      const { violations } = await page.evaluate(() => globalThis.axe.run());
      const serious = violations.filter((one) => ['serious', 'critical'].includes(one.impact));
      assert.deepEqual(serious.map((one) => `${one.id}: ${one.nodes[0]?.html}`), [], `${name} ${colorScheme}`);
      if (PICTURES && colorScheme === 'light' && !['events', 'compare'].includes(name)) await page.screenshot({ path: `${PICTURES}/page-${name}.png` });
      await page.context().close();
    }
  }
});
