// Times and memory of the page, where nothing else runs: the deep gate only.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { browser, directory, end, open, publish, serve, sleep, until } from './support.js';

const skip = !process.env.DEEP;
/** For how long the memory of the page is watched, in seconds. */
const SECONDS = Number(process.env.MMSTATS_PAGE_SECONDS ?? 3600);
const MIB = 2 ** 20;
let chrome;

before(async () => { if (!skip) chrome = await browser('--enable-precise-memory-info'); });
after(end);

const middle = (numbers) => numbers.sort((a, b) => a - b)[Math.floor(numbers.length / 2)];

test('two_hundred_programs_of_500_fields_are_painted_within_a_second', { skip }, async () => {
  const path = directory();
  publish(path, 200, 494);
  const server = await serve(path);
  const [one] = await server.programs(200);
  assert.ok(one.fields >= 500, `${one.fields} fields`);
  const times = [];
  for (let turn = 0; turn < 5; turn += 1) {
    const context = await chrome.newContext({ viewport: { width: 1280, height: 800 } });
    const page = await context.newPage();
    await page.addInitScript(() => {
      // A frame after the rows: they are on the screen.
      const observer = new MutationObserver(() => {
        const rows = document.querySelectorAll('tbody tr').length;
        const painted = (name) => requestAnimationFrame(() => { setTimeout(() => { globalThis[name] = performance.now(); }); });
        if (rows && globalThis.painted === undefined) { globalThis.painted = null; painted('painted'); }
        if (rows === 200) { observer.disconnect(); painted('complete'); }
      });
      observer.observe(document, { childList: true, subtree: true });
    });
    await page.goto(`${server.url}#token=${server.token}&/`);
    times.push(await (await page.waitForFunction(() => globalThis.complete && globalThis.painted && [globalThis.painted, globalThis.complete], null, { timeout: 20_000 })).jsonValue());
    await context.close();
    await sleep(500);
  }
  console.log(`200 programs: first rows after ${times.map(([painted]) => Math.round(painted)).join(', ')} ms, all after ${times.map(([, all]) => Math.round(all)).join(', ')} ms`);
  assert.ok(middle(times.map(([painted]) => painted)) < 1000 && middle(times.map(([, all]) => all)) < 1000, `${times}`);
});

test('fifty_graphs_at_ten_a_second_take_less_than_100_ms_a_frame', { skip }, async () => {
  const path = directory();
  publish(path, 1, 50);
  const server = await serve(path);
  const [program] = await server.programs(1);
  const fields = Array.from({ length: 50 }, (_one, index) => `f=group${index % 20}.counter${index}`).join('&');
  // All are seen: those that are not are not drawn.
  const { page, errors } = await open(chrome, server, `/p/${program.id}?${fields}`, { viewport: { width: 3200, height: 3100 } });
  await until(async () => await page.locator('.panel .u-wrap canvas').count() === 50, '50 graphs');
  assert.ok(await page.evaluate(() => [...document.querySelectorAll('.panel')].every((panel) => panel.getBoundingClientRect().bottom <= innerHeight)), 'all are seen');
  // Lines have all their points after a while.
  await sleep(20_000);
  const { frames, changes } = await page.evaluate(async () => {
    const found = { frames: [], changes: 0 };
    const figure = document.querySelector('.panel .figure');
    new MutationObserver(() => { found.changes += 1; }).observe(figure, { childList: true, characterData: true, subtree: true });
    const end = performance.now() + 20_000;
    await new Promise((resolve) => {
      let last = performance.now();
      const next = () => {
        const now = performance.now();
        found.frames.push(now - last);
        last = now;
        if (now < end) requestAnimationFrame(next);
        else resolve();
      };
      requestAnimationFrame(next);
    });
    return found;
  });
  frames.sort((a, b) => a - b);
  const at = (part) => Math.round(frames[Math.floor((frames.length - 1) * part)]);
  console.log(`50 graphs: ${changes} values in 20 s, frames of ${at(0.5)} ms (median), ${at(0.95)} ms (95 %), ${at(1)} ms (longest)`);
  assert.ok(changes > 150, `${changes} values in 20 s`);
  assert.ok(at(0.95) < 100, `${at(0.95)} ms`);
  assert.deepEqual(errors, []);
  await page.context().close();
});

test('memory_of_the_page_does_not_grow', { skip, timeout: (SECONDS + 300) * 1000 }, async () => {
  const path = directory();
  publish(path, 1, 30);
  const server = await serve(path);
  const [program] = await server.programs(1);
  const { page, errors } = await open(chrome, server, `/p/${program.id}?f=group0.counter0&f=group1.counter1&f=work.queue&f=answer.size&sum=http.requests`);
  await page.locator('.panel .u-wrap canvas').first().waitFor();
  const devtools = await page.context().newCDPSession(page);
  const heap = async () => {
    await devtools.send('HeapProfiler.collectGarbage');
    return (await devtools.send('Runtime.getHeapUsage')).usedSize;
  };
  // Until the lines are full: they are of a minute.
  await sleep(Math.min(120, SECONDS / 4) * 1000);
  const begin = await heap();
  const start = Date.now();
  const marks = [];
  let most = 0;
  while (Date.now() - start < SECONDS * 1000) {
    await sleep(Math.min(60, SECONDS / 10) * 1000);
    const now = await heap();
    most = Math.max(most, now - begin);
    marks.push((now / MIB).toFixed(2));
  }
  const grown = await heap() - begin;
  const figure = () => page.locator('.panel .figure').nth(1).textContent();
  const shown = await figure();
  await until(async () => await figure() !== shown, 'the page still moves');
  console.log(`heap in ${SECONDS} s: ${(begin / MIB).toFixed(2)} MiB at first, then ${marks.join(' ')}: ${(grown / MIB).toFixed(2)} MiB more, ${(most / MIB).toFixed(2)} at most`);
  assert.ok(grown < 10 * MIB, `${grown} bytes`);
  assert.deepEqual(errors, []);
  await page.context().close();
});
